package alert_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/alert"
	"github.com/confide-go/confide/internal/testdb"
)

func each(t *testing.T, f func(t *testing.T, w *world)) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		f(t, newWorld(t, db))
	})
}

func TestWatcher(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.act(t, "u1", "customer.reveal", 60) // before anybody watched: learned, and known afterwards
		w.sleep(time.Second)
		watcher := w.watcher(t)
		require.NoError(t, watcher.Pass(t.Context()))
		require.Equal(t, []string{"started "}, w.tape.take())

		w.act(t, "u2", "customer.reveal", 50)
		require.NoError(t, watcher.Pass(t.Context()))
		require.Empty(t, w.tape.take(), "50 are allowed")
		w.act(t, "u2", "customer.reveal", 1)
		w.act(t, "u3", "login", 21, slog.String("result", "denied"))
		w.act(t, "u4", "customer.delete", 1, slog.Int("count", 51))
		w.act(t, "u5", "rbac.system", 1)
		require.NoError(t, watcher.Pass(t.Context()))
		require.Equal(t, []string{"many-reveals u2", "many-denied u3", "mass-delete u4", "break-glass u5"}, w.tape.take())

		w.act(t, "u2", "customer.reveal", 5)
		require.NoError(t, w.watcher(t).Pass(t.Context())) // another process
		require.Empty(t, w.tape.take(), "it was told in this window")
		w.sleep(70 * time.Minute)
		w.act(t, "u2", "customer.reveal", 50)
		require.NoError(t, w.watcher(t).Pass(t.Context()))
		require.Empty(t, w.tape.take(), "a new window")

		w.sleep(11 * time.Hour) // 22:10
		w.act(t, "u2", "customer.reveal", 1)
		w.act(t, "u2", "customer.export", 2)
		require.NoError(t, watcher.Pass(t.Context()))
		require.Equal(t, []string{"first-action u2"}, w.tape.take(), "revealing it has done before, exporting it has not")
	})
}

// Whatever runs at the same time, each alert is delivered once.
func TestManyWatchersTellOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		require.NoError(t, w.watcher(t).Pass(t.Context()))
		w.tape.take()
		for i := range 6 {
			w.act(t, fmt.Sprint("u", i), "customer.reveal", 51)
		}
		w.act(t, "u9", "rbac.system", 3)
		var wg sync.WaitGroup
		for range 4 {
			watcher := w.watcher(t)
			wg.Go(func() {
				for range 3 {
					if err := watcher.Pass(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, w.watcher(t).Pass(t.Context()))
		got := w.tape.take()
		require.ElementsMatch(t, []string{"many-reveals u0", "many-reveals u1", "many-reveals u2", "many-reveals u3", "many-reveals u4", "many-reveals u5",
			"break-glass u9", "break-glass u9", "break-glass u9"}, got)
	})
}

func TestAFailedDeliveryIsRepeated(t *testing.T) {
	w := newWorld(t, testdb.New(t, testdb.SQLite))
	watcher := w.watcher(t, func(c *alert.Config) { c.Backlog = 3 })
	require.NoError(t, watcher.Pass(t.Context()))
	w.tape.take()
	w.act(t, "u1", "rbac.system", 3)
	w.tape.fail = 2
	require.ErrorIs(t, watcher.Pass(t.Context()), errTest)
	w.act(t, "u2", "rbac.system", 1)
	require.ErrorContains(t, watcher.Pass(t.Context()), "3 alerts of tenant \"main\" wait for delivery")
	require.NoError(t, w.watcher(t).Pass(t.Context()), "any process may go on")
	require.Equal(t, []string{"break-glass u1", "break-glass u1", "break-glass u1", "break-glass u2"}, w.tape.take())
}

// A deafStore does not take what a process says last.
type deafStore struct {
	alert.Store
	deaf bool
}

func (s *deafStore) SetAlertState(ctx context.Context, name string, version int64, data []byte) error {
	if s.deaf {
		return errTest
	}
	return s.Store.SetAlertState(ctx, name, version, data)
}

type deafen struct {
	alert.Deliverer
	s *deafStore
}

func (d deafen) Deliver(ctx context.Context, a alert.Alert) error {
	d.s.deaf = true
	return d.Deliverer.Deliver(ctx, a)
}

// A process that dies between delivering and noting it is followed by another, after a
// while, with the same id.
func TestAProcessThatDies(t *testing.T) {
	w := newWorld(t, testdb.New(t, testdb.SQLite))
	require.NoError(t, w.watcher(t).Pass(t.Context()))
	w.tape.take()
	w.act(t, "u1", "rbac.system", 1)
	dying := &deafStore{Store: w.store}
	require.ErrorIs(t, w.watcher(t, func(c *alert.Config) { c.Store, c.Deliver = dying, deafen{w.tape, dying} }).Pass(t.Context()), errTest)
	first := w.tape.alerts[0].ID
	require.Len(t, w.tape.take(), 1)

	require.NoError(t, w.watcher(t).Pass(t.Context()))
	require.Empty(t, w.tape.take(), "the other one may still be delivering")
	w.sleep(6 * time.Minute)
	require.NoError(t, w.watcher(t).Pass(t.Context()))
	require.Equal(t, first, w.tape.alerts[0].ID)
	require.Equal(t, []string{"break-glass u1"}, w.tape.take())
	require.NoError(t, w.watcher(t).Pass(t.Context()))
	require.Empty(t, w.tape.take())
}

// The database's administrator cannot move the place, and is seen when the record goes.
func TestTamperWithTheRecord(t *testing.T) {
	const table = "confide_audit_alerts"
	for name, c := range map[string]struct {
		do   func(db *gorm.DB, now, old []byte) error
		want string
	}{
		"deleted": {func(db *gorm.DB, _, _ []byte) error { return db.Exec("DELETE FROM " + table).Error }, "there is no record of this watcher"},
		"edited": {func(db *gorm.DB, now, _ []byte) error {
			return db.Table(table).Where("1 = 1").Update("data", bytes.Replace(now, []byte(`"after":"1"`), []byte(`"after":"9"`), 1)).Error
		}, "the record of this watcher was edited"},
		"put back": {func(db *gorm.DB, _, old []byte) error {
			return db.Table(table).Where("1 = 1").Update("data", old).Error
		}, "the record of this watcher was edited"},
		"emptied": {func(db *gorm.DB, _, _ []byte) error {
			return db.Table(table).Where("1 = 1").Update("data", []byte{1}).Error
		}, "the record of this watcher was edited"},
	} {
		w := newWorld(t, testdb.New(t, testdb.SQLite))
		watcher := w.watcher(t)
		require.NoError(t, watcher.Pass(t.Context()))
		w.act(t, "u1", "rbac.system", 1)
		require.NoError(t, watcher.Pass(t.Context()))
		_, old, err := w.store.AlertState(t.Context(), "main/main")
		require.NoError(t, err)
		w.act(t, "u2", "rbac.system", 1)
		require.NoError(t, watcher.Pass(t.Context()))
		_, now, err := w.store.AlertState(t.Context(), "main/main")
		require.NoError(t, err)
		require.Contains(t, string(now), `"after":"1"`)
		w.tape.take()
		w.sleep(time.Second)
		require.NoError(t, c.do(w.db.DB, now, old))
		require.NoError(t, watcher.Pass(t.Context()))
		require.Len(t, w.tape.alerts, 1, name)
		require.Contains(t, w.tape.alerts[0].Detail, c.want, name)
		require.Equal(t, []string{"started "}, w.tape.take())
		w.act(t, "u3", "rbac.system", 1)
		require.NoError(t, watcher.Pass(t.Context()))
		require.Equal(t, []string{"break-glass u3"}, w.tape.take(), name)
	}
}

func TestLagVerificationAndTampering(t *testing.T) {
	w := newWorld(t, testdb.New(t, testdb.SQLite))
	watcher := w.watcher(t)
	pass := func() []string {
		require.NoError(t, watcher.Pass(t.Context()))
		return w.tape.take()
	}
	pass()
	require.NoError(t, w.log.Record(t.Context(), "waits"))
	w.sleep(30 * time.Second)
	require.Empty(t, pass())
	w.sleep(time.Minute)
	require.Equal(t, []string{"seal-lag "}, pass())
	require.Empty(t, pass(), "it is known")
	w.sleep(25 * time.Hour)
	require.Equal(t, []string{"seal-lag "}, pass(), "and still so after a day")
	_, err := w.log.Seal(t.Context())
	require.NoError(t, err)
	require.Empty(t, pass())
	require.NoError(t, w.log.Record(t.Context(), "waits"))
	w.sleep(2 * time.Minute)
	require.Equal(t, []string{"seal-lag "}, pass(), "again")
	_, err = w.log.Seal(t.Context())
	require.NoError(t, err)
	pass()

	verified := func() []string {
		r, err := w.log.Verify(t.Context(), audit.VerifyOptions{})
		require.NoError(t, err)
		require.NoError(t, watcher.Verified(t.Context(), r))
		require.NoError(t, watcher.Verified(t.Context(), r))
		return w.tape.take()
	}
	require.Equal(t, []string{"unanchored "}, verified())
	w.act(t, "u1", "a.b", 2)
	require.NoError(t, w.db.Exec("UPDATE confide_audit_entries SET actor = 'nobody' WHERE log_id = 'main' AND seq = 2").Error)
	require.Equal(t, []string{"tampered "}, pass())
	require.Empty(t, pass())
	require.NoError(t, watcher.Verified(t.Context(), audit.Report{OK: false, Breaks: []audit.Break{{Kind: audit.Edited}, {Kind: audit.Edited}, {Kind: audit.Deleted}}, More: 4}))
	require.Equal(t, "deleted, edited", w.tape.alerts[0].Detail)
	require.EqualValues(t, 7, w.tape.alerts[0].Count)
	w.tape.take()

	// Entries that cannot be read do not blind the rules to what comes behind them.
	w.act(t, "u1", "a.b", 600)
	w.act(t, "u2", "rbac.system", 1)
	require.NoError(t, w.db.Exec("UPDATE confide_audit_entries SET result = 'x' WHERE log_id = 'main' AND action = 'a.b'").Error)
	require.Equal(t, []string{"break-glass u2"}, pass())
	require.NoError(t, w.db.Exec("UPDATE confide_audit_entries SET result = 'x' WHERE log_id = 'main'").Error)
	require.Empty(t, pass(), "it ends")
}

// Of what an event says only actor, places and numbers get into alerts and records.
func TestAlertsHoldNoValues(t *testing.T) {
	w := newWorld(t, testdb.New(t, testdb.SQLite))
	var out bytes.Buffer
	watcher := w.watcher(t, func(c *alert.Config) {
		c.Deliver = alert.All{w.tape, alert.Slog{Logger: slog.New(slog.NewJSONHandler(&out, nil))}}
		c.Rules = append(c.Rules, alert.FirstUse{ID: "first-purpose", Match: alert.Actions("*"), Of: func(e audit.Event) string { return e.Purpose },
			Hours: func(time.Time) bool { return false }, Memory: time.Hour})
	})
	require.NoError(t, watcher.Pass(t.Context()))
	for _, action := range []string{"customer.reveal", "customer.delete", "customer.export", "rbac.system"} {
		w.act(t, "u1", action, 60, slog.Int("count", 100))
	}
	w.tape.fail = 1
	require.ErrorIs(t, watcher.Pass(t.Context()), errTest)
	_, record, err := w.store.AlertState(t.Context(), "main/main")
	require.NoError(t, err)
	require.NoError(t, watcher.Pass(t.Context()))
	text, err := json.Marshal(w.tape.alerts)
	require.NoError(t, err)
	require.Contains(t, string(text), "first-purpose")
	require.Greater(t, out.Len(), 1000)
	for _, s := range []string{string(record), string(text), out.String()} {
		require.NotContains(t, s, canary)
		require.Contains(t, s, "u1")
	}
}

func TestWhatIsRefused(t *testing.T) {
	w := newWorld(t, testdb.New(t, testdb.SQLite))
	good := alert.Config{Log: w.log, Store: alert.NewMemory(), Key: make([]byte, 16), Rules: alert.Usual(time.UTC), Deliver: w.tape}
	_, err := alert.Open(good)
	require.NoError(t, err)
	for want, change := range map[string]func(c *alert.Config){
		"needs Log, Store, Deliver":        func(c *alert.Config) { c.Deliver = nil },
		"at least one of Rules":            func(c *alert.Config) { c.Rules = nil },
		"Key has 15 bytes":                 func(c *alert.Config) { c.Key = make([]byte, 15) },
		"needs a name of its own":          func(c *alert.Config) { c.Rules = append(alert.Usual(time.UTC), c.Rules[0]) },
		"32 letters, digits and dashes":    func(c *alert.Config) { c.Rules = []alert.Rule{alert.Each{ID: "a b"}} },
		"alert.Config.Name must be":        func(c *alert.Config) { c.Name = "a/b" },
		"Name must be of at most 32 lette": func(c *alert.Config) { c.Tenants = []string{""} },
	} {
		c := good
		change(&c)
		_, err := alert.Open(c)
		require.ErrorIs(t, err, audit.ErrInvalid, want)
		require.ErrorContains(t, err, want)
	}
}

// The rules of Store.
func TestStores(t *testing.T) {
	rules := func(t *testing.T, s alert.Store) {
		ctx := t.Context()
		version, data, err := s.AlertState(ctx, "a/王")
		require.NoError(t, err)
		require.Zero(t, version)
		require.Empty(t, data)
		require.ErrorIs(t, s.SetAlertState(ctx, "a/王", 1, []byte("x")), audit.ErrConflict)
		require.NoError(t, s.SetAlertState(ctx, "a/王", 0, []byte("\x00\xff")))
		require.ErrorIs(t, s.SetAlertState(ctx, "a/王", 0, []byte("x")), audit.ErrConflict)
		require.NoError(t, s.SetAlertState(ctx, "A/王", 0, []byte("another")))
		require.NoError(t, s.SetAlertState(ctx, "a/王", 1, []byte("two")))
		require.ErrorIs(t, s.SetAlertState(ctx, "a/王", 1, []byte("x")), audit.ErrConflict)
		version, data, err = s.AlertState(ctx, "a/王")
		require.NoError(t, err)
		require.EqualValues(t, 2, version)
		require.Equal(t, "two", string(data))
		gone, cancel := context.WithCancel(ctx)
		cancel()
		_, _, err = s.AlertState(gone, "a/王")
		require.Error(t, err)
		require.Error(t, s.SetAlertState(gone, "a/王", 2, nil))
	}
	rules(t, alert.NewMemory())
	each(t, func(t *testing.T, w *world) { rules(t, w.store) })
}
