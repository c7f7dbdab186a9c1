package hammer_test

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/hammer"
	"github.com/confide-go/confide/internal/testdb"
)

// Hammer itself runs in package audit (TestHammer), on all databases. Here: that it
// would find something.
func TestFaultsAreFound(t *testing.T) {
	whole := hammer.Events
	type facts struct {
		said, stored map[string]bool
		seen         map[string]string
		report       audit.Report
	}
	for _, c := range []struct {
		name  string
		spoil func(f *facts)
		want  []string
	}{
		{"nothing", func(*facts) {}, nil},
		{"a committed row is lost", func(f *facts) {
			delete(f.stored, "1")
			delete(f.seen, "1")
			f.report.Size = 3
		}, []string{"transaction 1: committed is true, its row is there is false"}},
		{"a row was rolled back and is there", func(f *facts) { f.stored["2"], f.seen["2"], f.report.Size = true, whole, 9 },
			[]string{"transaction 2: committed is false, its row is there is true"}},
		{"an event is lost", func(f *facts) { f.seen["3"], f.report.Size = "create1 reveal0 ", 5 },
			[]string{"row 3 is committed, its events are", "the log has 5 events, the rows make 6"}},
		{"an event is there twice", func(f *facts) { f.seen["3"], f.report.Size = whole+"reveal0 ", 7 },
			[]string{"row 3 is committed, its events are", "the log has 7 events, the rows make 6"}},
		{"events of nothing", func(f *facts) { f.seen["2"] = whole }, []string{"2 has events and no committed row"}},
		{"a break", func(f *facts) {
			f.report.Breaks = []audit.Break{{Kind: audit.Forked, Place: audit.Place{Log: "a", First: 1, Last: 1}, Detail: "x"}}
		}, []string{"forked a#1"}},
		{"no anchor", func(f *facts) { f.report.Anchored = false }, []string{"the log is not anchored"}},
		{"nothing happened", func(f *facts) { *f = facts{report: audit.Report{OK: true, Anchored: true}} },
			[]string{"nothing was committed: the attack shows nothing"}},
	} {
		f := facts{map[string]bool{"1": true, "2": false, "3": true}, map[string]bool{"1": true, "3": true},
			map[string]string{"1": whole, "3": whole}, audit.Report{OK: true, Anchored: true, Size: 6}}
		c.spoil(&f)
		faults := hammer.Compare(f.said, f.stored, f.seen, f.report)
		require.Len(t, faults, len(c.want), "%s: %v", c.name, faults)
		for i, want := range c.want {
			require.Contains(t, faults[i], want, c.name)
		}
	}
}

func open(dsn string) (*gorm.DB, error) { return gorm.Open(testdb.Dialector(testdb.SQLite, dsn)) }

func TestWhatCannotBeTried(t *testing.T) {
	missing := hammer.Config{Open: open, DSN: testdb.SQLiteDSN(t.TempDir() + "/x.db"), Dir: t.TempDir(), Time: time.Second}
	_, err := hammer.Run(t.Context(), missing)
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "hammer.Config needs Open, DSN, Command, Dir and a positive Time")

	dies := missing
	dies.Command = func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, "sh", "-c", "echo sorry >&2; exit 7")
	}
	_, err = hammer.Run(t.Context(), dies)
	require.ErrorContains(t, err, "ended by itself: sorry")

	gone := errors.New("gone")
	closed := dies
	closed.Open = func(string) (*gorm.DB, error) { return nil, gone }
	_, err = hammer.Run(t.Context(), closed)
	require.ErrorIs(t, err, gone)

	for _, text := range []string{"", "{", "no job\n"} {
		err = hammer.Worker(t.Context(), open, strings.NewReader(text), &bytes.Buffer{})
		require.ErrorContains(t, err, "it is not started by hand")
	}
}
