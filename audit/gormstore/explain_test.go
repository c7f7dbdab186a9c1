package gormstore_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

// fill commits entries whose properties differ enough for a planner to care.
func fill(t *testing.T, store *gormstore.Store, entries int) {
	t.Helper()
	const batch = 1000
	for from := 0; from < entries; from += batch {
		b := audit.Batch{Heads: []audit.Head{{Log: "main", Was: int64(from), Size: int64(from + batch), Tip: make([]byte, 32), Edge: make([]byte, 32), Note: []byte("n")}}}
		for i := from; i < from+batch; i++ {
			b.Entries = append(b.Entries, audit.Stored{Log: "main", Seq: int64(i), Data: []byte("data"), Hash: make([]byte, 32), Index: audit.Index{
				Event: fmt.Appendf(nil, "%016d", i), At: int64(1_000_000 + i), Actor: fmt.Sprint("u", i%97), Action: fmt.Sprint("a", i%89),
				Resource: fmt.Sprint("r", i%83), Result: fmt.Sprint("x", i%79), Channel: fmt.Sprint("c", i%73), Subject: fmt.Sprint("s", i%997),
				Purpose: fmt.Sprint("p", i%499), DataTypes: []string{fmt.Sprint("d", i%67)}, Rows: []string{fmt.Sprint("k", i%991)}}})
		}
		require.NoError(t, store.Commit(t.Context(), b))
	}
}

// Every filter that a query has is answered by an index, on every engine, in
// the order in which the answer is wanted: nothing is sorted.
func TestEveryFilterUsesAnIndex(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		store, err := gormstore.Open(t.Context(), db.DB)
		require.NoError(t, err)
		fill(t, store, 5000)
		analyze(t, db)
		byRow := map[string]string{testdb.SQLite: "sqlite_autoindex_confide_audit_rows_1", testdb.Postgres: "confide_audit_rows_pkey", testdb.MySQL: " r range PRIMARY "}[db.Engine]
		for _, c := range []struct {
			sel   audit.Selection
			index string
		}{
			{audit.Selection{Actor: "u5"}, "confide_audit_entries_actor"},
			{audit.Selection{Action: "a5"}, "confide_audit_entries_action"},
			{audit.Selection{Resource: "r5"}, "confide_audit_entries_resource"},
			{audit.Selection{Result: "x5"}, "confide_audit_entries_result"},
			{audit.Selection{Resource: "r5", Row: "k5"}, byRow},
			{audit.Selection{Channel: "c5"}, byRow},
			{audit.Selection{Subject: "s5"}, byRow},
			{audit.Selection{Purpose: "p5"}, byRow},
			{audit.Selection{DataType: "d5"}, byRow},
			{audit.Selection{Subject: "s5", Channel: "c5", DataType: "d5"}, byRow},
			{audit.Selection{Since: 1_001_000, Until: 1_001_020}, "confide_audit_entries_at"},
		} {
			for _, descending := range []bool{false, true} {
				sel := c.sel
				sel.Log, sel.MaxSeq, sel.Limit, sel.Descending = "main", math.MaxInt64, 20, descending
				if descending {
					sel.MaxSeq = 4000 // the second page
				}
				query, args := store.SelectionSQL(sel)
				plan := explain(t, db, query, args)
				require.Contains(t, plan, c.index, "%+v\n%s", c.sel, query)
				if c.sel.Since == 0 {
					for _, sort := range []string{"TEMP B-TREE", "Sort", "filesort"} {
						require.NotContains(t, plan, sort, "%+v\n%s", c.sel, query)
					}
				}
				got, err := store.Entries(t.Context(), sel)
				require.NoError(t, err)
				require.NotEmpty(t, got)
			}
		}
	})
}

func analyze(t *testing.T, db testdb.DB) {
	t.Helper()
	for _, table := range []string{"confide_audit_entries", "confide_audit_rows"} {
		statement := "ANALYZE " + table
		if db.Engine == testdb.MySQL {
			statement = "ANALYZE TABLE " + table
		}
		require.NoError(t, db.Exec(statement).Error)
	}
}

// explain returns the plan of a statement as text.
func explain(t *testing.T, db testdb.DB, query string, args []any) string {
	t.Helper()
	prefix := map[string]string{testdb.SQLite: "EXPLAIN QUERY PLAN ", testdb.Postgres: "EXPLAIN ", testdb.MySQL: "EXPLAIN "}[db.Engine]
	pool, err := db.DB.DB()
	require.NoError(t, err)
	rows, err := pool.QueryContext(context.Background(), prefix+query, args...)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		require.NoError(t, rows.Scan(values...))
		for i, v := range values {
			if columns[i] == "possible_keys" {
				continue // what could be used says nothing
			}
			if b, ok := (*v.(*any)).([]byte); ok {
				fmt.Fprintf(&plan, "%s ", b)
			} else {
				fmt.Fprintf(&plan, "%v ", *v.(*any))
			}
		}
		plan.WriteString("\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
