package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

const year = 365 * 24 * time.Hour

// aging is a bench whose clock the test moves, with a year of retention.
func aging(t *testing.T, db testdb.DB) (*bench, *time.Time) {
	now := time.Date(2024, 3, 1, 9, 0, 0, 0, time.UTC)
	return setUp(t, db, func(c *audit.Config) {
		c.Now = func() time.Time { return now }
		c.Keep = year
	}), &now
}

// seedYears writes 6 events of the tenant main, and 4 more one and a half years later.
func seedYears(t *testing.T, db testdb.DB) *bench {
	b, now := aging(t, db)
	write := func(first, last int) {
		ctx := as(b.ctx, audit.Actor{ID: "canary-actor", Tenant: "main"})
		for i := first; i <= last; i++ {
			require.NoError(t, b.WithContext(ctx).Create(&customer{ID: fmt.Sprint("canary", i)}).Error)
		}
		b.seal(t)
	}
	write(0, 5)
	require.NoError(t, b.log.Record(as(b.ctx, audit.Actor{ID: "u4", Tenant: "acme"}), "login.ok"))
	*now = now.Add(year + year/2)
	write(6, 9)
	return b
}

func (b *bench) export(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, b.log.Export(b.ctx, &out))
	return out.Bytes()
}

func (b *bench) prune(t *testing.T) audit.Pruned {
	t.Helper()
	p, err := b.log.Prune(b.ctx, audit.PruneOptions{Tenant: "main", Purpose: "yearly retention", Archive: bytes.NewReader(b.export(t))})
	require.NoError(t, err)
	return p
}

func TestPrune(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		archive := b.export(t)
		require.Equal(t, audit.Pruned{Events: 6, Through: 5}, b.prune(t))

		r := b.verify(t)
		assert.True(t, r.OK, "%s", r)
		assert.EqualValues(t, 6, r.Pruned)
		assert.Contains(t, r.String(), "of 6 the retention has left the hashes only")

		left := b.events(t, audit.Query{Tenant: "main", OldestFirst: true})
		assert.Equal(t, []string{"customer.create", "customer.create", "customer.create", "customer.create", "audit.purge"}, actions(left))
		assert.Equal(t, "yearly retention", left[4].Purpose)
		assert.Equal(t, actions(left)[:2], actions(b.events(t, audit.Query{Tenant: "main", OldestFirst: true, Limit: 2})), "the limit counts what is left")
		assert.Len(t, b.events(t, audit.Query{Tenant: "main"}), 5)
		assert.Empty(t, b.events(t, audit.Query{Tenant: "main", Resource: "customer", Row: "canary3"}))
		assert.Len(t, b.events(t, audit.Query{Tenant: "acme"}), 1, "another tenant's log was touched")

		for _, export := range [][]byte{archive, b.export(t)} {
			r, err := audit.VerifyExport(b.ctx, bytes.NewReader(export), b.cfg.Verifier, audit.VerifyOptions{})
			require.NoError(t, err)
			assert.True(t, r.OK, "%s", r)
		}
		assert.Equal(t, audit.Pruned{Through: 5}, b.prune(t), "a second run finds nothing more")
		assert.Len(t, b.events(t, audit.Query{Tenant: "main", Action: "audit.purge"}), 1)
	})
}

// What is left of a pruned log is proven as before, even when the stored nodes are wrong.
func TestProveInAPrunedLog(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		b.prune(t)
		for range 2 {
			p, err := b.log.Prover(b.ctx, "main")
			require.NoError(t, err)
			proof, err := p.Prove(b.ctx, 8)
			require.NoError(t, err)
			e, _, err := proof.OpenEvent(audit.KeysOf(b.cfg.Verifier))
			require.NoError(t, err)
			require.Equal(t, "customer.create", e.Action)
			_, err = p.Prove(b.ctx, 3)
			require.ErrorIs(t, err, audit.ErrInvalid)
			require.ErrorContains(t, err, `entry 3 of log "main" has no bytes any more; if it was pruned, the archive has them`)
			set("hash", make([]byte, 32), "main", 7)(t, b) // the second time the hash column of a live entry lies
		}
	})
}

// Of a pruned entry nothing may be left that says what it was.
func TestPrunedEntriesSayNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		b.prune(t)
		for _, table := range []string{"confide_audit_entries", "confide_audit_rows"} {
			var rows []map[string]any
			require.NoError(t, b.Table(table).Where("log_id = ? AND seq <= 5", "main").Find(&rows).Error)
			for _, row := range rows {
				for _, column := range []string{"event", "hash", "seq", "log_id"} {
					delete(row, column)
				}
				for column, v := range row {
					assert.Contains(t, []any{"", int64(0), nil}, plain(v), "%s.%s still says something", table, column)
				}
			}
		}
	})
}

func plain(v any) any {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	return v
}

func TestPruneAgainAndAgain(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b, now := aging(t, db)
		var pruned int64
		for round := range 4 {
			for i := range 3 {
				require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: fmt.Sprint(round, "-", i)}).Error)
				require.NoError(t, b.WithContext(b.ctx).Model(&customer{ID: "0-0"}).Update("owner", fmt.Sprint(round, i)).Error)
			}
			b.seal(t)
			pruned += b.prune(t).Events
			r := b.verify(t)
			require.True(t, r.OK, "round %d: %s", round, r)
			require.Equal(t, pruned, r.Pruned)
			*now = now.Add(year + time.Hour)
		}
		require.Greater(t, pruned, int64(12))
	})
}

func TestPruneRefuses(t *testing.T) {
	b := seedYears(t, testdb.New(t, testdb.SQLite))
	archive := b.export(t)
	early := archiveOf(t, b, func(seq int64) bool { return seq < 3 })
	for name, c := range map[string]struct {
		opts audit.PruneOptions
		want string
	}{
		"no archive":        {audit.PruneOptions{Tenant: "main"}, "PruneOptions.Archive is nil; give an export that holds what goes, or set WithoutArchive"},
		"cut archive":       {audit.PruneOptions{Tenant: "main", Archive: bytes.NewReader(archive[:len(archive)-20])}, "the archive cannot be verified, nothing was removed"},
		"edited archive":    {audit.PruneOptions{Tenant: "main", Archive: bytes.NewReader(edited(archive))}, "the archive has"},
		"other log's":       {audit.PruneOptions{Tenant: "main", Archive: bytes.NewReader(otherExport(t))}, "the archive"},
		"incomplete":        {audit.PruneOptions{Tenant: "main", Archive: bytes.NewReader(early)}, "the archive"},
		"unreadable":        {audit.PruneOptions{Tenant: "main", Archive: io.MultiReader()}, "the archive cannot be verified"},
		"impossible name":   {audit.PruneOptions{Tenant: strings.Repeat("x", 65), WithoutArchive: true}, "tenant must be valid UTF-8"},
		"action of Prune's": {},
	} {
		t.Run(name, func(t *testing.T) {
			if c.want == "" {
				err := b.log.Record(b.ctx, "audit.purge", slog.Int64("through", 9), slog.Int64("changes", 9))
				require.ErrorIs(t, err, audit.ErrInvalid)
				require.ErrorContains(t, err, "the action audit.purge is Prune's own")
				return
			}
			p, err := b.log.Prune(b.ctx, c.opts)
			require.ErrorContains(t, err, c.want)
			require.EqualValues(t, -1, p.Through)
			require.Zero(t, b.verify(t).Pruned)
		})
	}
	require.Len(t, b.events(t, audit.Query{Tenant: "main"}), 10)
}

// archiveOf is an export that lacks some entries of the tenant main.
func archiveOf(t *testing.T, b *bench, keep func(seq int64) bool) []byte {
	t.Helper()
	x := b.takenApart(t)
	var drop []int
	for seq := range int64(10) {
		if !keep(seq) {
			drop = append(drop, x.entry(t, "main", seq))
		}
	}
	return x.without(drop...).bytes()
}

func edited(export []byte) []byte {
	return bytes.Replace(export, []byte("canary-actor"), []byte("canary-other"), 1)
}

func otherExport(t *testing.T) []byte {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	return b.export(t)
}

func TestPruneNeedsARetention(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	_, err := b.log.Prune(b.ctx, audit.PruneOptions{WithoutArchive: true})
	require.ErrorContains(t, err, "Config.Keep is 0, which keeps events for ever")
}

func TestRetentionFloors(t *testing.T) {
	signer, verifier := keys(t)
	open := func(keep time.Duration, floors []audit.Floor) error {
		_, err := audit.Open(t.Context(), audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: verifier, Actor: actorOf,
			Anchor: audit.Unanchored, Keep: keep, Floors: floors})
		return err
	}
	hipaa := []audit.Floor{{Name: "HIPAA", Keep: 6 * year}}
	require.NoError(t, open(0, nil))
	require.NoError(t, open(year, nil))
	require.NoError(t, open(time.Hour, []audit.Floor{}), "whoever says that nothing binds them is not bound")
	require.ErrorContains(t, open(30*24*time.Hour, nil), "Config.Keep is 720h0m0s, but Cybersecurity Law of the PRC, art. 21(3) asks for 4416h0m0s; raise it, or set Config.Floors")
	require.ErrorContains(t, open(year, hipaa), "HIPAA asks for")
	require.ErrorContains(t, open(-1, nil), "Config.Keep is negative")
}

// Prune must not destroy the traces of an attack.
func TestPruneRefusesATamperedLog(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		rewrite("main", 2, true, func(data []byte) []byte {
			return bytes.Replace(data, []byte("canary-actor"), []byte("canary-other"), 1)
		})(t, b)
		_, err := b.log.Prune(b.ctx, audit.PruneOptions{Tenant: "main", WithoutArchive: true})
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, "nothing was removed; Verify names them")
		require.NotEmpty(t, b.dataOf(t, "main", 2))
	})
}

// A date column that was set back must not make Prune remove what is young.
func TestPruneBelievesTheEventsNotTheColumns(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		set("at", 1, "main", 8)(t, b)
		_, err := b.log.Prune(b.ctx, audit.PruneOptions{Tenant: "main", WithoutArchive: true})
		require.ErrorIs(t, err, audit.ErrTampered)
	})
}

func TestTamperPruned(t *testing.T) {
	blank := func(log string, first, last int64) func(*testing.T, *bench) {
		return all(statement("UPDATE confide_audit_entries SET at = 0, actor = '', action = '', resource = '', result = '', data = ? WHERE log_id = ? AND seq BETWEEN ? AND ?", []byte{}, log, first, last),
			statement("DELETE FROM confide_audit_rows WHERE log_id = ? AND seq BETWEEN ? AND ?", log, first, last))
	}
	pruned := func(t *testing.T, db testdb.DB) *bench {
		b := seedYears(t, db)
		b.prune(t)
		return b
	}
	eachAttack(t, []attack{
		{"nothing", all(), nil},
		{"prune one more by hand", blank("main", 6, 6), []string{"edited main#6", "revision-gap"}},
		{"prune several more by hand", blank("main", 6, 8), []string{"edited main#6-8", "revision-gap"}},
		{"prune another tenant by hand", blank("acme", 0, 0), []string{"edited acme#0"}},
		{"prune the top log by hand", blank("", 0, 0), []string{"edited (top)#0"}},
		{"delete a pruned entry", remove("log_id = 'main' AND seq = 3"), []string{"deleted main#3"}},
		{"delete all pruned entries", remove("log_id = 'main' AND seq <= 5"), []string{"deleted main#0-5"}},
		{"edit the hash of a pruned entry", set("hash", make([]byte, 32), "main", 2), []string{"rewritten main#0-5"}},
		{"edit the hash of the last pruned entry", set("hash", make([]byte, 32), "main", 5), []string{"edited main#5"}},
		{"write over a pruned entry", rewriteBlank("main", 2), []string{"edited main#2"}},
		{"give a pruned entry an actor", set("actor", "u9", "main", 2), []string{"edited main#2"}},
		{"blank the purge record", blank("main", 10, 10), []string{"edited main#0-5", "edited main#10", "revision-gap"}},
		{"edit the purge record", rewrite("main", 10, true, func(d []byte) []byte { return bytes.Replace(d, []byte("yearly"), []byte("weekly"), 1) }),
			[]string{"edited main#10", "edited main#0-5", "revision-gap"}},
		{"delete the purge record", remove("log_id = 'main' AND seq = 10"), []string{"truncated main#10", "edited main#0-5", "revision-gap"}},
		{"delete a counter of a pruned row", statement("DELETE FROM confide_audit_revisions WHERE row_id = 'canary3'"), []string{"revision-gap"}},
		{"raise a counter of a pruned row", statement("UPDATE confide_audit_revisions SET rev = 2 WHERE row_id = 'canary3'"), []string{"revision-gap"}},
	}, pruned, func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		r := b.verify(t)
		require.Equal(t, unique(a.want), unique(found(r, a.want)), "%s", r)
		require.Equal(t, len(a.want) == 0, r.OK)
	})
}

// rewriteBlank puts an entry of the attacker's making where a pruned one was.
func rewriteBlank(log string, seq int64) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		data := b.dataOf(t, log, 7)
		data[9] = byte(seq)
		set("data", data, log, seq)(t, b)
	}
}

// A waiting event of a row whose earlier ones are pruned is still missed.
func TestAnEventDeletedBeforeItWasSealedIsMissedInAPrunedLog(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		b.prune(t)
		ctx := as(b.ctx, audit.Actor{ID: "thief", Tenant: "main"})
		require.NoError(t, b.WithContext(ctx).Model(&customer{ID: "canary3"}).Update("owner", "thief").Error)
		b.exec(t, "DELETE FROM confide_audit_pending")
		r := b.verify(t)
		require.Equal(t, []string{"revision-gap main pruned changes"}, found(r, nil), "%s", r)
		require.Contains(t, r.String(), "7 changes are missing before the first that is left of their rows, the purge record says 6")
	})
}

// A Prune that was killed between its record and the last entry is completed by the next.
func TestPruneIsCompletedByTheNext(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		cfg := b.cfg
		cfg.Store = halfPruner{b.cfg.Store}
		log, err := audit.Open(b.ctx, cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, log.Close()) })
		_, err = log.Prune(b.ctx, audit.PruneOptions{Tenant: "main", WithoutArchive: true})
		require.ErrorContains(t, err, "the process was killed")
		r := b.verify(t)
		require.True(t, r.OK, "%s", r)
		require.EqualValues(t, 3, r.Pruned)
		require.Len(t, b.events(t, audit.Query{Tenant: "main", OldestFirst: true}), 5, "what the record covers is gone for queries")

		require.EqualValues(t, 5, b.prune(t).Through)
		r = b.verify(t)
		require.True(t, r.OK, "%s", r)
		require.EqualValues(t, 6, r.Pruned)
	})
}

// halfPruner empties half of what it is asked to, and fails.
type halfPruner struct{ audit.Store }

func (h halfPruner) Prune(ctx context.Context, log string, through int64) error {
	if err := h.Store.(audit.Pruner).Prune(ctx, log, through/2); err != nil {
		return err
	}
	return fmt.Errorf("the process was killed")
}

// A verification that runs beside Prune sees a whole log, with or without the pruned part.
func TestVerifyBesidePrune(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := seedYears(t, db)
		cfg := b.cfg
		var seen []audit.Report
		cfg.Store = watchedPruner{b.cfg.Store, func() { seen = append(seen, b.verify(t)) }}
		log, err := audit.Open(b.ctx, cfg)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, log.Close()) })
		done := make(chan audit.Report, 1)
		stop := make(chan struct{})
		go func() {
			var r audit.Report
			for stopped := false; !stopped; {
				select {
				case <-stop:
					stopped = true
				default:
				}
				if next, err := b.log.Verify(b.ctx, audit.VerifyOptions{}); err != nil || !next.OK {
					r = next
					break
				}
				r.OK = true
			}
			done <- r
		}()
		_, err = log.Prune(b.ctx, audit.PruneOptions{Tenant: "main", WithoutArchive: true})
		require.NoError(t, err)
		close(stop)
		r := <-done
		require.True(t, r.OK, "%s", r)
		require.Len(t, seen, 6)
		for i, r := range seen {
			require.True(t, r.OK, "after %d entries: %s", i+1, r)
			require.EqualValues(t, i+1, r.Pruned)
		}
	})
}

// watchedPruner empties entry after entry and lets somebody look in between.
type watchedPruner struct {
	audit.Store
	look func()
}

func (w watchedPruner) Prune(ctx context.Context, log string, through int64) error {
	for i := range through + 1 {
		if err := w.Store.(audit.Pruner).Prune(ctx, log, i); err != nil {
			return err
		}
		w.look()
	}
	return nil
}

// The frozen exports of logs of which a part is pruned stay readable.
func TestFrozenExports(t *testing.T) {
	files, err := filepath.Glob("testdata/export-*.jsonl")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 2)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		key, export, ok := bytes.Cut(data, []byte("\n"))
		require.True(t, ok)
		r, err := audit.VerifyExport(t.Context(), bytes.NewReader(export), verifierOf(t, string(key)), audit.VerifyOptions{})
		require.NoError(t, err, file)
		require.True(t, r.OK, "%s: %s", file, r)
		require.Equal(t, strings.Contains(file, "pruned"), r.Pruned > 0, file)
	}
}
