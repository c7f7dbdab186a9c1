package rbac_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// The privacy plugin rewrites conditions; the guard must see them rewritten, and must be gone again when
// the audit plugin writes.
func TestOrderOfCallbacks(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		fillCRM(t, db.DB)
		var seen []string
		note := func(name string) func(*gorm.DB) {
			return func(db *gorm.DB) {
				if db.Statement.Clauses["WHERE"].Builder != nil {
					name += " inside the guard"
				}
				seen = append(seen, name)
			}
		}
		require.NoError(t, db.Callback().Query().Before("gorm:query").Register("confide:privacy:query", note("privacy")))
		require.NoError(t, db.Callback().Update().Before("gorm:update").Register("confide:privacy:update", note("privacy")))
		a, err := rbac.Open(t.Context(), crmConfig(&journal{}))
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		require.NoError(t, db.Callback().Update().After("gorm:after_update").Before("gorm:commit_or_rollback_transaction").Register("confide:audit:update", func(db *gorm.DB) {
			_, tx := db.Statement.ConnPool.(gorm.TxCommitter)
			require.True(t, tx, "the audit plugin must get the transaction itself")
			note("audit")(db)
		}))
		ann := db.WithContext(as("ann"))
		require.NoError(t, ann.Where("1 = 1").Find(&[]Customer{}).Error)
		require.NoError(t, ann.Model(&Customer{ID: "1"}).Update("owner_id", "ann").Error)
		require.Equal(t, []string{"privacy", "privacy", "audit"}, seen)
	})
}

// In the wrong order GORM refuses the later plugin at start-up; the guard never stands in front of it.
func TestGuardBeforePrivacyIsAnErrorAtStart(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	a, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	require.NoError(t, db.Use(a))
	err = db.Callback().Query().Before("gorm:query").Register("confide:privacy:query", func(*gorm.DB) {})
	require.EqualError(t, err, "conflicting callback confide:rbac:query with after confide:privacy:query")
}

// Account is deleted softly: an UPDATE in the clothes of a DELETE.
type Account struct {
	ID      uint
	OwnerID string
	Deleted gorm.DeletedAt
}

func TestSoftDeleteAndGeneratedKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Account{}))
		require.NoError(t, db.Create([]Account{{OwnerID: "ann"}, {OwnerID: "bob"}, {OwnerID: "ann"}}).Error)
		all := []string{"read", "create", "update", "delete", "reveal"}
		a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Account{}}},
			Policies: rbac.NewMemory(rbac.Policy{
				Rules:  []rbac.Rule{{ID: "own", Role: rbac.Everyone, Resource: "account", Actions: all, When: "row.owner_id == caller.id"}},
				Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "account", Field: "*", Level: masking.Full, Reveal: true}},
			})})
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		ann := db.WithContext(as("ann"))
		fresh := Account{OwnerID: "ann"}
		require.NoError(t, ann.Create(&fresh).Error, "a key that the database makes is no obstacle")
		require.EqualValues(t, 4, fresh.ID)
		require.ErrorIs(t, ann.Create(&Account{OwnerID: "bob"}).Error, rbac.ErrDenied)

		got := ann.Where("1 = 1").Or("1 = 1").Delete(&Account{})
		require.NoError(t, got.Error)
		require.EqualValues(t, 3, got.RowsAffected)
		require.ErrorIs(t, ann.Delete(&Account{}).Error, gorm.ErrMissingWhereClause)
		var rows []Account
		require.NoError(t, ann.Find(&rows).Error)
		require.Empty(t, rows)
		require.NoError(t, ann.Unscoped().Find(&rows).Error)
		require.Len(t, rows, 3, "Unscoped lifts the soft delete, not the scope")
		require.NoError(t, db.WithContext(as("bob")).Find(&rows).Error)
		require.Len(t, rows, 1)
		require.NoError(t, ann.Unscoped().Where("id > 0").Delete(&Account{}).Error)
		require.NoError(t, db.WithContext(rbac.System(t.Context(), "count")).Unscoped().Find(&rows).Error)
		require.Len(t, rows, 1)

		// Integer keys, as text, in MayReveal.
		require.NoError(t, a.MayReveal(as("bob"), "account", []string{"2"}, []string{"owner_id"}))
		require.ErrorIs(t, a.MayReveal(as("bob"), "account", []string{"2x"}, []string{"owner_id"}), rbac.ErrDenied)
	})
}

// GORM's generics go the same way.
func TestGenerics(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		openCRM(t, db)
		rows, err := gorm.G[Customer](db.DB).Where("name = 'b' OR 1 = 1").Find(as("ann"))
		require.NoError(t, err)
		require.Len(t, rows, 2)
		n, err := gorm.G[Customer](db.DB).Where("id = ?", "4").Update(as("ann"), "name", "x")
		require.NoError(t, err)
		require.Zero(t, n)
		_, err = gorm.G[Customer](db.DB).Raw("SELECT * FROM customers").Find(as("ann"))
		require.ErrorIs(t, err, rbac.ErrRefused)
		require.ErrorIs(t, gorm.G[Customer](db.DB).Create(as("ann"), &Customer{ID: "n", TenantID: "t1", OwnerID: "bob"}), rbac.ErrDenied)
	})
}
