package audit_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// fill records 500 events of two tenants; event i has the properties its number gives.
func (b *bench) fill(t *testing.T) {
	t.Helper()
	for i := range 500 {
		ctx := as(b.ctx, audit.Actor{ID: fmt.Sprint("u", i%3), Tenant: []string{"main", "acme"}[i%2], Channel: []string{"web", "", "api"}[i%3]})
		require.NoError(t, b.log.RecordApart(ctx, fmt.Sprint("act.", i%5), slog.String("resource", []string{"customer", "invoice"}[i/2%2]),
			slog.Any("rows", []string{fmt.Sprint(i % 7), "all"}), slog.String("result", []string{"ok", "denied"}[i%4/3]), slog.Int("i", i),
			slog.String("subject", fmt.Sprint("customer:", i%11)), slog.String("purpose", longPurpose+fmt.Sprint(i%6)), slog.String("fields", []string{"phone", "name,email", "owner"}[i%3])))
	}
	b.seal(t)
}

// longPurpose is longer than an index key, so that its end must count, too.
var longPurpose = strings.Repeat("because ", 40)

func dataTyped(cfg *audit.Config) {
	cfg.DataType = func(resource, field string) string {
		return map[string]string{"phone": "contact", "email": "contact", "name": "identity"}[field]
	}
}

func numbers(events []audit.Event) []int64 {
	list := []int64{}
	for _, e := range events {
		list = append(list, e.Attrs[0].Value.Int64())
	}
	return list
}

func TestQuery(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, dataTyped)
		b.fill(t)
		start := time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC) // event i was recorded i+1 seconds later
		for _, c := range []struct {
			name string
			q    audit.Query
			want func(i int) bool
		}{
			{"all", audit.Query{}, func(int) bool { return true }},
			{"time", audit.Query{From: start.Add(101 * time.Second), To: start.Add(201 * time.Second)}, func(i int) bool { return i >= 100 && i < 200 }},
			{"actor", audit.Query{Actor: "u1"}, func(i int) bool { return i%3 == 1 }},
			{"action", audit.Query{Action: "act.4"}, func(i int) bool { return i%5 == 4 }},
			{"resource", audit.Query{Resource: "invoice"}, func(i int) bool { return i/2%2 == 1 }},
			{"row", audit.Query{Resource: "customer", Row: "6"}, func(i int) bool { return i/2%2 == 0 && i%7 == 6 }},
			{"result", audit.Query{Result: "denied"}, func(i int) bool { return i%4 == 3 }},
			{"channel", audit.Query{Channel: "api"}, func(i int) bool { return i%3 == 2 }},
			{"subject", audit.Query{Subject: "customer:7"}, func(i int) bool { return i%11 == 7 }},
			{"purpose", audit.Query{Purpose: longPurpose + "5"}, func(i int) bool { return i%6 == 5 }},
			{"data type", audit.Query{DataType: "contact"}, func(i int) bool { return i%3 < 2 }},
			{"data type and channel", audit.Query{DataType: "identity", Channel: "api"}, func(i int) bool { return false }},
			{"many terms", audit.Query{DataType: "identity", Subject: "customer:3", Purpose: longPurpose + "1"}, func(i int) bool { return i%3 == 1 && i%11 == 3 && i%6 == 1 }},
			{"several", audit.Query{Actor: "u2", Action: "act.0", Resource: "customer", Row: "all"}, func(i int) bool { return i%3 == 2 && i%5 == 0 && i/2%2 == 0 }},
			{"injection", audit.Query{Actor: "u1' OR '1'='1"}, func(int) bool { return false }},
		} {
			for odd, tenant := range []string{"main", "acme"} {
				want := []int64{}
				for i := odd; i < 500; i += 2 {
					if c.want(i) {
						want = append(want, int64(i))
					}
				}
				q := c.q
				q.Tenant, q.OldestFirst = tenant, true
				require.Equal(t, want, numbers(b.events(t, q)), "%s of %s", c.name, tenant)

				var paged []audit.Event // newest first, in pages of 9, by cursor
				q.OldestFirst, q.Limit = false, 9
				for page := b.events(t, q); len(page) > 0; page = b.events(t, q) {
					require.LessOrEqual(t, len(page), 9)
					paged = append(paged, page...)
					q.After = page[len(page)-1].Cursor()
				}
				got := numbers(paged)
				for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
					got[i], got[j] = got[j], got[i]
				}
				require.Equal(t, want, got, "%s of %s, paged", c.name, tenant)
			}
		}
		require.Empty(t, b.events(t, audit.Query{Tenant: "MAIN"}), "another tenant's events")
		require.Empty(t, b.events(t, audit.Query{Tenant: "main "}), "another tenant's events")

		page := b.events(t, audit.Query{Limit: 3})
		require.NoError(t, b.log.Record(b.ctx, "meanwhile"))
		b.seal(t)
		next := b.events(t, audit.Query{Limit: 1, After: page[2].Cursor()})
		require.Equal(t, page[2].Seq-1, next[0].Seq, "a new event moved the pages")
	})
}

// What waits is shown on request, filtered like the rest, and never unchecked.
func TestWaiting(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, dataTyped)
		b.fill(t)
		for i := range 250 {
			require.NoError(t, b.log.RecordApart(b.ctx, []string{"new.odd", "new.even"}[i%2], slog.String("subject", "customer:1"), slog.Int("i", i)))
		}
		require.NoError(t, b.log.RecordApart(as(b.ctx, audit.Actor{Tenant: "acme"}), "new.odd"))
		require.NoError(t, b.log.Flush(b.ctx))
		waiting := func(q audit.Query) (list []audit.Event, bad []error) {
			q.OldestFirst = true
			for e, err := range b.log.Waiting(b.ctx, q) {
				if err != nil {
					bad = append(bad, err)
					continue
				}
				require.EqualValues(t, -1, e.Seq)
				list = append(list, e)
			}
			return list, bad
		}
		list, bad := waiting(audit.Query{})
		require.Len(t, list, 250)
		require.Empty(t, bad)
		list, _ = waiting(audit.Query{Action: "new.odd", Subject: "customer:1", Limit: 100})
		require.Len(t, list, 100)
		require.Equal(t, "new.odd", list[99].Action)
		list, _ = waiting(audit.Query{Tenant: "acme"})
		require.Len(t, list, 1)

		b.exec(t, "UPDATE confide_audit_pending SET mac = ? WHERE id = (SELECT x.id FROM (SELECT MIN(id) AS id FROM confide_audit_pending) x)", make([]byte, 32))
		list, bad = waiting(audit.Query{})
		require.Len(t, list, 249)
		require.Len(t, bad, 1)
		require.ErrorIs(t, bad[0], audit.ErrTampered)
		for _, q := range []audit.Query{{}, {OldestFirst: true, After: "1"}} {
			for _, err := range b.log.Waiting(b.ctx, q) {
				require.ErrorIs(t, err, audit.ErrInvalid)
			}
		}
	})
}

// An attacker who takes terms out of the index, adds or doubles them, hides or
// shows nothing unnoticed.
func TestEditedTermsAreSeen(t *testing.T) {
	for _, statement := range []string{
		"DELETE FROM confide_audit_rows WHERE resource = '#channel' AND seq = 3 AND log_id = 'main'",
		"DELETE FROM confide_audit_rows WHERE resource = '#datatype' AND seq = 3 AND log_id = 'main'",
		"UPDATE confide_audit_rows SET row_id = 'customer:0' WHERE resource = '#subject' AND seq = 3 AND log_id = 'main'",
		"UPDATE confide_audit_rows SET resource = '#purpose' WHERE resource = '#subject' AND seq = 3 AND log_id = 'main'",
		"INSERT INTO confide_audit_rows (log_id, resource, row_id, seq) VALUES ('main', '#channel', 'zzz', 3)",
		"INSERT INTO confide_audit_rows (log_id, resource, row_id, seq) VALUES ('main', '#new', 'x', 3)",
	} {
		b := setUp(t, testdb.New(t, testdb.SQLite), dataTyped)
		b.fill(t)
		b.exec(t, statement)
		r := b.verify(t)
		require.Len(t, r.Breaks, 1, "%s\n%s", statement, r)
		require.Equal(t, audit.IndexEdited, r.Breaks[0].Kind)
		require.EqualValues(t, 3, r.Breaks[0].Place.First)
	}
}

func TestQueryRefuses(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	for _, c := range []struct {
		q    audit.Query
		want string
	}{
		{audit.Query{Row: "1"}, "Query.Row needs Query.Resource"},
		{audit.Query{After: "x"}, "Query.After is not a cursor"},
		{audit.Query{After: "-1"}, "Query.After is not a cursor"},
	} {
		for _, err := range log.Events(t.Context(), c.q) {
			require.ErrorIs(t, err, audit.ErrInvalid)
			require.ErrorContains(t, err, c.want)
		}
	}
}

// The plans behind the questions an auditor asks most.
func TestQueriesUseTheirIndex(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	for _, c := range []struct{ sql, index string }{
		{"SELECT 1 FROM confide_audit_entries e WHERE e.log_id = 'm' AND e.seq <= 9 AND e.actor = 'u' ORDER BY e.seq DESC LIMIT 5", "confide_audit_entries_actor"},
		{"SELECT 1 FROM confide_audit_entries e WHERE e.log_id = 'm' AND e.seq <= 9 AND e.action = 'a' ORDER BY e.seq DESC LIMIT 5", "confide_audit_entries_action"},
		{"SELECT 1 FROM confide_audit_rows r JOIN confide_audit_entries e ON e.log_id = r.log_id AND e.seq = r.seq WHERE r.log_id = 'm' AND r.resource = 'c' AND r.row_id = '1' ORDER BY r.seq DESC LIMIT 5", "sqlite_autoindex_confide_audit_rows_1"},
	} {
		var plan []struct{ Detail string }
		require.NoError(t, b.Raw("EXPLAIN QUERY PLAN "+c.sql).Scan(&plan).Error)
		require.Contains(t, fmt.Sprint(plan), c.index)
		require.NotContains(t, fmt.Sprint(plan), "TEMP B-TREE", "the rows are sorted instead of read in order")
	}
}

func TestEventsShowsNoForgery(t *testing.T) {
	eachAttack(t, []attack{
		{"bytes", rewrite("main", 4, false, otherActor), []string{"entry 4 of log \"main\" was edited"}},
		{"field", rewrite("main", 4, false, func(b []byte) []byte { return bytes.Replace(b, []byte("owner"), []byte("phone"), 1) }), []string{"entry 4 of log \"main\" was edited"}},
		{"place", swap("main", 4, 5), []string{"is not what belongs there"}},
		{"column", set("actor", "u4", "main", 4), []string{"column actor of entry 4"}},
		{"result", set("result", "denied", "main", 4), []string{"column result of entry 4"}},
	}, seeded, func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		good, bad := 0, 0
		for e, err := range b.log.Events(b.ctx, audit.Query{}) {
			if err == nil {
				good++
				continue
			}
			bad++
			require.ErrorIs(t, err, audit.ErrTampered)
			require.Empty(t, e.ID)
			if bad == 1 && a.name != "place" {
				require.ErrorContains(t, err, a.want[0])
			}
		}
		require.Equal(t, 10, good+bad)
		require.Positive(t, bad)
		require.LessOrEqual(t, bad, 2)
	})
}
