package audit_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/confide-go/confide/internal/testdb"
)

// A victim is a database that is filled once and attacked again and again: before each
// attack it is as it was, with a log that knows nothing of the attack before.
type victim struct {
	*bench
	snapshot testdb.Snapshot
}

// onVictims runs cases on one victim for each engine (testdb.Each or EachInFull), the
// engines side by side.
func onVictims(t *testing.T, each func(*testing.T, func(*testing.T, testdb.DB)), build func(*testing.T, testdb.DB) *bench, cases func(t *testing.T, v *victim)) {
	each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := build(t, db)
		cases(t, &victim{b, b.Snapshot(t)})
	})
}

// again gives the database back as it was, opened by a process of its own.
func (v *victim) again(t *testing.T) *bench {
	t.Helper()
	v.snapshot.Restore(t)
	b := *v.bench
	if b.cfg.Anchor == v.anchor {
		b.anchor = &memoryAnchor{notes: slices.Clone(v.anchor.notes)}
		b.cfg.Anchor = b.anchor
	}
	b.log = b.restart(t)
	return &b
}

// eachAttack runs attacks on victims.
func eachAttack(t *testing.T, attacks []attack, build func(*testing.T, testdb.DB) *bench, run func(t *testing.T, b *bench, a attack)) {
	onVictims(t, testdb.EachInFull, build, func(t *testing.T, v *victim) {
		for _, a := range attacks {
			t.Run(strings.ReplaceAll(a.name, " ", "-"), func(t *testing.T) {
				run(t, v.again(t), a)
			})
		}
	})
}

// seeded is the usual victim.
func seeded(t *testing.T, db testdb.DB) *bench {
	b := setUp(t, db)
	b.seed(t)
	return b
}

// onSQLite is testdb.Each for what depends on no engine.
func onSQLite(t *testing.T, f func(t *testing.T, db testdb.DB)) {
	t.Run(testdb.SQLite, func(t *testing.T) { f(t, testdb.New(t, testdb.SQLite)) })
}
