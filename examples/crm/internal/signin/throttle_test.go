package signin_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/signin"
)

func TestGuessingAtOneLogin(t *testing.T) {
	h := sqlite(t)
	ctx := signin.WithAddress(t.Context(), "192.0.2.1")
	guess := func(login string) error {
		_, err := h.SignIn(ctx, login, "wrong guess")
		return err
	}
	var throttled *signin.Throttled
	for range 5 {
		require.Equal(t, signin.ErrCredentials, guess("jane@example.com"))
	}
	h.record.take()
	require.ErrorAs(t, guess("jane@example.com"), &throttled)
	require.Greater(t, throttled.RetryAfter, time.Second)
	require.LessOrEqual(t, throttled.RetryAfter, time.Minute)
	require.ErrorContains(t, throttled, "too many attempts; try again in")
	// Other ways to write it, and the right password: the door stays shut, so that
	// an answer cannot be had by asking faster.
	for _, spelling := range []string{"JANE@example.com", " jane@example.com ", "ｊane@example.com"} {
		require.ErrorAs(t, guess(spelling), &throttled, spelling)
	}
	_, err := h.SignIn(ctx, "jane@example.com", password)
	require.ErrorAs(t, err, &throttled)
	require.Equal(t, []string{"login.throttled resource=user result=refused row=3"}, h.record.take(), "once is enough: the log must not be a lever")

	h.clock.pass(throttled.RetryAfter)
	_, err = h.SignIn(ctx, "jane@example.com", password)
	require.NoError(t, err)
}

func TestGuessingAtAnUnknownLoginLooksTheSame(t *testing.T) {
	h := sqlite(t)
	answers := func(login string) (all []string) {
		for range 8 {
			_, err := h.SignIn(t.Context(), login, "wrong guess")
			all = append(all, err.Error())
		}
		return all
	}
	require.Equal(t, answers("jane@example.com"), answers("nobody@example.com"))
}

// One account has as many spellings as the application accepts; together they
// have no more than the account's attempts.
func TestSpellingsDoNotMultiplyAttempts(t *testing.T) {
	h := sqlite(t)
	answered := 0
	for i := range 16 {
		login := "jane" + fmt.Sprintf("%*s", i, "") + "@example.com"
		if _, err := h.SignIn(t.Context(), login, "wrong guess"); err == signin.ErrCredentials {
			answered++
		}
	}
	require.Equal(t, 10, answered)
}

func TestGuessingFromOneAddress(t *testing.T) {
	h := sqlite(t)
	answered := 0
	for i := range 24 {
		h.staff.change(fmt.Sprintf("guess%d@example.com", i), func(a *signin.Account) { a.ID, a.Hash = fmt.Sprint("guess", i), cheap })
		ctx := signin.WithAddress(t.Context(), fmt.Sprintf("2001:db8:1:2::%x", i)) // one household has a whole /64
		if _, err := h.SignIn(ctx, fmt.Sprintf("guess%d@example.com", i), "wrong guess"); err == signin.ErrCredentials {
			answered++
		}
	}
	require.Equal(t, 20, answered)
	_, err := h.SignIn(signin.WithAddress(t.Context(), "192.0.2.8"), "jane@example.com", password)
	require.NoError(t, err, "another address")
}

func TestAttemptsAtTheSameMoment(t *testing.T) {
	h := sqlite(t)
	var mu sync.Mutex
	answered := 0
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			_, err := h.SignIn(signin.WithAddress(t.Context(), fmt.Sprintf("192.0.2.%d", i)), "jane@example.com", "wrong guess")
			if err == signin.ErrCredentials {
				mu.Lock()
				defer mu.Unlock()
				answered++
			}
		})
	}
	all.Wait()
	require.Equal(t, 5, answered)
}

func TestComingInOftenIsNoGuessing(t *testing.T) {
	h := sqlite(t)
	for range 12 {
		_, err := h.SignIn(t.Context(), "jane@example.com", password)
		require.NoError(t, err)
	}
}
