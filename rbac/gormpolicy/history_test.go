package gormpolicy_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/gormpolicy"
	"github.com/confide-go/confide/rbac/rbactest"
)

// randomChange edits a policy at a random place, as an administrator would.
func randomChange(r *rand.Rand, p *rbac.Policy, n int) {
	name := fmt.Sprintf("n%d", n)
	switch r.IntN(7) {
	case 0:
		p.Roles = append([]rbac.Role{{Name: name}}, p.Roles...)
	case 1:
		p.Rules = append(p.Rules, rbac.Rule{ID: name, Role: rbac.Everyone, Resource: "customer", Actions: []string{"read"}, When: "row.a == 'ü\n\"'", Effect: rbac.Deny})
	case 2:
		if len(p.Rules) > 0 {
			p.Rules = append(p.Rules[:0:0], p.Rules[1:]...)
		}
	case 3:
		if len(p.Assignments) > 1 {
			p.Assignments = append(p.Assignments[:0:0], p.Assignments[r.IntN(len(p.Assignments)-1):]...)
		}
	case 4:
		p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: "t", User: name, Role: "a"})
	case 5:
		p.Fields = append(p.Fields, rbac.FieldRule{Role: "a", Resource: "customer", Field: name, Level: masking.Token})
	case 6:
		*p = rbactest.Sample()
	}
}

// Every version that ever was can be read again, exactly as Load returned it when it was the current one.
func TestEveryVersionCanBeReadAgain(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		r := rand.New(rand.NewPCG(5, 5))
		var want []rbac.Policy
		p, err := s.Load(t.Context())
		require.NoError(t, err)
		want = append(want, p)
		for n := range 25 {
			v := p.Version
			randomChange(r, &p, n)
			p.Version = v
			_, err := s.Save(t.Context(), p)
			require.NoError(t, err)
			p, err = s.Load(t.Context())
			require.NoError(t, err)
			want = append(want, p)
		}
		for _, w := range want {
			got, err := s.At(t.Context(), w.Version)
			require.NoError(t, err)
			require.Equal(t, sorted(w), sorted(got), "version %d", w.Version)
		}
		require.NoError(t, s.Verify(t.Context()))
		_, err = s.At(t.Context(), 26)
		require.EqualError(t, err, "gormpolicy: the history has no version 26: History lists those it has")
	})
}

// sorted is the policy as text: stores do not keep the order of assignments.
func sorted(p rbac.Policy) string {
	seen := map[rbac.Assignment]bool{}
	for _, a := range p.Assignments {
		seen[a] = true
	}
	p.Assignments = nil
	rest, _ := json.Marshal(p)
	return string(rest) + fmt.Sprint(seen)
}

func TestHistorySaysWhoWhenAndWhy(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		at := time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
		log := &recorder{}
		s, err := gormpolicy.New(t.Context(), gormpolicy.Config{DB: db.DB, Record: log, Now: func() time.Time { return at }})
		require.NoError(t, err)
		ctx := rbac.WithChange(t.Context(), rbac.Change{Who: "安全管理员", Reason: "ticket 7: 新同事"})
		_, err = s.Save(ctx, rbactest.Sample())
		require.NoError(t, err)
		list, err := s.History(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		require.Equal(t, "the history begins", list[0].Reason)
		require.Equal(t, gormpolicy.Entry{Version: 1, At: at, Who: "安全管理员", Reason: "ticket 7: 新同事", Hash: list[1].Hash}, list[1])
		require.Equal(t, []string{"policy.change version=1 who=安全管理员 purpose=ticket 7: 新同事 hash=" + list[1].Hash}, log.lines)

		// A change that cannot be recorded is no change.
		log.err = errors.New("disk full")
		p := rbactest.Sample()
		p.Version = 1
		_, err = s.Save(ctx, p)
		require.EqualError(t, err, "gormpolicy: the change could not be recorded: disk full")
		v, err := s.Version(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, v)
		require.NoError(t, s.Verify(t.Context()))

		// Neither is one that lost the race, nor one whose transaction rolled back.
		log.err = nil
		_, err = s.Save(ctx, rbactest.Sample())
		require.ErrorIs(t, err, rbac.ErrConflict)
		boom := errors.New("boom")
		require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
			_, err := s.Save(rbac.WithTx(ctx, tx), p)
			require.NoError(t, err)
			inside, err := s.History(rbac.WithTx(ctx, tx))
			require.NoError(t, err)
			require.Len(t, inside, 3)
			return boom
		}), boom)
		list, err = s.History(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
	})
}

type recorder struct {
	lines []string
	err   error
}

func (r *recorder) Record(_ context.Context, action string, attrs ...slog.Attr) error {
	if r.err != nil {
		return r.err
	}
	for _, a := range attrs {
		action += " " + a.String()
	}
	r.lines = append(r.lines, action)
	return nil
}

// A hand in the history, and one in the policy beside it, are noticed.
func TestHistoryNoticesAHand(t *testing.T) {
	attacks := map[string]string{
		"UPDATE confide_policy_history SET who = 'nobody' WHERE version = 2":             "version 2 in",
		"UPDATE confide_policy_history SET reason = '' WHERE version = 2":                "version 2 in",
		"UPDATE confide_policy_history SET at = at + 1 WHERE version = 2":                "version 2 in",
		`UPDATE confide_policy_history SET body = '{"v":1}' WHERE version = 2`:           "version 2 in",
		"UPDATE confide_policy_history SET version = 77 WHERE version = 3":               "has no version 3",
		"DELETE FROM confide_policy_history WHERE version = 2":                           "version 3 in",
		"DELETE FROM confide_policy_history WHERE version = 0":                           "version 1 in",
		"DELETE FROM confide_policy_history WHERE version = 3":                           "has no version 3",
		"DELETE FROM confide_policy_assignments WHERE user_id = 'x'":                     "Assignments of policy version 3",
		"UPDATE confide_policy_rules SET id = 'z,2' WHERE id = 'z,1'":                    "Rules of policy version 3",
		"UPDATE confide_policy_roles SET seq = 9 WHERE name = 'b'":                       "Roles of policy version 3",
		`DELETE FROM confide_policy_fields WHERE seq = 1`:                                "Fields of policy version 3",
		"UPDATE confide_policy_inherits SET parent = 'A' WHERE parent = 'b'":             "Roles of policy version 3",
		"INSERT INTO confide_policy_assignments VALUES ('t', 'mallory', 'a')":            "Assignments of policy version 3",
		"UPDATE confide_policy_history SET prev = '' WHERE version = 3":                  "version 3 in",
		"UPDATE confide_policy_history SET hash = prev WHERE version = 3":                "version 3 in",
		"UPDATE confide_policy_history SET who = reason, reason = who WHERE version = 1": "version 1 in",
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		for v := range 3 {
			p := rbactest.Sample()
			p.Version, p.Rules[0].Actions = int64(v), []string{fmt.Sprint("read", v)}
			_, err = s.Save(rbac.WithChange(t.Context(), rbac.Change{Who: "ann", Reason: "r"}), p)
			require.NoError(t, err)
		}
		for attack, want := range attacks {
			err := db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, tx.Exec(attack).Error, attack)
				return errors.Join(errors.New("x"), s.Verify(rbac.WithTx(t.Context(), tx)))
			})
			require.ErrorContains(t, err, want, attack)
		}
		require.NoError(t, s.Verify(t.Context()))
	})
}

// A store that is older than its history, and one that an older program went on changing, keep working:
// revoking must never wait for a repair.
func TestHistoryOfAnOlderStore(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		_, err = s.Save(t.Context(), rbactest.Sample())
		require.NoError(t, err)
		require.NoError(t, db.Exec("DROP TABLE confide_policy_history").Error)

		s, err = gormpolicy.Open(t.Context(), db.Reopen(t).DB)
		require.NoError(t, err)
		list, err := s.History(t.Context())
		require.NoError(t, err)
		require.Empty(t, list)
		before, err := s.Load(t.Context())
		require.NoError(t, err)
		next := before
		next.Assignments = nil
		_, err = s.Save(t.Context(), next)
		require.NoError(t, err)
		got, err := s.At(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, sorted(before), sorted(got))
		require.NoError(t, s.Verify(t.Context()))

		// The older program: it raises the version and knows no history.
		require.NoError(t, db.Exec("UPDATE confide_policy_version SET version = version + 2").Error)
		require.NoError(t, db.Exec("DELETE FROM confide_policy_fields").Error)
		require.ErrorContains(t, s.Verify(t.Context()), "has no version 4")
		p, err := s.Load(t.Context())
		require.NoError(t, err)
		p.Rules = nil
		_, err = s.Save(t.Context(), p)
		require.NoError(t, err)
		require.NoError(t, s.Verify(t.Context()))
		list, err = s.History(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 4)
		require.Equal(t, "changed by a program that keeps no history", list[2].Reason)
		got, err = s.At(t.Context(), 2)
		require.NoError(t, err)
		require.Len(t, got.Fields, len(before.Fields))
	})
}

// The stored form of the history is frozen.
func TestStoredHistory(t *testing.T) {
	data, err := os.ReadFile("testdata/history.json")
	require.NoError(t, err)
	var rows []map[string]any
	require.NoError(t, json.Unmarshal(data, &rows))
	require.Len(t, rows, 3)
	db := testdb.New(t, testdb.SQLite)
	s, err := gormpolicy.Open(t.Context(), db.DB)
	require.NoError(t, err)
	for _, row := range rows {
		require.NoError(t, db.Table("confide_policy_history").Create(row).Error)
	}
	require.NoError(t, db.Exec("UPDATE confide_policy_version SET version = 2").Error)
	p, err := s.At(t.Context(), 1)
	require.NoError(t, err)
	want := rbactest.Sample()
	want.Version, want.Rules, want.Fields = 1, want.Rules[:2], want.Fields[:3] // the sample as it was then
	require.Equal(t, sorted(want), sorted(p))
	p, err = s.At(t.Context(), 2)
	require.NoError(t, err)
	require.Empty(t, p.Assignments)
	require.Equal(t, want.Rules, p.Rules)
}

// written is the hash that FORMAT.md describes, computed from its words.
func written(version, at int64, texts ...string) string {
	b := []byte{1}
	b = binary.BigEndian.AppendUint64(b, uint64(version))
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	for _, s := range texts {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// An entry that a newer program wrote stops this one: a condition it cannot read must not be left out.
func TestHistoryOfANewerProgram(t *testing.T) {
	for _, body := range []string{
		`{"v":1,"changes":{"Rules":{"at":0,"add":[{"ID":"x","Role":"*","Unless":"row.hidden"}]}}}`,
		`{"v":1,"changes":{"Exceptions":{"at":0,"add":[{"ID":"x"}]}}}`,
		`{"v":1,"changes":{},"also":[]}`,
		`{"v":2}`,
		`{"v":1,"changes":{"Rules":{"at":5}}}`,
		`{"v":1,"changes":{"Rules":{"at":0,"drop":9}}}`,
		`{"v":1`,
	} {
		db := testdb.New(t, testdb.SQLite)
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		require.NoError(t, db.Exec("UPDATE confide_policy_version SET version = 1").Error)
		require.NoError(t, db.Table("confide_policy_history").Create(map[string]any{"version": 1, "at": 7, "who": "ann", "reason": "r", "body": body, "prev": "",
			"hash": written(1, 7, "ann", "r", body, "")}).Error)
		list, err := s.History(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 1)
		_, err = s.At(t.Context(), 1)
		require.ErrorContains(t, err, "is damaged or of a newer version: restore the row, or update the program", body)
	}
}
