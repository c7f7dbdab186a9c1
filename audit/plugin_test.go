package audit_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

var errTest = errors.New("broken on purpose")

type invoice struct {
	ID         uint `gorm:"primaryKey"`
	CustomerID string
	Total      int
}

type orderLine struct {
	Order int `gorm:"primaryKey;autoIncrement:false;column:order_no"`
	Line  int `gorm:"primaryKey;autoIncrement:false;column:line_no"`
	Text  string
}

type confideThing struct {
	ID string `gorm:"primaryKey;size:36"`
}

func (confideThing) TableName() string { return "confide_thing" }

type session struct {
	ID string `gorm:"primaryKey;size:36"`
}

// line shows what an event says, on one line.
func line(e audit.Event) string {
	var rows []string
	for _, r := range e.Rows {
		rows = append(rows, fmt.Sprintf("%s@%d", r.ID, r.Rev))
	}
	s := fmt.Sprintf("%s [%s] (%s)", e.Action, strings.Join(rows, " "), strings.Join(e.Fields, " "))
	for _, a := range e.Attrs {
		s += " " + a.String()
	}
	return s
}

func TestPlugin(t *testing.T) {
	three := func() []customer { return []customer{{ID: "a"}, {ID: "b"}, {ID: "c"}} }
	all := "(deleted_at id name owner phone)"
	cases := []struct {
		name string
		do   func(tx *gorm.DB) error
		want []string
	}{
		{"create", func(tx *gorm.DB) error { return tx.Create(&customer{ID: "x", Name: "secret"}).Error }, []string{"customer.create [x@1] " + all}},
		{"create some columns", func(tx *gorm.DB) error { return tx.Select("id", "name").Create(&customer{ID: "x"}).Error }, []string{"customer.create [x@1] (id name)"}},
		{"create from a map", func(tx *gorm.DB) error {
			return tx.Model(&customer{}).Create(map[string]any{"id": "x", "name": "secret"}).Error
		}, []string{"customer.create [x@1] (id name)"}},
		{"create in batches", func(tx *gorm.DB) error { list := three(); return tx.CreateInBatches(&list, 2).Error },
			[]string{"customer.create [a@1 b@1] " + all, "customer.create [c@1] " + all}},
		{"create with a generated key", func(tx *gorm.DB) error { return tx.Create(&invoice{Total: 1}).Error }, []string{"invoice.create [1@1] (customer_id total)"}},
		{"composite key", func(tx *gorm.DB) error { return tx.Create(&orderLine{Order: 7, Line: 2}).Error }, []string{"order_line.create [7,2@1] (line_no order_no text)"}},
		{"upsert", func(tx *gorm.DB) error {
			return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&customer{ID: "old", Name: "secret"}).Error
		}, nil}, // judged below: engines count the affected rows differently
		{"ignored insert", func(tx *gorm.DB) error {
			return tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&customer{ID: "old"}).Error
		}, nil},
		{"update a column", func(tx *gorm.DB) error { return tx.Model(&customer{ID: "old"}).Update("phone", "secret").Error }, []string{"customer.update [old@2] (phone)"}},
		{"update by struct", func(tx *gorm.DB) error {
			return tx.Model(&customer{ID: "old"}).Updates(customer{Phone: "secret", Name: "secret"}).Error
		}, []string{"customer.update [old@2] (name phone)"}},
		{"update by map", func(tx *gorm.DB) error {
			return tx.Model(&customer{}).Where("id = ?", "old").Updates(map[string]any{"owner": "secret"}).Error
		}, []string{"customer.update [old@2] (owner)"}},
		{"update without hooks", func(tx *gorm.DB) error {
			return tx.Model(&customer{}).Where(&customer{ID: "old"}).UpdateColumn("owner", "secret").Error
		}, []string{"customer.update [old@2] (owner)"}},
		{"update in session without hooks", func(tx *gorm.DB) error {
			return tx.Session(&gorm.Session{SkipHooks: true}).Model(&customer{ID: "old"}).Update("owner", "secret").Error
		}, []string{"customer.update [old@2] (owner)"}},
		{"update an expression", func(tx *gorm.DB) error {
			return tx.Model(&customer{ID: "old"}).Update("owner", gorm.Expr("?", "secret")).Error
		}, []string{"customer.update [old@2] (owner)"}},
		{"update several keys", func(tx *gorm.DB) error {
			return tx.Model(&customer{}).Where("id IN ?", []string{"old", "older"}).Update("owner", "secret").Error
		}, []string{"customer.update [old@2 older@2] (owner)"}},
		{"update fewer than named", func(tx *gorm.DB) error {
			return tx.Model(&customer{}).Where("id IN ?", []string{"old", "older"}).Where("name = ?", "oldest").Update("owner", "secret").Error
		}, nil},
		{"update without a key", func(tx *gorm.DB) error {
			return tx.Model(&customer{}).Where("name = ?", "").Update("owner", "secret").Error
		}, []string{"customer.update [old@2 older@2] (owner)"}},
		{"update with alternatives", func(tx *gorm.DB) error {
			return tx.Model(&customer{}).Where("id = ?", "old").Or("name = ?", "").Update("owner", "secret").Error
		}, []string{"customer.update [old@2 older@2] (owner)"}},
		{"update a composite key", func(tx *gorm.DB) error {
			if err := tx.Create(&[]orderLine{{Order: 7, Line: 2}, {Order: 7, Line: 3}}).Error; err != nil {
				return err
			}
			return tx.Model(&orderLine{}).Where("order_no = ?", 7).Update("text", "secret").Error
		}, []string{"order_line.create [7,2@1 7,3@1] (line_no order_no text)", "order_line.update [7,2@2 7,3@2] (text)"}},
		{"update of nobody", func(tx *gorm.DB) error { return tx.Model(&customer{ID: "none"}).Update("owner", "secret").Error }, nil},
		{"save", func(tx *gorm.DB) error { return tx.Save(&customer{ID: "old", Name: "secret"}).Error }, []string{"customer.update [old@2] (deleted_at name owner phone)"}},
		{"soft delete", func(tx *gorm.DB) error { return tx.Delete(&customer{ID: "old"}).Error }, []string{"customer.delete [old@2] (deleted_at) soft=true"}},
		{"soft delete by slice", func(tx *gorm.DB) error { return tx.Delete(&[]customer{{ID: "old"}, {ID: "older"}}).Error },
			[]string{"customer.delete [old@2 older@2] (deleted_at) soft=true"}},
		{"delete", func(tx *gorm.DB) error { return tx.Unscoped().Delete(&customer{}, "id = ?", "old").Error }, []string{"customer.delete [old@2] ()"}},
		{"delete by condition", func(tx *gorm.DB) error { return tx.Unscoped().Where("name = ?", "").Delete(&customer{}).Error }, []string{"customer.delete [old@2 older@2] ()"}},
		{"an alias does not hide a table", func(tx *gorm.DB) error {
			return tx.Table("customers AS sessions").Where("sessions.id = ?", "none").Update("owner", "secret").Error
		}, nil},
		{"a table whose name begins like the library's", func(tx *gorm.DB) error { return tx.Create(&confideThing{ID: "1"}).Error }, []string{"confide_thing.create [1@1] (id)"}},
		{"a table of the library", func(tx *gorm.DB) error { return tx.Table("confide_tokens").Create(&confideThing{ID: "1"}).Error }, nil},
		{"ignored table", func(tx *gorm.DB) error { return tx.Create(&session{ID: "1"}).Error }, nil},
		{"dry run", func(tx *gorm.DB) error {
			return tx.Session(&gorm.Session{DryRun: true}).Create(&customer{ID: "x"}).Error
		}, nil},
		{"savepoint rolled back", func(tx *gorm.DB) error {
			return tx.Transaction(func(tx *gorm.DB) error {
				_ = tx.Transaction(func(tx *gorm.DB) error { tx.Create(&customer{ID: "x"}); return errTest })
				return tx.Create(&customer{ID: "y"}).Error
			})
		}, []string{"customer.create [y@1] " + all}},
	}
	build := func(t *testing.T, db testdb.DB) *bench {
		b := setUp(t, db, func(cfg *audit.Config) { cfg.Ignore = []string{"sessions"} })
		require.NoError(t, b.AutoMigrate(&invoice{}, &orderLine{}, &confideThing{}, &session{}))
		require.NoError(t, b.Table("confide_tokens").AutoMigrate(&confideThing{}))
		require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "old"}).Error)
		require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "older"}).Error)
		return b
	}
	onVictims(t, testdb.Each, build, func(t *testing.T, v *victim) {
		for _, c := range cases {
			t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
				b := v.again(t)
				require.NoError(t, c.do(b.WithContext(b.ctx)))
				audittest.CheckLog(t, b.log)
				var got []string
				for _, e := range b.events(t, audit.Query{OldestFirst: true})[2:] {
					got = append(got, line(e))
				}
				if c.name == "upsert" {
					require.Len(t, got, 1)
					require.True(t, strings.HasPrefix(got[0], "customer.upsert [old@2] "+all), got[0])
					return
				}
				require.Equal(t, c.want, got)
				require.NotContains(t, strings.Join(got, "\n"), "secret", "a value got into the log")
			})
		}
	})
}

func TestPluginSplitsLargeBatches(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		list := make([]customer, 1100)
		for i := range list {
			list[i].ID = fmt.Sprintf("c%04d", i)
		}
		require.NoError(t, b.WithContext(b.ctx).Create(&list).Error)
		audittest.CheckLog(t, b.log)
		events := b.events(t, audit.Query{OldestFirst: true})
		require.Len(t, events, 3)
		require.Len(t, events[2].Rows, 100)
		require.Len(t, b.events(t, audit.Query{Resource: "customer", Row: "c0777"}), 1)
	})
}

func TestAWriteThatCannotBeRecordedIsRolledBack(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.exec(t, "ALTER TABLE confide_audit_pending RENAME TO elsewhere")
		err := b.WithContext(b.ctx).Create(&customer{ID: "1"}).Error
		require.ErrorContains(t, err, "audit: customer.create was not recorded and is rolled back")
		var n int64
		require.NoError(t, b.Model(&customer{}).Count(&n).Error)
		require.Zero(t, n)
		b.exec(t, "ALTER TABLE elsewhere RENAME TO confide_audit_pending")
	})
}

func TestAWriteOutsideATransactionIsRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		tx := b.WithContext(b.ctx).Session(&gorm.Session{SkipDefaultTransaction: true})
		for _, err := range []error{
			tx.Create(&customer{ID: "1"}).Error,
			tx.Model(&customer{ID: "1"}).Update("name", "x").Error,
			tx.Delete(&customer{ID: "1"}).Error,
		} {
			require.ErrorIs(t, err, audit.ErrInvalid)
			require.ErrorContains(t, err, "wrap it in db.Transaction")
		}
		require.NoError(t, tx.Session(&gorm.Session{DryRun: true}).Create(&customer{ID: "1"}).Error, "nothing is written")
		require.NoError(t, tx.Transaction(func(tx *gorm.DB) error { return tx.Create(&customer{ID: "1"}).Error }))
		require.Equal(t, 1, b.seal(t))

		err := b.log.Initialize(&gorm.DB{Config: &gorm.Config{SkipDefaultTransaction: true}})
		require.ErrorContains(t, err, "unset it")
	})
}

// SQLite has one writer: with a pool of one connection, anything in here that
// took a second one would wait for ever.
func TestOneConnectionDoesNotDeadlock(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	b := setUp(t, db)
	pool, err := b.DB.DB.DB()
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	done := make(chan error, 1)
	go func() {
		done <- b.WithContext(b.ctx).Transaction(func(tx *gorm.DB) error {
			ctx := audit.WithTx(b.ctx, tx)
			return errors.Join(tx.Create(&customer{ID: "1"}).Error,
				b.log.Record(ctx, "customer.hide"),
				b.log.RecordApart(ctx, "customer.denied"),
				tx.Model(&customer{ID: "1"}).Update("name", "x").Error)
		})
	}()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the transaction waits for a connection it holds itself")
	}
	require.Equal(t, 4, b.seal(t))
	audittest.CheckLog(t, b.log)
}

func TestFlushInsideATransactionIsRefused(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	require.NoError(t, b.Transaction(func(tx *gorm.DB) error {
		err := b.log.Flush(audit.WithTx(b.ctx, tx))
		require.ErrorContains(t, err, "call it after the commit")
		return nil
	}))
	err := b.log.Record(audit.WithTx(b.ctx, b.DB.DB), "a.b", slog.Int("n", 1))
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "outside a transaction")
}
