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

// An attack is a call that a naive row filter does not survive. It returns what it got hold of: ids of rows,
// or values of a hidden column.
type attack struct {
	name string
	run  func(db *gorm.DB) ([]string, error)
	// want is what the guarded database answers: the part of a refusal, or "" if it answers with the
	// caller's own rows.
	want string
}

func ids(db *gorm.DB) ([]string, error) {
	var rows []Customer
	err := db.Find(&rows).Error
	var got []string
	for _, r := range rows {
		got = append(got, r.ID)
	}
	return got, err
}

func pluck(db *gorm.DB, column string) ([]string, error) {
	var got []string
	err := db.Pluck(column, &got).Error
	return got, err
}

func scanned(db *gorm.DB) ([]string, error) {
	var got []string
	rows, err := db.Rows()
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		got = append(got, s)
	}
	return got, rows.Err()
}

func readAttacks() []attack {
	where := func(query any, args ...any) func(*gorm.DB) ([]string, error) {
		return func(db *gorm.DB) ([]string, error) { return ids(db.Where(query, args...)) }
	}
	model := func(f func(db *gorm.DB) ([]string, error)) func(*gorm.DB) ([]string, error) {
		return func(db *gorm.DB) ([]string, error) { return f(db.Model(&Customer{})) }
	}
	return []attack{
		{"Where(..).Or(..)", func(db *gorm.DB) ([]string, error) { return ids(db.Where("name = 'b'").Or("name = 'a'")) }, ""},
		{"Or first", func(db *gorm.DB) ([]string, error) { return ids(db.Or("name = 'b'").Or("1 = 1")) }, ""},
		{"OR between newlines", where("name = ?\nOR\n1 = ?", "b", 1), ""},
		{"OR between tabs", where("name = ?\tOR\t1 = ?", "b", 1), ""},
		{"(a)OR(b)", where("(name = 'b')OR(1 = 1)"), ""},
		{"comment --", where("name = 'b' --"), "a comment"},
		{"comment /*", where("name = 'b' /*"), "a comment"},
		{"comment #", where("name = 'b' # or"), ""}, // an error of the database elsewhere
		{"closing parenthesis", where("1 = 1) OR (1 = 1"), "closes a parenthesis that it did not open"},
		{"closing parenthesis and comment", where("1 = 1) OR 1 = 1 --"), "a comment"},
		{"closing twice", where("1 = 1)) OR ((1 = 1"), "a closing parenthesis too many"},
		{"parenthesis in a bracket name", where("1 = 1 or [(] ) OR 1 = 1 OR ([)] = 1"), ""},
		{"backslash in a string", where(`name = 'x\' OR 1 = 1 OR name = '\'`), "a backslash in quotes"},
		{"Not(..).Or(..)", func(db *gorm.DB) ([]string, error) { return ids(db.Not("name = 'zz'").Or("1 = 1")) }, ""},
		{"Or with a struct", func(db *gorm.DB) ([]string, error) {
			return ids(db.Where("name = 'zz'").Or(&Customer{OwnerID: "bob"}))
		}, ""},
		{"Where with its own clause", func(db *gorm.DB) ([]string, error) {
			return ids(db.Clauses(clause.Or(clause.Expr{SQL: "1 = 1"})))
		}, ""},
		{"inline condition", func(db *gorm.DB) ([]string, error) {
			var rows []Customer
			err := db.Find(&rows, "name = 'a' OR 1 = 1").Error
			return idsOf(rows), err
		}, ""},
		{"by primary key", func(db *gorm.DB) ([]string, error) {
			var c Customer
			err := db.First(&c, "id = ?", "4").Error
			return idsOf([]Customer{c}), ignoreNotFound(err)
		}, ""},
		{"Unscoped", func(db *gorm.DB) ([]string, error) { return ids(db.Unscoped()) }, ""},
		{"reused statement", func(db *gorm.DB) ([]string, error) {
			tx := db.Where("1 = 1")
			if _, err := ids(tx); err != nil {
				return nil, err
			}
			return ids(tx.Or("1 = 1"))
		}, ""},
		{"Table with a map", func(db *gorm.DB) ([]string, error) {
			var rows []map[string]any
			err := db.Table("customers").Find(&rows).Error
			var got []string
			for _, r := range rows {
				got = append(got, fmt.Sprintf("%s", r["id"]))
			}
			return got, err
		}, ""},
		{"Table in capitals", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Table("customers AS c").Where("c.name = 'a' OR 1 = 1"), "c.id")
		}, ""},
		{"Table as a subquery", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Table("(SELECT * FROM customers) AS c"), "id")
		}, "names the guarded table"},
		{"Table with two tables", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Table("notes, customers"), "customers.id")
		}, "names the guarded table"},
		{"other table, same model", func(db *gorm.DB) ([]string, error) { return ids(db.Table("customers c")) }, ""},
		{"From clause with a second copy", model(func(db *gorm.DB) ([]string, error) {
			return pluck(db.Clauses(clause.From{Tables: []clause.Table{{Name: "customers"}, {Name: "customers", Alias: "c2"}}}), "c2.id")
		}), "names customers"},
		{"Joins of raw text", model(func(db *gorm.DB) ([]string, error) {
			return pluck(db.Joins("JOIN customers c2 ON 1 = 1"), "c2.id")
		}), "names customers"},
		{"Joins from an open table", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Model(&Note{}).Joins("JOIN customers ON 1 = 1"), "customers.id")
		}, "names the guarded table"},
		{"Joins with its own WHERE and comment", model(func(db *gorm.DB) ([]string, error) {
			return pluck(db.Joins("CROSS JOIN notes WHERE 1 = 1 --"), "customers.id")
		}), "a comment"},
		{"Joins with its own WHERE and UNION", model(func(db *gorm.DB) ([]string, error) {
			return pluck(db.Joins("JOIN notes ON 1 = 1 WHERE 1 = 1 UNION SELECT notes.id FROM notes"), "customers.id")
		}), "a second WHERE"},
		{"GROUP BY with UNION", model(func(db *gorm.DB) ([]string, error) {
			return pluck(db.Group("id UNION SELECT text FROM notes"), "id")
		}), "UNION"},
		{"subquery text in Where", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Model(&Note{}).Where("customer_id IN (SELECT id FROM customers WHERE owner_id = 'bob')"), "customer_id")
		}, "names the guarded table"},
		{"subquery text in Select", func(db *gorm.DB) ([]string, error) {
			return scanned(db.Model(&Note{}).Select("(SELECT max(id) FROM customers)"))
		}, "names the guarded table"},
		{"subquery text in Order", model(func(db *gorm.DB) ([]string, error) {
			return pluck(db.Order("(SELECT max(c2.phone) FROM customers c2)"), "id")
		}), "names customers"},
		{"subquery as a DB value", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Model(&Note{}).Where("customer_id IN (?)", db.Session(&gorm.Session{NewDB: true}).Raw("SELECT id FROM customers")), "customer_id")
		}, "names the guarded table"},
		{"quoted table name", func(db *gorm.DB) ([]string, error) {
			quoted := db.Statement.Quote("customers")
			return pluck(db.Model(&Note{}).Where("customer_id IN (SELECT id FROM "+quoted+")"), "customer_id")
		}, "names the guarded table"},
		{"table name in capitals", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Model(&Note{}).Where("customer_id IN (SELECT id FROM CUSTOMERS)"), "customer_id")
		}, "names the guarded table"},
		{"Raw", func(db *gorm.DB) ([]string, error) { return ids(db.Raw("SELECT * FROM customers")) }, "names the guarded table"},
		{"Raw into Scan", func(db *gorm.DB) ([]string, error) {
			var got []string
			err := db.Raw("SELECT id FROM customers").Scan(&got).Error
			return got, err
		}, "names the guarded table"},
		{"Raw Rows", func(db *gorm.DB) ([]string, error) { return scanned(db.Raw("SELECT id FROM customers")) }, "names the guarded table"},
		{"Raw Row", func(db *gorm.DB) ([]string, error) {
			var id string
			err := db.Raw("SELECT id FROM customers WHERE owner_id = 'bob'").Row().Scan(&id)
			return []string{id}, err
		}, "names the guarded table"},
		{"Rows", model(func(db *gorm.DB) ([]string, error) { return scanned(db.Select("id").Where("1 = 1 OR 1 = 1")) }), ""},
		{"Row", model(func(db *gorm.DB) ([]string, error) {
			var id string
			err := db.Select("id").Where("owner_id = 'bob' OR 1 = 2").Row().Scan(&id)
			if err != nil && strings.Contains(err.Error(), "no rows") {
				return nil, nil
			}
			return []string{id}, err
		}), ""},
		{"max(id)", model(func(db *gorm.DB) ([]string, error) { return scanned(db.Select("max(id)")) }), ""},
		{"Preload", func(db *gorm.DB) ([]string, error) {
			var rows []Customer
			err := db.Preload("Invoices").Find(&rows).Error
			var got []string
			for _, c := range rows {
				for _, i := range c.Invoices {
					got = append(got, i.ID)
				}
			}
			return got, err
		}, ""},
		{"Preload from an open table", func(db *gorm.DB) ([]string, error) {
			var notes []Note
			err := db.Preload("Customer").Find(&notes).Error
			var got []string
			for _, n := range notes {
				if n.Customer != nil {
					got = append(got, n.Customer.ID)
				}
			}
			return got, err
		}, ""},
		{"Joins of an association", func(db *gorm.DB) ([]string, error) {
			var rows []Invoice
			err := db.Joins("Customer").Find(&rows).Error
			var got []string
			for _, i := range rows {
				got = append(got, i.ID)
				if i.Customer != nil {
					got = append(got, i.Customer.ID)
				}
			}
			return got, err
		}, ""},
		{"Joins of an association from an open table", func(db *gorm.DB) ([]string, error) {
			var notes []Note
			err := db.Joins("Customer").Find(&notes).Error
			var got []string
			for _, n := range notes {
				if n.Customer != nil {
					got = append(got, n.Customer.ID)
				}
			}
			return got, err
		}, ""},
		{"nested association join", func(db *gorm.DB) ([]string, error) {
			var notes []Note
			return nil, db.Joins("Customer.Owner").Find(&notes).Error
		}, "use Preload"},
		{"Association.Find", func(db *gorm.DB) ([]string, error) {
			var rows []Invoice
			err := db.Model(&Customer{ID: "4"}).Association("Invoices").Find(&rows)
			var got []string
			for _, i := range rows {
				got = append(got, i.ID)
			}
			return got, err
		}, ""},
		{"FindInBatches", func(db *gorm.DB) ([]string, error) {
			var rows, all []Customer
			err := db.Where("1 = 1").FindInBatches(&rows, 1, func(*gorm.DB, int) error { all = append(all, rows...); return nil }).Error
			return idsOf(all), err
		}, ""},
		{"hidden column in a condition", where("secret LIKE 's%'"), "the column secret of customer is hidden"},
		{"hidden column in a struct condition", func(db *gorm.DB) ([]string, error) {
			return ids(db.Where(&Customer{Secret: "s1"}))
		}, "the column secret of customer is hidden"},
		{"hidden column in Order", func(db *gorm.DB) ([]string, error) { return ids(db.Order("secret")) }, "the column secret of customer is hidden"},
		{"hidden column by its number", func(db *gorm.DB) ([]string, error) { return ids(db.Order("7")) }, "write the column's name"},
		{"hidden column in Group", model(func(db *gorm.DB) ([]string, error) { return pluck(db.Group("secret"), "count(*)") }), "the column secret of customer is hidden"},
		{"hidden column in Having", model(func(db *gorm.DB) ([]string, error) {
			return pluck(db.Group("id").Having("max(secret) > 'a'"), "id")
		}), "the column secret of customer is hidden"},
		{"hidden column in Select", model(func(db *gorm.DB) ([]string, error) { return pluck(db, "secret") }), "the column secret of customer is hidden"},
		{"hidden column under another name", model(func(db *gorm.DB) ([]string, error) {
			return scanned(db.Select("upper(secret) AS name"))
		}), "the column secret of customer is hidden"},
		{"whole row as text", model(func(db *gorm.DB) ([]string, error) { return scanned(db.Select("customers::text")) }), "names customers"},
		{"whole row in a function", model(func(db *gorm.DB) ([]string, error) { return scanned(db.Select("md5((customers.*)::text)")) }), "some of its columns are hidden or masked"},
		{"alias as a whole row", func(db *gorm.DB) ([]string, error) {
			return scanned(db.Table("customers AS c").Select("to_json(c)"))
		}, "names c"},
		{"NATURAL JOIN", model(func(db *gorm.DB) ([]string, error) { return pluck(db.Joins("NATURAL JOIN notes"), "id") }), "natural"},
		{"SELECT INTO a table of one's own", model(func(db *gorm.DB) ([]string, error) { return scanned(db.Select("* INTO leak")) }), "INTO in the text"},
		{"SQL in a block", func(db *gorm.DB) ([]string, error) {
			return nil, db.Exec("DO $$ BEGIN EXECUTE 'DROP TABLE custo' || 'mers'; END $$").Error
		}, "builds SQL from text"},
		{"SQL from a string", func(db *gorm.DB) ([]string, error) {
			return scanned(db.Raw("SELECT query_to_xml('select * from custo' || 'mers', true, true, '')"))
		}, "builds SQL from text"},
		{"escaped identifier", model(func(db *gorm.DB) ([]string, error) { return pluck(db, `U&"\0073ecret"`) }), "an escaped identifier"},
	}
}

func idsOf(rows []Customer) []string {
	var got []string
	for _, r := range rows {
		if r.ID != "" {
			got = append(got, r.ID)
		}
	}
	return got
}

func ignoreNotFound(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil
	}
	return err
}

// naive is the row filter that everybody writes first: a callback that adds a condition.
func naive(t *testing.T, db *gorm.DB) *gorm.DB {
	filter := func(db *gorm.DB) {
		if _, look := db.Get("look"); look || db.Statement.Schema == nil || db.Statement.Schema.Table != "customers" {
			return
		}
		db.Statement.AddClause(clause.Where{Exprs: []clause.Expression{
			clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: "owner_id"}, Value: "ann"},
			clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: "tenant_id"}, Value: "t1"},
			clause.Eq{Column: clause.Column{Table: clause.CurrentTable, Name: "hidden"}, Value: false},
		}})
	}
	require.NoError(t, db.Callback().Query().Before("gorm:query").Register("naive", filter))
	require.NoError(t, db.Callback().Row().Before("gorm:row").Register("naive", filter))
	require.NoError(t, db.Callback().Update().Before("gorm:update").Register("naive", filter))
	require.NoError(t, db.Callback().Delete().Before("gorm:delete").Register("naive", filter))
	return db
}

// foreign returns what ann must not get.
func foreign(got []string) []string {
	own := []string{"1", "2", "i1", "n1", "", "<nil>"}
	return slices.DeleteFunc(slices.Clone(got), func(s string) bool { return slices.Contains(own, s) })
}

// TestBypassReads runs every attack against the naive filter and against ours; -v prints the table.
func TestBypassReads(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		_, free, _ := openCRM(t, db)
		simple := naive(t, free)
		leaks := 0
		for _, x := range append(readAttacks(), oracles()...) {
			n, nerr := x.run(simple.WithContext(as("ann")))
			if len(foreign(n)) > 0 {
				leaks++
			}
			got, err := x.run(db.WithContext(as("ann")))
			t.Logf("%-45s naive: %-28s ours: %s", x.name, outcome(n, nerr), outcome(got, err))
			require.Empty(t, foreign(got), x.name)
			if x.want != "" {
				require.ErrorIs(t, err, rbac.ErrRefused, x.name)
				require.ErrorContains(t, err, x.want, x.name)
			} else if nerr == nil {
				require.NoError(t, err, "%s: an honest use of it must still work", x.name)
			}
		}
		require.Greater(t, leaks, 15, "the attacks no longer hurt even the naive filter: they test nothing")
	})
}

func outcome(got []string, err error) string {
	switch {
	case errors.Is(err, rbac.ErrRefused):
		return "refused"
	case err != nil:
		return "error"
	case len(foreign(got)) > 0:
		return fmt.Sprintf("LEAKS %v", foreign(got))
	}
	return fmt.Sprintf("own rows only %v", got)
}
