package rbac_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

// TestScopeUsesTheIndex: being exact must not cost the index, on no database.
func TestScopeUsesTheIndex(t *testing.T) {
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		free := db.Reopen(t).DB
		require.NoError(t, db.AutoMigrate(&Thing{}))
		var rows []map[string]any
		for i := range 4000 {
			rows = append(rows, map[string]any{"id": fmt.Sprint(i), "tenant_id": "t1", "owner": fmt.Sprintf("o%d", i%1000), "status": "", "small": 0, "touched": 0})
		}
		require.NoError(t, db.Table("things").CreateInBatches(rows, 500).Error)
		analyze := map[string]string{testdb.SQLite: "ANALYZE", testdb.Postgres: "ANALYZE things", testdb.MySQL: "ANALYZE TABLE things"}
		require.NoError(t, db.Exec(analyze[db.Engine]).Error)
		for _, when := range []string{"row.owner == caller.id", "row.owner in caller.reports", "row.owner == caller.id && !row.flag"} {
			a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Record: rbac.Discard, Attrs: attrs(), Resources: []rbac.Resource{{Model: &Thing{}, Tenant: "tenant_id"}},
				Policies: rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "thing", Actions: []string{"read"}, When: when}}})})
			require.NoError(t, err)
			guarded := db.Reopen(t)
			require.NoError(t, guarded.Use(a))
			ctx := inContext(rbac.Caller{ID: "o7", Tenant: "t1", Attrs: map[string]any{"reports": []string{"o1", "o2"}}})
			stmt := guarded.Session(&gorm.Session{DryRun: true}).WithContext(ctx).Find(&[]Thing{}).Statement
			require.NotEmpty(t, stmt.SQL.String())
			plan := explainPlan(t, free, db.Engine, stmt.SQL.String(), stmt.Vars)
			require.Contains(t, plan, "idx_things_owner", "%s\n%s", when, stmt.SQL.String())
			if db.Engine == testdb.Postgres {
				require.NotContains(t, plan, "Seq Scan", when)
			}
		}
	})
}

func explainPlan(t *testing.T, db *gorm.DB, engine, query string, vars []any) string {
	explain := map[string]string{testdb.SQLite: "EXPLAIN QUERY PLAN ", testdb.Postgres: "EXPLAIN ", testdb.MySQL: "EXPLAIN "}[engine]
	pool, err := db.DB()
	require.NoError(t, err)
	rows, err := pool.Query(explain+query, vars...)
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
			if x := *v.(*any); columns[i] != "possible_keys" {
				if b, ok := x.([]byte); ok {
					x = string(b)
				}
				fmt.Fprint(&plan, x, " ")
			}
		}
		plan.WriteString("\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
