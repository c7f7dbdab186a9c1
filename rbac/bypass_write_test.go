package rbac_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

// theft is a write by ann that must not touch a row outside her scope, nor put one there.
type theft struct {
	name string
	run  func(db *gorm.DB) error
	want string // part of the error, or "" if it does nothing instead
}

func stolen() Customer {
	return Customer{ID: "4", TenantID: "t1", OwnerID: "ann", Email: "new@4", Name: "stolen"}
}

func thefts() []theft {
	everything := clause.OnConflict{UpdateAll: true}
	return []theft{
		{"Save of a row that is not visible", func(db *gorm.DB) error { c := stolen(); return db.Save(&c).Error }, "not the caller's to change"},
		{"Save of a slice", func(db *gorm.DB) error { return db.Save([]Customer{stolen()}).Error }, "not the caller's to change"},
		{"Save of a hidden row", func(db *gorm.DB) error {
			return db.Save(&Customer{ID: "3", TenantID: "t1", OwnerID: "ann", Email: "a@3"}).Error
		}, "not the caller's to change"},
		{"Save of another tenant's row", func(db *gorm.DB) error {
			return db.Save(&Customer{ID: "5", TenantID: "t1", OwnerID: "ann", Email: "x@5"}).Error
		}, "not the caller's to change"},
		{"upsert", func(db *gorm.DB) error { c := stolen(); return db.Clauses(everything).Create(&c).Error }, "not the caller's to change"},
		{"upsert of some columns", func(db *gorm.DB) error {
			c := stolen()
			return db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).Create(&c).Error
		}, "not the caller's to change"},
		{"upsert over a unique e-mail", func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, DoUpdates: clause.AssignmentColumns([]string{"name", "owner_id"})}).
				Create(&Customer{ID: "new", TenantID: "t1", OwnerID: "ann", Email: "b@4", Name: "stolen"}).Error
		}, "not the caller's to change"},
		{"upsert by a map", func(db *gorm.DB) error {
			return db.Model(&Customer{}).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).
				Create(map[string]any{"id": "4", "tenant_id": "t1", "owner_id": "ann", "email": "new@4", "name": "stolen", "hidden": false}).Error
		}, "not the caller's to change"},
		{"batch upsert with one foreign row", func(db *gorm.DB) error {
			return db.Clauses(everything).CreateInBatches([]Customer{{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1"}, stolen()}, 1).Error
		}, "not the caller's to change"},
		{"upsert whose raw text", func(db *gorm.DB) error {
			c := stolen()
			return db.Clauses(clause.Insert{Modifier: "OR REPLACE"}).Create(&c).Error
		}, "delete rows unseen"},
		{"upsert condition that is always true", func(db *gorm.DB) error {
			c := stolen()
			return db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"}),
				Where: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 1 OR 1 = 1"}}}}).Create(&c).Error
		}, "not the caller's to change"},
		{"upsert with a computed key", func(db *gorm.DB) error {
			return db.Model(&Customer{}).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).
				Create(map[string]any{"id": gorm.Expr("'4'"), "tenant_id": "t1", "owner_id": "ann", "email": "new@4", "name": "stolen", "hidden": false}).Error
		}, "computes its key in SQL"},
		{"Create for somebody else", func(db *gorm.DB) error {
			return db.Create(&Customer{ID: "new", TenantID: "t1", OwnerID: "bob", Email: "n"}).Error
		}, "create of customer denied"},
		{"Create in another tenant", func(db *gorm.DB) error {
			return db.Create(&Customer{ID: "new", TenantID: "t2", OwnerID: "ann", Email: "n"}).Error
		}, "tenant_id is not the caller's tenant"},
		{"Create of a hidden one", func(db *gorm.DB) error {
			return db.Create(&Customer{ID: "new", TenantID: "t1", OwnerID: "ann", Email: "n", Hidden: true}).Error
		}, `rule "hidden-customers" forbids it`},
		{"Create that leaves the owner out", func(db *gorm.DB) error {
			return db.Omit("owner_id").Create(&Customer{ID: "new", TenantID: "t1", OwnerID: "ann", Email: "n"}).Error
		}, "create of customer denied"},
		{"Create with a computed owner", func(db *gorm.DB) error {
			return db.Model(&Customer{}).Create(map[string]any{"id": "new", "tenant_id": "t1", "owner_id": gorm.Expr("'bob'"), "email": "n", "hidden": false}).Error
		}, "without knowing owner_id"},
		{"Create in a batch", func(db *gorm.DB) error {
			return db.Create([]Customer{{ID: "n1", TenantID: "t1", OwnerID: "ann", Email: "n1"}, {ID: "n2", TenantID: "t1", OwnerID: "bob", Email: "n2"}}).Error
		}, "create of customer denied"},
		{"Create into the table by a map", func(db *gorm.DB) error {
			return db.Table("customers").Create(map[string]any{"id": "new", "tenant_id": "t1", "owner_id": "bob", "email": "n", "hidden": false}).Error
		}, "create of customer denied"},
		{"Create with somebody's invoice attached", func(db *gorm.DB) error {
			return db.Create(&Customer{ID: "new", TenantID: "t1", OwnerID: "ann", Email: "n", Invoices: []Invoice{{ID: "i4", TenantID: "t1", OwnerID: "ann"}}}).Error
		}, "not the caller's to change"},
		{"Association.Append of somebody's invoice", func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Association("Invoices").Append(&Invoice{ID: "i4", TenantID: "t1", OwnerID: "ann"})
		}, "not the caller's to change"},
		{"Update of foreign rows", func(db *gorm.DB) error {
			return db.Model(&Customer{}).Where("id = ?", "4").Update("name", "stolen").Error
		}, ""},
		{"Update with Or", func(db *gorm.DB) error {
			return db.Model(&Customer{}).Where("id = 'none'").Or("id = '4'").Update("name", "stolen").Error
		}, ""},
		{"UpdateColumn", func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "4"}).UpdateColumn("name", "stolen").Error
		}, ""},
		{"Updates by a struct", func(db *gorm.DB) error { return db.Model(&Customer{ID: "4"}).Updates(Customer{Name: "stolen"}).Error }, ""},
		{"Update of the table", func(db *gorm.DB) error {
			return db.Table("customers").Where("1 = 1 OR 1 = 1").Where("owner_id <> 'ann' OR hidden = ?", true).Updates(map[string]any{"name": "stolen"}).Error
		}, ""},
		{"Update that gives the row away", func(db *gorm.DB) error {
			return db.Model(&Customer{}).Where("id = ?", "1").Update("owner_id", "bob").Error
		}, "out of the caller's reach"},
		{"Update that hides the row", func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Update("hidden", true).Error
		}, "out of the caller's reach"},
		{"Update of the tenant", func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Update("tenant_id", "t2").Error
		}, "out of the caller's reach"},
		{"Update with a computed owner", func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Update("owner_id", gorm.Expr("'bob'")).Error
		}, "out of the caller's reach"},
		{"Save that gives the row away", func(db *gorm.DB) error {
			return db.Save(&Customer{ID: "1", TenantID: "t1", OwnerID: "bob", Email: "a@1"}).Error
		}, "out of the caller's reach"},
		{"Update that copies a hidden column", func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Update("name", gorm.Expr("secret")).Error
		}, "the column secret of customer is hidden"},
		{"upsert that copies a hidden column", func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"name": gorm.Expr("customers.secret")})}).
				Create(&Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1"}).Error
		}, "the column secret of customer is hidden"},
		{"Create that copies from a subquery", func(db *gorm.DB) error {
			return db.Model(&Note{}).Create(map[string]any{"id": "new", "text": gorm.Expr("(SELECT phone FROM customers WHERE id = '4')")}).Error
		}, "names the guarded table"},
		{"Delete of foreign rows", func(db *gorm.DB) error { return db.Where("owner_id = 'bob'").Delete(&Customer{}).Error }, ""},
		{"Delete by key", func(db *gorm.DB) error { return db.Delete(&Customer{ID: "4"}).Error }, ""},
		{"Delete of the table", func(db *gorm.DB) error {
			return db.Table("customers").Where("1 = 1) OR (owner_id = 'bob'").Delete(nil).Error
		}, "closes a parenthesis"},
		{"Delete without conditions", func(db *gorm.DB) error { return db.Delete(&Customer{}).Error }, "WHERE conditions required"},
		{"Update without conditions", func(db *gorm.DB) error { return db.Model(&Customer{}).Update("name", "x").Error }, "WHERE conditions required"},
		{"Delete with a comment", func(db *gorm.DB) error { return db.Where("1 = 1 -- ").Delete(&Customer{}).Error }, "a comment"},
		{"Exec", func(db *gorm.DB) error { return db.Exec("UPDATE customers SET name = 'stolen' WHERE id = '4'").Error }, "names the guarded table"},
		{"Exec DROP", func(db *gorm.DB) error { return db.Exec("DROP TABLE customers").Error }, "names the guarded table"},
		{"Migrator DROP", func(db *gorm.DB) error { return db.Migrator().DropTable(&Customer{}) }, "names the guarded table"},
		{"several statements", func(db *gorm.DB) error {
			return db.Model(&Customer{}).Where("id = '1'; UPDATE notes SET text = 'x'").Update("name", "x").Error
		}, "a semicolon"},
	}
}

// fingerprint is all that ann must not be able to change.
func fingerprint(t *testing.T, free *gorm.DB) []string {
	var rows []Customer
	require.NoError(t, free.Find(&rows).Error)
	var print []string
	for _, c := range rows {
		if c.TenantID != "t1" || c.OwnerID != "ann" || c.Hidden {
			print = append(print, fmt.Sprintf("%+v", c))
		}
	}
	var invoices []Invoice
	require.NoError(t, free.Where("owner_id <> 'ann'").Find(&invoices).Error)
	for _, i := range invoices {
		print = append(print, fmt.Sprintf("%+v", i))
	}
	slices.Sort(print)
	return print
}

// TestBypassWrites: whatever ann tries, rows outside her scope stay as they are and none appears there,
// also when she ignores the error and commits; -v prints the table, with the naive filter beside it.
func TestBypassWrites(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		_, free, _ := openCRM(t, db)
		before := fingerprint(t, free)
		simple, harm := naive(t, db.Reopen(t).DB), 0
		_, hurt := stolenBy(t, simple, theft{name: "nothing", run: func(*gorm.DB) error { return nil }}, before)
		require.Zero(t, hurt, "the table would blame the naive filter for nothing")
		for _, x := range thefts() {
			n, hurt := stolenBy(t, simple, x, before)
			harm += hurt
			table := db.WithContext(as("ann"))
			check := func(err error) {
				if x.want != "" {
					require.ErrorContains(t, err, x.want, x.name)
				} else {
					require.NoError(t, err, x.name)
				}
			}
			err := x.run(table)
			t.Logf("%-45s naive: %-28s ours: %s", x.name, n, written(err, 0))
			check(err)
			require.Equal(t, before, fingerprint(t, free), x.name)

			err = table.Session(&gorm.Session{NewDB: true}).Transaction(func(tx *gorm.DB) error {
				check(x.run(tx))
				return nil // as if nothing had happened
			})
			if db.Engine != testdb.Postgres { // which gives up the transaction after its own errors
				require.NoError(t, err, x.name)
			}
			require.Equal(t, before, fingerprint(t, free), "%s, error ignored", x.name)
		}
		require.Greater(t, harm, 15, "the attacks no longer hurt even the naive filter: they test nothing")
	})
}

// stolenBy runs an attack against the naive filter, in a transaction that is taken back, and says what became
// of the rows.
func stolenBy(t *testing.T, simple *gorm.DB, x theft, before []string) (outcome string, hurt int) {
	if simple.Dialector.Name() == "mysql" && strings.Contains(x.name, "DROP") {
		return "DROPS THE TABLE (not run)", 1 // MySQL cannot take it back
	}
	err := simple.WithContext(as("ann")).Transaction(func(tx *gorm.DB) error {
		require.NoError(t, tx.SavePoint("attack").Error)
		err := x.run(tx)
		if err != nil {
			require.NoError(t, tx.RollbackTo("attack").Error) // or PostgreSQL answers nothing more
		}
		look := tx.Session(&gorm.Session{NewDB: true}).Set("look", true).Session(&gorm.Session{})
		if !look.Migrator().HasTable("customers") {
			outcome, hurt = "DROPS THE TABLE", 1
			return errRollback
		}
		if !slices.Equal(before, fingerprint(t, look)) {
			hurt = 1
		}
		outcome = written(err, hurt)
		return errRollback
	})
	require.ErrorIs(t, err, errRollback)
	return outcome, hurt
}

func written(err error, hurt int) string {
	switch {
	case hurt > 0:
		return "CHANGES FOREIGN ROWS"
	case errors.Is(err, rbac.ErrDenied):
		return "denied"
	case errors.Is(err, rbac.ErrRefused):
		return "refused"
	case err != nil:
		return "error"
	}
	return "own rows only"
}

// TestHonestWrites: the same calls work inside the scope.
func TestHonestWrites(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		_, free, _ := openCRM(t, db)
		ann := db.WithContext(as("ann"))
		read := func(id string) (c Customer) {
			require.NoError(t, free.Where("id = ?", id).Take(&c).Error)
			return c
		}
		row := Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1", Name: "saved", Secret: "s"}
		require.NoError(t, ann.Save(&row).Error)
		require.Equal(t, "saved", read("1").Name)
		require.NoError(t, ann.Save(&Customer{ID: "n1", TenantID: "t1", OwnerID: "ann", Email: "n1"}).Error, "Save of a new row inserts it")
		require.Equal(t, "n1", read("n1").Email)
		require.NoError(t, ann.Save([]Customer{{ID: "n1", TenantID: "t1", OwnerID: "ann", Email: "n1", Name: "twice"}, {ID: "n2", TenantID: "t1", OwnerID: "ann", Email: "n2"}}).Error)
		require.Equal(t, "twice", read("n1").Name)
		require.NoError(t, ann.Clauses(clause.OnConflict{UpdateAll: true}).Create(&Customer{ID: "n2", TenantID: "t1", OwnerID: "ann", Email: "n2", Name: "upserted"}).Error)
		require.Equal(t, "upserted", read("n2").Name)
		require.NoError(t, ann.Clauses(clause.OnConflict{DoNothing: true}).Create(&Customer{ID: "n2", TenantID: "t1", OwnerID: "ann", Email: "n2", Name: "ignored"}).Error)
		require.Equal(t, "upserted", read("n2").Name)
		require.NoError(t, ann.Create(&Customer{ID: "n3", TenantID: "t1", OwnerID: "ann", Email: "n3", Invoices: []Invoice{{ID: "in", TenantID: "t1", OwnerID: "ann"}}}).Error)
		got := ann.Model(&Customer{}).Where("name = 'b' OR 1 = 1").Updates(map[string]any{"name": "all mine", "owner_id": "ann"})
		require.NoError(t, got.Error)
		require.Equal(t, "b", read("4").Name)
		require.Equal(t, "all mine", read("2").Name)
		mia := db.WithContext(as("mia"))
		require.NoError(t, mia.Model(&Customer{}).Where("id = ?", "4").Update("owner_id", "ann").Error, "a manager may hand a row over within the team")
		require.Equal(t, "ann", read("4").OwnerID)
		got = ann.Delete(&Customer{}, "id IN ?", []string{"n1", "n2", "5", "3"})
		require.NoError(t, got.Error)
		require.EqualValues(t, 2, got.RowsAffected)
	})
}

// An update that must be checked afterwards has to be able to be taken back.
func TestUncheckableWriteIsRefused(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		openCRM(t, db)
		loose := db.Session(&gorm.Session{SkipDefaultTransaction: true}).WithContext(as("ann"))
		err := loose.Model(&Customer{ID: "1"}).Update("owner_id", "ann").Error
		require.ErrorIs(t, err, rbac.ErrRefused)
		require.ErrorContains(t, err, "do not set SkipDefaultTransaction")
		require.NoError(t, loose.Model(&Customer{ID: "1"}).Update("name", "x").Error, "no rule reads the name")
	})
}

// A row that appears between the look and the upsert meets the predicate in the statement itself.
func TestUpsertCarriesThePredicate(t *testing.T) {
	for _, engine := range []string{testdb.SQLite, testdb.Postgres} { // MySQL has no place for it; there the look locks
		t.Run(engine, func(t *testing.T) {
			db := testdb.New(t, engine)
			openCRM(t, db)
			row := Customer{ID: "new", TenantID: "t1", OwnerID: "ann", Email: "n"}
			stmt := db.Session(&gorm.Session{DryRun: true}).WithContext(as("ann")).Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Statement
			_, where, found := strings.Cut(stmt.SQL.String(), " WHERE ")
			require.True(t, found, stmt.SQL.String())
			require.Contains(t, where, stmt.Quote("customers.owner_id")+" = ")
			require.Contains(t, where, stmt.Quote("customers.tenant_id")+" = ")
		})
	}
}
