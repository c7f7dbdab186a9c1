package rbactest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/rbactest"
)

// Client and Letter are a guarded table and an open one.
type Client struct {
	ID      string `gorm:"primaryKey;size:36"`
	OwnerID string `gorm:"size:36;not null"`
	Name    string `gorm:"size:80;not null"`
	Letters []Letter
}

// Letter belongs to a Client.
type Letter struct {
	ID       string `gorm:"primaryKey;size:36"`
	ClientID string `gorm:"size:36;not null"`
}

// guarded is a database of two clients, one of them ann's, that is watched; system are the allowed reasons.
func guarded(t *testing.T, db testdb.DB, watched testing.TB, system ...string) *gorm.DB {
	require.NoError(t, db.AutoMigrate(&Client{}, &Letter{}))
	require.NoError(t, db.Create(&[]Client{{ID: "1", OwnerID: "ann", Name: "Zq Secret"}, {ID: "2", OwnerID: "bob", Name: "Zq Other"}}).Error)
	a, err := rbac.Open(t.Context(), rbac.Config{
		Caller:    func(context.Context) (rbac.Caller, error) { return rbac.Caller{ID: "ann"}, nil },
		Resources: []rbac.Resource{{Model: &Client{}}}, Record: rbac.Discard,
		Policies: rbac.NewMemory(rbac.Policy{
			Rules:  []rbac.Rule{{ID: "own", Role: rbac.Everyone, Resource: "client", Actions: []string{"read", "create", "update", "delete"}, When: "row.owner_id == caller.id"}},
			Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "client", Field: "*", Level: 3, Reveal: true}},
		}),
	})
	require.NoError(t, err)
	require.NoError(t, db.Use(a))
	rbactest.AssertScoped(watched, db.DB, system...)
	return db.DB
}

// watching remembers failures and runs cleanups when told.
type watching struct {
	failures
	cleanups []func()
}

func (w *watching) Cleanup(f func()) { w.cleanups = append(w.cleanups, f) }

func TestAssertScopedPassesWhatIsScoped(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		w := &watching{failures: failures{TB: t}}
		tx := guarded(t, db, w, "monthly report").WithContext(t.Context())
		var all []Client
		var n int64
		require.NoError(t, tx.Find(&all).Error)
		require.Len(t, all, 1)
		require.NoError(t, tx.Preload("Letters").Find(&all).Error)
		require.NoError(t, tx.Model(&Client{}).Where("name LIKE ?", "Zq%").Count(&n).Error)
		require.NoError(t, tx.Table("clients").Select("id").Row().Scan(new(string)))
		require.NoError(t, tx.Create(&Client{ID: "3", OwnerID: "ann"}).Error)
		require.NoError(t, tx.Save(&Client{ID: "3", OwnerID: "ann", Name: "x"}).Error)
		require.NoError(t, tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Client{ID: "3", OwnerID: "ann", Name: "y"}).Error)
		require.NoError(t, tx.Model(&Client{ID: "3"}).Update("owner_id", "ann").Error)
		require.ErrorIs(t, tx.Model(&Client{ID: "3"}).Update("owner_id", "bob").Error, rbac.ErrDenied)
		require.NoError(t, tx.Delete(&Client{ID: "3"}).Error)
		require.ErrorIs(t, tx.Raw("SELECT * FROM clients").Scan(&all).Error, rbac.ErrRefused)
		require.NoError(t, tx.Create(&Letter{ID: "1", ClientID: "1"}).Error)
		require.NoError(t, tx.Where("id = ?", "clients").Find(&[]Letter{}).Error)
		require.NoError(t, tx.Transaction(func(tx *gorm.DB) error {
			return tx.Transaction(func(tx *gorm.DB) error { return tx.Find(&all).Error })
		}))
		rolled := errors.New("roll back")
		require.ErrorIs(t, tx.Transaction(func(tx *gorm.DB) error { return errors.Join(tx.Delete(&Client{ID: "1"}).Error, rolled) }), rolled)
		require.NoError(t, tx.Session(&gorm.Session{PrepareStmt: true}).First(&Client{}).Error)
		require.NoError(t, tx.WithContext(rbac.System(t.Context(), "monthly report")).Find(&all).Error)
		require.Len(t, all, 2)
		pool, err := tx.DB()
		require.NoError(t, err)
		require.NoError(t, pool.PingContext(t.Context()))
		for _, f := range w.cleanups {
			f()
		}
		require.Empty(t, w.said)
	})
}

func TestAssertScopedFailsWhatIsNot(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		w := &watching{failures: failures{TB: t}}
		tx := guarded(t, db, w, "never used").WithContext(t.Context())
		for _, test := range []struct {
			name, says string
			do         func() error
		}{
			{"the connection itself", "guarded table clients without scope: SELECT name FROM clients WHERE name = ? AND ? < ?", func() error {
				rows, err := tx.Statement.ConnPool.QueryContext(t.Context(), "SELECT name FROM clients WHERE name = 'Zq Secret' AND 13800138000 < 2")
				if err == nil {
					err = rows.Close()
				}
				return err
			}},
			{"one row of the connection", "without scope: SELECT count(*) FROM clients", func() error {
				return tx.Statement.ConnPool.QueryRowContext(t.Context(), "SELECT count(*) FROM clients").Scan(new(int))
			}},
			{"a prepared statement", "without scope: SELECT id FROM CLIENTS", func() error {
				stmt, err := tx.Statement.ConnPool.PrepareContext(t.Context(), "SELECT id FROM CLIENTS -- Zq Secret")
				if err == nil {
					err = stmt.Close()
				} else if db.Engine == testdb.MySQL && strings.Contains(err.Error(), "doesn't exist") {
					err = nil // table names have cases there
				}
				return err
			}},
			{"a transaction of the connection", "without scope: UPDATE clients SET name = ?", func() error {
				return tx.Transaction(func(tx *gorm.DB) error {
					_, err := tx.Statement.ConnPool.ExecContext(t.Context(), "UPDATE clients SET name = 'Zq it''s \\\\'")
					return err
				})
			}},
			{"System with another reason", `System("quick fix") reached the guarded table clients; allow it to AssertScoped by that reason, or give the work a caller: SELECT * FROM`, func() error {
				return tx.WithContext(rbac.System(t.Context(), "quick fix")).Find(&[]Client{}).Error
			}},
			{"text under System", `System("quick fix") reached the guarded table clients`, func() error {
				return tx.WithContext(rbac.System(t.Context(), "quick fix")).Exec("DELETE FROM clients WHERE name = 'Zq Secret'").Error
			}},
			{"removed callbacks", "without scope: SELECT", func() error {
				assert.NoError(t, tx.Callback().Query().Remove("confide:rbac:query"))
				return tx.Find(&[]Client{}).Error
			}},
		} {
			w.said = nil
			require.NoError(t, test.do(), test.name)
			said := strings.Join(w.said, "\n")
			assert.Contains(t, said, test.says, test.name)
			assert.NotContains(t, said, "Zq", test.name)
			assert.NotContains(t, said, "138001", test.name)
			assert.Len(t, w.said, 1, test.name)
		}
		w.said = nil
		for _, f := range w.cleanups {
			f()
		}
		assert.Equal(t, []string{`rbactest: System("never used") is allowed to AssertScoped and reached no guarded table: take it off the list`}, w.said)
	})
}

func TestAssertScopedNeedsAGuard(t *testing.T) {
	f := &failures{TB: t}
	require.Panics(t, func() { rbactest.AssertScoped(f, testdb.New(t, testdb.SQLite).DB) })
	require.Equal(t, []string{"rbactest: AssertScoped: nothing guards this database: call db.Use(authorizer) before"}, f.said)
}
