package rbac_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

// BenchmarkListShared: a page of 100 of a million rows, the caller's own or one of 200 shared with the
// caller, against the semi-join one would write by hand. x/unscoped is the ratio, as in BenchmarkListScope.
func BenchmarkListShared(b *testing.B) {
	for _, engine := range testdb.Engines() {
		b.Run(engine, func(b *testing.B) {
			db := testdb.New(b, engine)
			free := db.Reopen(b).DB
			fillLeads(b, free, engine)
			require.NoError(b, free.AutoMigrate(&rbac.Share{}))
			var shares []rbac.Share
			for i := range 20_000 {
				shares = append(shares, rbac.Share{Resource: "lead", RowID: fmt.Sprintf("lead-%d", i*37), Kind: "user", Grantee: fmt.Sprintf("owner-%d", i%100), Access: "read"})
			}
			require.NoError(b, free.CreateInBatches(shares, 1000).Error)
			cfg := sharesConfig(rbac.ShareTable{Model: &rbac.Share{}}, rbac.Resource{Model: &Lead{}})
			cfg.Policies = rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "lead", Actions: []string{"read"}, When: `row.owner_id == caller.id || shared(row, "read")`}}})
			a, err := rbac.Open(b.Context(), cfg)
			require.NoError(b, err)
			require.NoError(b, db.Use(a))
			byHand := map[string]string{
				testdb.SQLite:   "owner_id = ? OR id IN (SELECT row_id FROM confide_shares WHERE resource = 'lead' AND tenant = '' AND kind = 'user' AND grantee = ? AND access = 'read' AND (expires_at IS NULL OR expires_at > ?))",
				testdb.Postgres: "owner_id = ? OR id = ANY (ARRAY(SELECT row_id FROM confide_shares WHERE resource = 'lead' AND tenant = '' AND kind = 'user' AND grantee = ? AND access = 'read' AND (expires_at IS NULL OR expires_at > ?)))",
				testdb.MySQL:    "owner_id = ? OR EXISTS (SELECT 1 FROM confide_shares s WHERE s.row_id = leads.id AND resource = 'lead' AND tenant = '' AND kind = 'user' AND grantee = ? AND access = 'read' AND (expires_at IS NULL OR expires_at > ?))",
			}[engine]
			scoped := db.WithContext(inContext(rbac.Caller{ID: "owner-77"}))
			plain := free.WithContext(b.Context()).Where(byHand, "owner-77", "owner-77", time.Now().UTC()).Session(&gorm.Session{})
			var ours, theirs time.Duration
			list := func(db *gorm.DB) time.Duration {
				began := time.Now()
				var rows []Lead
				if err := db.Limit(100).Find(&rows).Error; err != nil || len(rows) != 100 {
					b.Fatal(len(rows), err)
				}
				return time.Since(began)
			}
			list(scoped)
			list(plain)
			for b.Loop() {
				ours += list(scoped)
				theirs += list(plain)
			}
			b.ReportMetric(float64(ours)/float64(theirs), "x/unscoped")
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ns/list")
		})
	}
}
