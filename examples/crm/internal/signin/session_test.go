package signin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/internal/testdb"
)

func (h *hall) enter(t *testing.T) string {
	t.Helper()
	token, err := h.SignIn(t.Context(), "jane@example.com", password)
	require.NoError(t, err)
	return token
}

func TestSessionEnds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHall(t, db.DB)
		in := func(token string) bool {
			_, err := h.Session(t.Context(), token)
			if err != nil {
				require.Equal(t, signin.ErrNoSession, err)
			}
			return err == nil
		}

		idle := h.enter(t)
		h.clock.pass(29 * time.Minute)
		require.True(t, in(idle))
		h.clock.pass(29 * time.Minute)
		require.True(t, in(idle), "the request before has put the end off")
		h.clock.pass(30 * time.Minute)
		require.False(t, in(idle))
		h.clock.pass(-30 * time.Minute)
		require.False(t, in(idle), "an ended session does not come back")

		busy := h.enter(t)
		for range 47 {
			h.clock.pass(15 * time.Minute)
			require.True(t, in(busy))
		}
		h.clock.pass(15 * time.Minute)
		require.False(t, in(busy), "twelve hours are the end, however busy")

		out, stays := h.enter(t), h.enter(t)
		require.NoError(t, h.SignOut(t.Context(), out))
		require.NoError(t, h.SignOut(t.Context(), out), "who is out stays out")
		require.False(t, in(out))
		require.True(t, in(stays), "another browser of the same person")

		h.staff.change("jane@example.com", func(a *signin.Account) { a.Disabled = true })
		require.False(t, in(stays))
		h.staff.change("jane@example.com", func(a *signin.Account) { a.Disabled = false })
		require.False(t, in(stays))

		changed := h.enter(t)
		hash, err := signin.HashPassword("another password")
		require.NoError(t, err)
		h.staff.change("jane@example.com", func(a *signin.Account) { a.Hash = hash })
		require.False(t, in(changed), "a new password ends what was opened with the old one")
		h.staff.change("jane@example.com", func(a *signin.Account) { a.ID = "99" })
		require.False(t, in(changed))
	})
}

func TestTokensAreTheirOwn(t *testing.T) {
	h := sqlite(t)
	one, two := h.enter(t), h.enter(t)
	require.NotEqual(t, one, two)
	require.Len(t, one, 43) // 256 bits
	a, err := h.Session(t.Context(), one)
	require.NoError(t, err)
	b, err := h.Session(t.Context(), two)
	require.NoError(t, err)
	require.NotEqual(t, a.CSRF, b.CSRF)
	require.Len(t, a.CSRF, 64)

	for _, token := range []string{"", "x", one[:42], one + "a", strings.ToLower(one), strings.Repeat("A", 43), strings.Repeat("A", 1<<20)} {
		_, err := h.Session(t.Context(), token)
		require.Equal(t, signin.ErrNoSession, err)
		require.NoError(t, h.SignOut(t.Context(), token))
	}
}

// What stands in the table lets nobody in: no token, and no row that somebody
// wrote or changed there.
func TestTableLetsNobodyIn(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHall(t, db.DB)
		token := h.enter(t)
		s, err := h.Session(t.Context(), token)
		require.NoError(t, err)

		var row map[string]any
		require.NoError(t, db.Table("crm_sessions").Take(&row).Error)
		stored, err := json.Marshal(row)
		require.NoError(t, err)
		require.NotContains(t, string(stored), token)
		require.NotContains(t, string(stored), s.CSRF)
		_, err = h.Session(t.Context(), row["id"].(string)[:43])
		require.Equal(t, signin.ErrNoSession, err)

		h.staff.change("left@example.com", func(a *signin.Account) { a.Disabled = false })
		for column, value := range map[string]any{
			"user_id": "4", "tenant": "other", "stamp": strings.Repeat("0", 64), "created": int64(1), "seen": h.clock.now().Unix() + 1, "expires": int64(1) << 40,
		} {
			was := row[column]
			require.NoError(t, db.Table("crm_sessions").Where("1 = 1").Update(column, value).Error)
			_, err = h.Session(t.Context(), token)
			require.Equal(t, signin.ErrNoSession, err, column)
			require.NoError(t, db.Table("crm_sessions").Where("1 = 1").Update(column, was).Error)
			_, err = h.Session(t.Context(), token)
			require.NoError(t, err, column)
		}

		// A row copied to the id of another token.
		other := h.enter(t)
		require.NoError(t, h.SignOut(t.Context(), token))
		require.NoError(t, db.Table("crm_sessions").Where("1 = 1").Update("seal", row["seal"]).Error)
		_, err = h.Session(t.Context(), other)
		require.Equal(t, signin.ErrNoSession, err)
	})
}

func TestSessionsOutliveTheProcessOnlyWithTheKey(t *testing.T) {
	h := sqlite(t)
	token := h.enter(t)
	again, err := signin.Open(t.Context(), h.config)
	require.NoError(t, err)
	_, err = again.Session(t.Context(), token)
	require.NoError(t, err)

	for _, key := range [][]byte{nil, []byte(strings.Repeat("x", 32))} {
		c := h.config
		c.Key = key
		stranger, err := signin.Open(t.Context(), c)
		require.NoError(t, err)
		_, err = stranger.Session(t.Context(), token)
		require.Equal(t, signin.ErrNoSession, err)
	}
}

func TestOldSessionsAreCleared(t *testing.T) {
	h := sqlite(t)
	h.enter(t)
	h.clock.pass(13 * time.Hour)
	h.enter(t)
	var n int64
	require.NoError(t, h.config.DB.Table("crm_sessions").Count(&n).Error)
	require.EqualValues(t, 1, n)
}
