package privacy_test

import (
	"context"
	"database/sql"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// watched counts the statements on the table of persons' keys, which are what the vault adds to a program's
// own round trips.
type watched struct {
	gorm.ConnPool
	n *int
}

func (w *watched) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	*w.n += strings.Count(query, "confide_subject_keys")
	return w.ConnPool.ExecContext(ctx, query, args...)
}

func (w *watched) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	*w.n += strings.Count(query, "confide_subject_keys")
	return w.ConnPool.QueryContext(ctx, query, args...)
}

func (w *watched) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	tx, err := w.ConnPool.(*sql.DB).BeginTx(ctx, opts)
	return &watchedTx{watched{tx, w.n}, tx}, err
}

type watchedTx struct {
	watched
	gorm.TxCommitter
}

// How many statements on the key table a write or a list costs, whatever the number of persons. MySQL needs
// a second one to see what is stored while it holds it.
func TestStatementsOnTheKeyTable(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		pool, err := db.DB.DB()
		require.NoError(t, err)
		n := 0
		watch := func() *gorm.DB {
			tx := h.gorm().Session(&gorm.Session{NewDB: true, Context: h.ctx})
			tx.Statement.ConnPool = &watched{pool, &n}
			return tx
		}
		two := 1
		if db.Engine == testdb.MySQL {
			two = 2
		}
		require.NoError(t, h.gorm().Create(customer("0", "Ana", "1", "x")).Error)
		for _, c := range []struct {
			name string
			want int
			run  func(tx *gorm.DB) error
		}{
			{"new persons", two, func(tx *gorm.DB) error { return tx.Create(customers("1", "2", "3", "4", "5")).Error }},
			{"rows of known persons", two, func(tx *gorm.DB) error {
				return tx.Create([]Invoice{{ID: "1", CustomerID: "1", BillingName: privacy.New("x")}, {ID: "2", CustomerID: "2", BillingName: privacy.New("y")}}).Error
			}},
			{"a list", 1, func(tx *gorm.DB) error { var list []Customer; return tx.Find(&list).Error }},
			{"a list of other columns", 0, func(tx *gorm.DB) error { var list []Customer; return tx.Select("id", "owner").Find(&list).Error }},
			{"one row", 1, func(tx *gorm.DB) error {
				return tx.Where(&Customer{Phone: privacy.New("1381")}).Take(&Customer{}).Error
			}},
			{"a count", 0, func(tx *gorm.DB) error {
				var n int64
				return tx.Model(&Customer{}).Where(&Customer{Phone: privacy.New("1381")}).Count(&n).Error
			}},
		} {
			n = 0
			require.NoError(t, c.run(watch()), c.name)
			require.Equal(t, c.want, n, c.name)
		}
	})
}
