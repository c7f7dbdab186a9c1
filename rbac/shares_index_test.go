package rbac_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

// Deal is the table of the plans: 20,000 rows, of which a path, an owner or a share picks a few.
type Deal struct {
	ID      string `gorm:"primaryKey;size:36"`
	OwnerID string `gorm:"size:36;not null;index"`
	Dept    string `gorm:"size:64;not null;index"`
}

// TestSharesUseTheIndex: paths and shares are found by an index on every database: the path's range, the
// shares by their grantee or row, and the rows of shares by their key, also where an OR adds the caller's own.
func TestSharesUseTheIndex(t *testing.T) {
	type plans map[string][]string
	cases := map[string]plans{
		"within(row.dept, caller.path)": {testdb.SQLite: {"idx_deals_dept (dept>? AND dept<?)"}, testdb.Postgres: {"idx_deals_dept_path"}, testdb.MySQL: {"idx_deals_dept"}},
		`shared(row, "read")`: {testdb.SQLite: {"SEARCH deals USING INDEX sqlite_autoindex_deals_1", "SEARCH confide_share USING"},
			testdb.Postgres: {"deals_pkey", "confide_shares_"}, testdb.MySQL: {"range PRIMARY"}},
		`row.owner_id == caller.id || shared(row, "read")`: {testdb.SQLite: {"MULTI-INDEX OR", "idx_deals_owner_id", "sqlite_autoindex_deals_1", "SEARCH confide_share USING"},
			testdb.Postgres: {"deals_pkey", "idx_deals_owner_id", "confide_shares_"}, testdb.MySQL: {"index_merge", "idx_deals_owner_id,PRIMARY"}},
	}
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		fillDeals(t, db.DB, db.Engine)
		for when, want := range cases {
			cfg := sharesConfig(rbac.ShareTable{Model: &rbac.Share{}, Grantees: map[string]string{"report": "reports"}}, rbac.Resource{Model: &Deal{}})
			cfg.Policies = rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "deal", Actions: []string{"read"}, When: when}}})
			a, err := rbac.Open(t.Context(), cfg)
			require.NoError(t, err)
			guarded := db.Reopen(t)
			require.NoError(t, guarded.Use(a))
			query, vars := "", []any(nil)
			require.NoError(t, guarded.Callback().Query().After("gorm:query").Register("see", func(db *gorm.DB) {
				query, vars = db.Statement.SQL.String(), db.Statement.Vars
			}))
			ctx := inContext(rbac.Caller{ID: "o7", Attrs: map[string]any{"path": "/1/17", "reports": []string{"o8", "o9"}}})
			var rows []Deal
			require.NoError(t, guarded.WithContext(ctx).Find(&rows).Error)
			require.NotEmpty(t, rows)
			require.Less(t, len(rows), 100)
			plan := explainPlan(t, db.DB, db.Engine, query, vars)
			for _, part := range want[db.Engine] {
				require.Contains(t, plan, part, "%s\n%s", when, query)
			}
			if db.Engine == testdb.Postgres {
				require.NotContains(t, plan, "Seq Scan", when)
			}
		}
	})
}

func fillDeals(t testing.TB, db *gorm.DB, engine string) {
	require.NoError(t, db.AutoMigrate(&Deal{}, &rbac.Share{}))
	if engine == testdb.Postgres {
		require.NoError(t, db.Exec("CREATE INDEX idx_deals_dept_path ON deals (dept text_pattern_ops)").Error)
	}
	var rows []Deal
	var shares []rbac.Share
	deals := 20_000
	if testing.Short() {
		deals = 5000
	}
	for i := range deals {
		rows = append(rows, Deal{ID: fmt.Sprint(i), OwnerID: fmt.Sprintf("o%d", i%1000), Dept: fmt.Sprintf("/%d/%d/%d", i%7, i%1009, i)})
		if i%4 == 0 {
			shares = append(shares, rbac.Share{Resource: "deal", RowID: fmt.Sprint(i), Kind: "user", Grantee: fmt.Sprintf("o%d", i%997), Access: "read"})
		}
	}
	rows[0].Dept = "/1/17"
	require.NoError(t, db.CreateInBatches(rows, 2000).Error)
	require.NoError(t, db.CreateInBatches(shares, 1000).Error)
	for _, table := range []string{"deals", "confide_shares"} {
		analyze := map[string]string{testdb.SQLite: "ANALYZE", testdb.Postgres: "ANALYZE " + table, testdb.MySQL: "ANALYZE TABLE " + table}
		require.NoError(t, db.Exec(analyze[engine]).Error)
	}
}
