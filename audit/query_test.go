package audit_test

import (
	"bytes"
	"fmt"
	"log/slog"
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
		ctx := as(b.ctx, audit.Actor{ID: fmt.Sprint("u", i%3), Tenant: []string{"main", "acme"}[i%2]})
		require.NoError(t, b.log.RecordApart(ctx, fmt.Sprint("act.", i%5), slog.String("resource", []string{"customer", "invoice"}[i/2%2]),
			slog.Any("rows", []string{fmt.Sprint(i % 7), "all"}), slog.String("result", []string{"ok", "denied"}[i%4/3]), slog.Int("i", i)))
	}
	b.seal(t)
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
		b := setUp(t, db)
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
	for name, c := range map[string]struct {
		do   func(*testing.T, *bench)
		want string
	}{
		"bytes":  {rewrite("main", 4, false, otherActor), "entry 4 of log \"main\" was edited"},
		"field":  {rewrite("main", 4, false, func(b []byte) []byte { return bytes.Replace(b, []byte("owner"), []byte("phone"), 1) }), "entry 4 of log \"main\" was edited"},
		"place":  {swap("main", 4, 5), "is not what belongs there"},
		"column": {set("actor", "u4", "main", 4), "column actor of entry 4"},
		"result": {set("result", "denied", "main", 4), "column result of entry 4"},
	} {
		t.Run(name, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, db testdb.DB) {
				b := setUp(t, db)
				b.seed(t)
				c.do(t, b)
				good, bad := 0, 0
				for e, err := range b.log.Events(b.ctx, audit.Query{}) {
					if err == nil {
						good++
						continue
					}
					bad++
					require.ErrorIs(t, err, audit.ErrTampered)
					require.Empty(t, e.ID)
					if bad == 1 && name != "place" {
						require.ErrorContains(t, err, c.want)
					}
				}
				require.Equal(t, 10, good+bad)
				require.Positive(t, bad)
				require.LessOrEqual(t, bad, 2)
			})
		})
	}
}
