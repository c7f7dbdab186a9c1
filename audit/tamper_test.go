package audit_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// seed writes 10 events of the tenant main in two seals and 5 of acme between
// them, so that the top log has three checkpoints.
func (b *bench) seed(t *testing.T) {
	t.Helper()
	create := func(tenant string, first, last int) {
		ctx := as(b.ctx, audit.Actor{ID: "u3", Tenant: tenant})
		for i := first; i <= last; i++ {
			require.NoError(t, b.WithContext(ctx).Create(&customer{ID: fmt.Sprint(tenant, i)}).Error)
		}
		b.seal(t)
	}
	create("main", 0, 5)
	create("acme", 0, 4)
	create("main", 6, 9)
}

// The administrator of the database: everything but the key.
type attack struct {
	name string
	do   func(t *testing.T, b *bench)
	want []string // every break: kind and place
}

func statement(sql string, args ...any) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) { b.exec(t, sql, args...) }
}

func set(column string, value any, log string, seq int64) func(*testing.T, *bench) {
	return statement("UPDATE confide_audit_entries SET "+column+" = ? WHERE log_id = ? AND seq = ?", value, log, seq)
}

func remove(condition string) func(*testing.T, *bench) {
	return statement("DELETE FROM confide_audit_entries WHERE " + condition)
}

func all(list ...func(*testing.T, *bench)) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		for _, f := range list {
			f(t, b)
		}
	}
}

// dataOf reads the bytes of an entry, and rewrite changes them.
func (b *bench) dataOf(t *testing.T, log string, seq int64) []byte {
	t.Helper()
	got, err := b.cfg.Store.Entries(b.ctx, audit.Selection{Log: log, MinSeq: seq, MaxSeq: seq, Limit: 1})
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0].Data
}

// rewrite changes an entry's bytes, with its hash column if the attacker is careful.
func rewrite(log string, seq int64, careful bool, change func(data []byte) []byte) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		data := change(b.dataOf(t, log, seq))
		set("data", data, log, seq)(t, b)
		if careful {
			hash := tlog.RecordHash(data)
			set("hash", hash[:], log, seq)(t, b)
		}
	}
}

func otherActor(data []byte) []byte { return bytes.Replace(data, []byte("u3"), []byte("u4"), 1) }
func flip(at int) func([]byte) []byte {
	return func(data []byte) []byte { data[at] ^= 1; return data }
}

// rechain edits an entry and recomputes hash, chain, tree and head of
// everything behind it, with all the care an attacker without the key can take.
func rechain(log string, from int64) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		entries, err := b.cfg.Store.Entries(b.ctx, audit.Selection{Log: log, MaxSeq: 1 << 40, Limit: 1000})
		require.NoError(t, err)
		var hashes []tlog.Hash
		reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			list := make([]tlog.Hash, len(at))
			for i, x := range at {
				list[i] = hashes[x]
			}
			return list, nil
		})
		var prev tlog.Hash
		for _, e := range entries {
			data := e.Data
			if e.Seq == from {
				data = otherActor(data)
				set("actor", "u4", log, e.Seq)(t, b)
			}
			if e.Seq > from {
				copy(data[10:42], prev[:])
			}
			prev = tlog.RecordHash(data)
			stored, err := tlog.StoredHashes(e.Seq, data, reader)
			require.NoError(t, err)
			hashes = append(hashes, stored...)
			set("data", data, log, e.Seq)(t, b)
			set("hash", prev[:], log, e.Seq)(t, b)
		}
		b.exec(t, "UPDATE confide_audit_heads SET tip = ?, edge = ? WHERE log_id = ?", prev[:], edgeOf(t, hashes, int64(len(entries))), log)
	}
}

// edgeOf computes the roots of a tree's complete subtrees from its stored hashes.
func edgeOf(t *testing.T, hashes []tlog.Hash, size int64) []byte {
	t.Helper()
	var edge []byte
	for level, start := 62, int64(0); level >= 0; level-- {
		if size&(1<<level) != 0 {
			h := hashes[tlog.StoredHashIndex(level, start>>level)]
			edge = append(edge, h[:]...)
			start += 1 << level
		}
	}
	return edge
}

// shift moves all entries from a place on by one, upwards or downwards. Going
// through large numbers keeps the unique constraint quiet.
func shift(log string, from, by int64) func(*testing.T, *bench) {
	return all(
		statement("UPDATE confide_audit_entries SET seq = seq + 1000000 WHERE log_id = ? AND seq >= ?", log, from),
		statement("UPDATE confide_audit_entries SET seq = seq - 1000000 + ? WHERE log_id = ? AND seq >= 1000000", by, log),
		statement("UPDATE confide_audit_rows SET seq = seq + 1000000 WHERE log_id = ? AND seq >= ?", log, from),
		statement("UPDATE confide_audit_rows SET seq = seq - 1000000 + ? WHERE log_id = ? AND seq >= 1000000", by, log),
	)
}

func swap(log string, i, j int64) func(*testing.T, *bench) {
	var list []func(*testing.T, *bench)
	for _, table := range []string{"confide_audit_entries", "confide_audit_rows"} {
		for _, m := range [][2]int64{{i, -9}, {j, i}, {-9, j}} {
			list = append(list, statement("UPDATE "+table+" SET seq = ? WHERE log_id = ? AND seq = ?", m[1], log, m[0]))
		}
	}
	return all(list...)
}

// forge writes an entry of the attacker's own making.
func forge(log string, seq int64) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		data := b.dataOf(t, "main", 3)
		copy(data[42+1:], "forged-event-id!")
		binary.BigEndian.PutUint64(data[2:], uint64(seq))
		hash := tlog.RecordHash(data)
		b.exec(t, "INSERT INTO confide_audit_entries (log_id, seq, event, at, actor, action) VALUES (?, ?, ?, 1, 'u3', 'customer.create')"[:0]+
			"INSERT INTO confide_audit_entries (log_id, seq, event, at, actor, action, resource, result, hash, data) SELECT ?, ?, ?, at, actor, action, resource, result, ?, ? FROM confide_audit_entries WHERE log_id = 'main' AND seq = 3",
			log, seq, data[43:59], hash[:], data)
	}
}

// nodes puts a node where none belongs in so short a log, or, after making the
// log long enough, leaves the one that is there.
func nodes(long bool) func(*testing.T, *bench) {
	return func(t *testing.T, b *bench) {
		if !long {
			b.exec(t, "INSERT INTO confide_audit_nodes (log_id, level, idx, hash) VALUES ('main', 1, 0, ?)", make([]byte, 32))
			return
		}
		for range 250 {
			require.NoError(t, b.log.RecordApart(b.ctx, "a.b"))
		}
		b.seal(t)
		require.True(t, b.verify(t).OK)
	}
}

func anySize(log string) func(*testing.T, *bench) {
	return statement("UPDATE confide_audit_heads SET size = size - 1 WHERE log_id = ?", log)
}

func tamperings() []attack {
	return []attack{
		{"nothing", all(), nil},

		{"edit the bytes", rewrite("main", 4, false, otherActor), []string{"edited main#4", "revision-gap"}},
		{"edit the bytes and their hash", rewrite("main", 4, true, otherActor), []string{"edited main#4", "revision-gap"}},
		{"edit the first entry", rewrite("main", 0, true, otherActor), []string{"edited main#0", "revision-gap"}},
		{"edit the last entry", rewrite("main", 9, false, otherActor), []string{"edited main#9", "revision-gap"}},
		{"edit the last entry and its hash", rewrite("main", 9, true, otherActor), []string{"edited main#9", "revision-gap"}},
		{"edit two entries", all(rewrite("main", 2, false, otherActor), rewrite("acme", 1, false, otherActor)),
			[]string{"edited acme#1", "edited main#2", "revision-gap", "revision-gap"}},
		{"edit neighbours and their hashes", all(rewrite("main", 2, true, otherActor), rewrite("main", 3, true, otherActor)),
			[]string{"edited main#2", "edited main#3", "revision-gap", "revision-gap"}},
		{"edit the version", rewrite("main", 4, false, flip(0)), []string{"edited main#4", "revision-gap"}},
		{"edit the kind", rewrite("main", 4, false, flip(1)), []string{"edited main#4", "revision-gap"}},
		{"edit the sequence number inside", rewrite("main", 4, false, flip(2)), []string{"edited main#4", "revision-gap"}},
		{"edit the predecessor's hash inside", rewrite("main", 4, false, flip(20)), []string{"edited main#4", "revision-gap"}},
		{"empty the bytes", set("data", []byte{}, "main", 4), []string{"edited main#4", "revision-gap"}},
		{"truncate the bytes", rewrite("main", 4, true, func(b []byte) []byte { return b[:len(b)-1] }), []string{"edited main#4", "revision-gap"}},
		{"append to the bytes", rewrite("main", 4, true, func(b []byte) []byte { return append(b, 0) }), []string{"edited main#4", "revision-gap"}},
		{"copy another tenant's entry over", func(t *testing.T, b *bench) {
			rewrite("main", 4, true, func([]byte) []byte { return b.dataOf(t, "acme", 4) })(t, b)
		}, []string{"edited main#4", "revision-gap"}},

		{"edit the hash column", set("hash", make([]byte, 32), "main", 4), []string{"index-edited main#4"}},
		{"edit the event column", set("event", bytes.Repeat([]byte{9}, 16), "main", 4), []string{"index-edited main#4"}},
		{"edit the time column", set("at", 1, "main", 4), []string{"index-edited main#4"}},
		{"edit the actor column", set("actor", "u9", "main", 4), []string{"index-edited main#4"}},
		{"edit the action column", set("action", "customer.read", "main", 4), []string{"index-edited main#4"}},
		{"edit the resource column", set("resource", "invoice", "main", 4), []string{"index-edited main#4"}},
		{"edit the result column", set("result", "denied", "main", 4), []string{"index-edited main#4"}},
		{"edit the log column", statement("UPDATE confide_audit_entries SET log_id = 'acme' WHERE log_id = 'main' AND seq = 9"),
			[]string{"inserted acme#9", "revision-gap", "truncated main#9"}},
		{"edit the sequence column", statement("UPDATE confide_audit_entries SET seq = 90 WHERE log_id = 'main' AND seq = 4"),
			[]string{"deleted main#4", "inserted main#90", "revision-gap"}},
		{"edit the row index", statement("UPDATE confide_audit_rows SET row_id = 'x' WHERE log_id = 'main' AND seq = 4"), []string{"index-edited main#4"}},
		{"move in the row index", statement("UPDATE confide_audit_rows SET resource = 'invoice' WHERE log_id = 'main' AND seq = 4"), []string{"index-edited main#4"}},
		{"delete from the row index", statement("DELETE FROM confide_audit_rows WHERE log_id = 'main' AND seq = 4"), []string{"index-edited main#4"}},
		{"add to the row index", statement("INSERT INTO confide_audit_rows (log_id, resource, row_id, seq) VALUES ('main', 'invoice', '1', 4)"), []string{"index-edited main#4"}},

		{"swap two entries", swap("main", 2, 7), []string{"reordered main#2", "reordered main#7", "revision-gap", "revision-gap"}},
		{"swap two neighbours", swap("main", 2, 3), []string{"reordered main#2", "reordered main#3", "revision-gap", "revision-gap"}},
		{"swap the bytes of two entries", func(t *testing.T, b *bench) {
			x, y := b.dataOf(t, "main", 2), b.dataOf(t, "main", 7)
			set("data", y, "main", 2)(t, b)
			set("data", x, "main", 7)(t, b)
		}, []string{"reordered main#2", "reordered main#7", "revision-gap", "revision-gap"}},

		{"delete the first", remove("log_id = 'main' AND seq = 0"), []string{"deleted main#0", "revision-gap"}},
		{"delete one in the middle", remove("log_id = 'main' AND seq = 5"), []string{"deleted main#5", "revision-gap"}},
		{"delete several in the middle", remove("log_id = 'main' AND seq IN (3, 4)"), []string{"deleted main#3-4", "revision-gap", "revision-gap"}},
		{"delete here and there", remove("log_id = 'main' AND seq IN (1, 4, 8)"),
			[]string{"deleted main#1", "deleted main#4", "deleted main#8", "revision-gap", "revision-gap", "revision-gap"}},
		{"delete the tail", remove("log_id = 'main' AND seq >= 8"), []string{"truncated main#8-9", "revision-gap", "revision-gap"}},
		{"delete the tail and shorten the head", all(remove("log_id = 'main' AND seq = 9"), anySize("main")),
			[]string{"head-edited main", "truncated main#9", "revision-gap"}},
		{"delete and close the gap", all(remove("log_id = 'main' AND seq = 3"), statement("DELETE FROM confide_audit_rows WHERE log_id = 'main' AND seq = 3"), shift("main", 4, -1)),
			[]string{"deleted main#3", "truncated main#9", "revision-gap"}},
		{"delete all entries of a tenant", remove("log_id = 'acme'"), []string{"log-deleted acme#0-4", "revision-gap"}},
		{"delete a tenant's log with its head", all(remove("log_id = 'acme'"), statement("DELETE FROM confide_audit_heads WHERE log_id = 'acme'")),
			[]string{"head-edited acme", "log-deleted acme#0-4", "revision-gap"}},
		{"delete a tenant's head", statement("DELETE FROM confide_audit_heads WHERE log_id = 'acme'"), []string{"head-edited acme"}},
		{"delete a tenant's log and every trace in the top log", all(
			remove("log_id = 'acme'"), statement("DELETE FROM confide_audit_heads WHERE log_id = 'acme'"), statement("DELETE FROM confide_audit_revisions WHERE log_id = 'acme'"),
			remove("log_id = '' AND seq = 1")), []string{"deleted (top)#1"}},
		{"delete everything", all(remove("1 = 1"), statement("DELETE FROM confide_audit_heads"), statement("DELETE FROM confide_audit_rows"), statement("DELETE FROM confide_audit_revisions")),
			[]string{"head-edited (top)", "log-deleted (top)#0-2"}},
		{"delete the top log", remove("log_id = ''"), []string{"log-deleted (top)#0-2", "head-edited acme", "head-edited main"}},
		{"edit the top log", rewrite("", 1, false, flip(60)), []string{"edited (top)#1", "head-edited acme"}},

		{"add at the end", forge("main", 10), []string{"inserted main#10"}},
		{"add before the beginning", forge("main", -1), []string{"inserted main entries -1 to -1"}},
		{"add in the middle", all(shift("main", 4, 1), forge("main", 4)), []string{"inserted main#4", "edited main#3", "index-edited main#4", "inserted main#10", "revision-gap"}},
		{"add a log", forge("evil", 0), []string{"inserted evil#0"}},

		{"rewrite the tail without the key", rechain("main", 7), []string{"head-edited main", "rewritten main#6-9"}},
		{"rewrite everything without the key", rechain("main", 0), []string{"head-edited main", "rewritten main#0-5"}},
		{"rewrite the top log without the key", all(rewrite("", 0, true, flip(90)), rechain("", 0)), []string{"bad-checkpoint (top)#0", "forked (top)#0", "head-edited (top)", "index-edited"}},

		{"edit the head's size", anySize("main"), []string{"head-edited main"}},
		{"edit the head's edge", statement("UPDATE confide_audit_heads SET edge = ? WHERE log_id = 'main'", make([]byte, 64)), []string{"head-edited main"}},
		{"edit the head's tip", statement("UPDATE confide_audit_heads SET tip = ? WHERE log_id = 'main'", make([]byte, 32)), []string{"head-edited main#9"}},
		{"edit the head's checkpoint", statement("UPDATE confide_audit_heads SET note = ? WHERE log_id = 'main'", []byte("crm.example/audit/main\n10\nAAAA\n\n— crm.example/audit AAAA\n")),
			[]string{"bad-checkpoint main"}},
		{"put another log's head", statement("UPDATE confide_audit_heads SET note = (SELECT note FROM (SELECT note FROM confide_audit_heads WHERE log_id = 'acme') x) WHERE log_id = 'main'"),
			[]string{"head-edited main"}},

		{"set a revision counter back", statement("UPDATE confide_audit_revisions SET rev = 0 WHERE row_id = 'main4'"), []string{"revision-gap main customer main4"}},
		{"raise a revision counter", statement("UPDATE confide_audit_revisions SET rev = 2 WHERE row_id = 'main4'"), []string{"revision-gap main customer main4"}},
		{"edit a node", all(nodes(true), statement("UPDATE confide_audit_nodes SET hash = ?", make([]byte, 32))), []string{"index-edited main node 0 of level 1"}},
		{"add a node beyond the end", nodes(false), []string{"index-edited main node 0 of level 1"}},

		{"delete a revision counter", statement("DELETE FROM confide_audit_revisions WHERE row_id = 'main4'"), []string{"revision-gap (top) counters"}},
	}
}

// found gives each break as "kind place", the revision gaps without place where
// the attack expects them so: one follows from every change that was lost.
func found(r audit.Report, want []string) []string {
	var list []string
	seen := map[string]bool{}
	for _, b := range r.Breaks {
		s := fmt.Sprintf("%s %s", b.Kind, b.Place)
		if !slices.Contains(want, s) && slices.Contains(want, string(b.Kind)) {
			s = string(b.Kind)
		}
		if s == "revision-gap" && seen[s] {
			continue
		}
		seen[s] = true
		list = append(list, s)
	}
	return list
}

func unique(list []string) []string {
	list = slices.Sorted(slices.Values(list))
	return slices.Compact(list)
}

func TestTamper(t *testing.T) {
	eachAttack(t, tamperings(), seeded, func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		r := b.verify(t)
		require.Equal(t, unique(a.want), unique(found(r, a.want)), "%s", r)
		require.Equal(t, len(a.want) == 0, r.OK)
		require.True(t, r.Anchored)
	})
}

// What an administrator can do to events that wait for the sealer.
func TestTamperPending(t *testing.T) {
	waiting := func(t *testing.T, db testdb.DB) *bench {
		b := seeded(t, db)
		require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "waits"}).Error)
		return b
	}
	eachAttack(t, []attack{
		{"nothing", all(), nil},
		{"edit the bytes", func(t *testing.T, b *bench) {
			pending, err := b.cfg.Store.Pending(b.ctx, 0, 1)
			require.NoError(t, err)
			b.exec(t, "UPDATE confide_audit_pending SET data = ? WHERE id = ?", otherActor(pending[0].Data), pending[0].ID)
		}, []string{"pending-edited", "revision-gap"}},
		{"edit the event", statement("UPDATE confide_audit_pending SET event = ?", bytes.Repeat([]byte{1}, 16)), []string{"pending-edited", "revision-gap"}},
		{"edit the mac", statement("UPDATE confide_audit_pending SET mac = ?", make([]byte, 32)), []string{"pending-edited", "revision-gap"}},
		{"add with a hash for a mac", func(t *testing.T, b *bench) {
			pending, err := b.cfg.Store.Pending(b.ctx, 0, 1)
			require.NoError(t, err)
			data := otherActor(pending[0].Data)
			sum := sha256.Sum256(data)
			b.dropPendingIndex(t)
			b.exec(t, "INSERT INTO confide_audit_pending (event, data, mac) VALUES (?, ?, ?)", pending[0].Event, data, sum[:])
		}, []string{"pending-edited"}},
		{"double", all(func(t *testing.T, b *bench) { b.dropPendingIndex(t) },
			statement("INSERT INTO confide_audit_pending (event, data, mac) SELECT event, data, mac FROM confide_audit_pending")), []string{"pending-edited"}},
		{"put a sealed event back", func(t *testing.T, b *bench) {
			pending, err := b.cfg.Store.Pending(b.ctx, 0, 1)
			require.NoError(t, err)
			b.seal(t)
			b.exec(t, "INSERT INTO confide_audit_pending (event, data, mac) VALUES (?, ?, ?)", pending[0].Event, pending[0].Data, pending[0].MAC)
		}, []string{"pending-edited"}},
		{"delete", statement("DELETE FROM confide_audit_pending"), []string{"revision-gap main customer waits"}},
		{"delete and set the counter back", all(statement("DELETE FROM confide_audit_pending"), statement("DELETE FROM confide_audit_revisions WHERE row_id = 'waits'")),
			nil}, // doc.go says so: until the next change of the row, nobody misses it
	}, waiting, func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		r := b.verify(t)
		require.Equal(t, unique(a.want), unique(found(r, a.want)), "%s", r)

		_, err := b.log.Seal(b.ctx)
		if slices.Contains(a.want, "pending-edited") {
			require.ErrorIs(t, err, audit.ErrTampered)
		} else {
			require.NoError(t, err)
		}
		events := b.events(t, audit.Query{Row: "waits", Resource: "customer"})
		for _, e := range events {
			require.Equal(t, "u3", e.Actor.ID, "the edited event was sealed")
		}
		require.LessOrEqual(t, len(events), 1, "an event was sealed twice")
	})
}

func TestARevisionHoleShowsAnEventDeletedBeforeItWasSealed(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		tx := b.WithContext(b.ctx)
		require.NoError(t, tx.Create(&customer{ID: "1"}).Error)
		require.NoError(t, tx.Model(&customer{ID: "1"}).Update("owner", "thief").Error)
		require.NoError(t, tx.Model(&customer{ID: "1"}).Update("owner", "u3").Error)
		pending, err := b.cfg.Store.Pending(b.ctx, 0, 10)
		require.NoError(t, err)
		b.exec(t, "DELETE FROM confide_audit_pending WHERE id = ?", pending[1].ID)
		b.exec(t, "UPDATE confide_audit_revisions SET rev = 2")
		b.seal(t)
		r := b.verify(t)
		require.Contains(t, r.String(), "revision-gap main customer 1: the events of changes 2 to 2 are missing")
	})
}

func TestSealRefusesToExtendWhatItHasNotSigned(t *testing.T) {
	eachAttack(t, []attack{
		{"rewritten", rechain("main", 7), nil},
		{"edge", statement("UPDATE confide_audit_heads SET edge = ? WHERE log_id = 'main'", make([]byte, 64)), nil},
		{"size", anySize("main"), nil},
		{"note", statement("UPDATE confide_audit_heads SET note = ? WHERE log_id = 'main'", []byte("x")), nil},
		{"tip", statement("UPDATE confide_audit_heads SET tip = ? WHERE log_id = 'main'", []byte("short, and padded where it must be")[:32]), nil},
	}, seeded, func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		require.NoError(t, b.log.Record(b.ctx, "one.more"))
		require.NoError(t, b.log.Record(as(b.ctx, audit.Actor{Tenant: "acme"}), "one.more", slog.String("result", "ok")))
		n, err := b.log.Seal(b.ctx)
		if a.name == "tip" { // no signature covers the tip; Verify finds it
			require.NoError(t, err)
			require.False(t, b.verify(t).OK)
			return
		}
		require.ErrorIs(t, err, audit.ErrTampered)
		require.ErrorContains(t, err, `log "main"`)
		require.Equal(t, 1, n, "the other tenant's log must go on")
	})
}

func TestACounterThatWasSetBackCountsTwice(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		update := func(owner string) {
			require.NoError(t, b.WithContext(as(b.ctx, audit.Actor{Tenant: "main"})).Model(&customer{ID: "main1"}).Update("owner", owner).Error)
		}
		update("thief")
		b.exec(t, "DELETE FROM confide_audit_pending")
		b.exec(t, "UPDATE confide_audit_revisions SET rev = 0 WHERE row_id = 'main1'")
		update("u3")
		b.seal(t)
		r := b.verify(t)
		require.Equal(t, []string{"revision-gap main customer main1"}, found(r, nil), "%s", r)
		require.Contains(t, r.String(), "two events carry change 1")
	})
}
