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
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

const everyRight = rbac.Match | rbac.Range | rbac.Sort | rbac.Aggregate | rbac.Export

// A use is one way to learn something of a field, and the rights it needs; whole is one that needs the field
// in full.
type use struct {
	name  string
	need  rbac.Right
	run   func(db *gorm.DB) error
	not   string // the database that has no such form
	whole bool
}

func fieldUses() []use {
	find := func(f func(db *gorm.DB) *gorm.DB) func(*gorm.DB) error {
		return func(db *gorm.DB) error { return f(db).Find(&[]Customer{}).Error }
	}
	where := func(query any, args ...any) func(*gorm.DB) error {
		return find(func(db *gorm.DB) *gorm.DB { return db.Where(query, args...) })
	}
	order := func(by any) func(*gorm.DB) error {
		return find(func(db *gorm.DB) *gorm.DB { return db.Order(by) })
	}
	list := func(columns string, more ...func(*gorm.DB) *gorm.DB) func(*gorm.DB) error {
		return func(db *gorm.DB) error {
			_, err := scannedRows(db.Model(&Customer{}).Select(columns).Scopes(more...))
			return err
		}
	}
	group := func(by, having string) func(*gorm.DB) error {
		return func(db *gorm.DB) error {
			tx := db.Model(&Customer{}).Select("count(*)").Group(by)
			if having != "" {
				tx = tx.Having(having)
			}
			_, err := scannedRows(tx)
			return err
		}
	}
	having := func(condition string) func(*gorm.DB) error {
		return func(db *gorm.DB) error {
			_, err := scannedRows(db.Model(&Customer{}).Select("count(*)").Having(condition))
			return err
		}
	}
	const m, r, s, a = rbac.Match, rbac.Range | rbac.Match, rbac.Sort, rbac.Aggregate
	return []use{
		{name: "=", need: m, run: where("phone = ?", "x")},
		{name: "a struct", need: m, run: where(&Customer{Phone: "x"})},
		{name: "a map", need: m, run: where(map[string]any{"phone": "x"})},
		{name: "quoted", need: m, run: func(db *gorm.DB) error { return where(db.Statement.Quote("customers.phone")+" = ?", "x")(db) }},
		{name: "in capitals", need: m, run: where("PHONE = ?", "x")},
		{name: "<>", need: m, run: where("phone <> ?", "x")},
		{name: "!=", need: m, run: where("customers.phone != ?", "x")},
		{name: "Not", need: m, run: find(func(db *gorm.DB) *gorm.DB { return db.Not("phone = ?", "x") })},
		{name: "Not with a map", need: m, run: find(func(db *gorm.DB) *gorm.DB { return db.Not(map[string]any{"phone": "x"}) })},
		{name: "Or", need: m, run: find(func(db *gorm.DB) *gorm.DB { return db.Where("name = 'a'").Or("phone = ?", "x") })},
		{name: "the other way round", need: m, run: where("? = phone", "x")},
		{name: "IN", need: m, run: where("phone IN ?", []string{"x", "y"})},
		{name: "NOT IN", need: m, run: where("phone NOT IN ?", []string{"x", "y"})},
		{name: "IN a subselect", need: m, run: where("phone IN (SELECT text FROM notes)")},
		{name: "IS NULL", need: m, run: where("phone IS NULL")},
		{name: "IS NOT NULL", need: m, run: where("phone IS NOT NULL")},
		{name: "equal to another column", need: m, run: where("name = phone")},
		{name: "a correlated subselect", need: m, run: where("EXISTS (SELECT 1 FROM notes WHERE notes.text = phone)")},
		{name: "in a CASE of the list", need: m, run: list("CASE WHEN phone = 'x' THEN 1 ELSE 0 END")},
		{name: "compared in the list", need: m, run: list("phone = 'x' AS hit")},
		{name: "count of a condition", need: m, run: list("sum(CASE WHEN phone = 'x' THEN 1 ELSE 0 END)")},
		{name: "JOIN ON", need: m, run: func(db *gorm.DB) error {
			return db.Joins("JOIN notes ON notes.text = customers.phone").Find(&[]Customer{}).Error
		}},
		{name: "ON of an association", need: m, run: func(db *gorm.DB) error {
			return db.Joins("Customer", db.Session(&gorm.Session{NewDB: true}).Where(clause.Eq{Column: clause.Column{Table: "Customer", Name: "phone"}, Value: "x"})).Find(&[]Invoice{}).Error
		}},
		{name: "a condition beside an association", need: m, run: func(db *gorm.DB) error {
			return db.Joins("Customer").Where(clause.Eq{Column: clause.Column{Table: "Customer", Name: "phone"}, Value: "x"}).Find(&[]Note{}).Error
		}},
		{name: "Update", need: m, run: func(db *gorm.DB) error {
			return db.Model(&Customer{}).Where("phone = ?", "x").Update("name", "y").Error
		}},
		{name: "Delete", need: m, run: func(db *gorm.DB) error { return db.Where("phone = ?", "x").Delete(&Customer{}).Error }},
		{name: "FindInBatches", need: m, run: func(db *gorm.DB) error {
			return db.Where("phone = ?", "x").FindInBatches(&[]Customer{}, 1, func(*gorm.DB, int) error { return nil }).Error
		}},
		{name: "First", need: m, run: func(db *gorm.DB) error { return ignoreNotFound(db.First(&Customer{}, "phone = ?", "x").Error) }},
		{name: "FirstOrInit", need: m, run: func(db *gorm.DB) error { return db.Where(&Customer{Phone: "x"}).FirstOrInit(&Customer{}).Error }},
		{name: "Count", need: m, run: func(db *gorm.DB) error {
			var n int64
			return db.Model(&Customer{}).Where("phone = ?", "x").Count(&n).Error
		}},
		{name: "Preload", need: m, run: func(db *gorm.DB) error {
			return db.Preload("Customer", "phone = ?", "x").Find(&[]Note{}).Error
		}},
		{name: "SET of a comparison", need: m, run: func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Update("name", gorm.Expr("CASE WHEN phone = ? THEN 'yes' ELSE 'no' END", "x")).Error
		}},

		{name: "<", need: r, run: where("phone < ?", "x")},
		{name: ">=", need: r, run: where("phone >= ?", "x")},
		{name: "<, the other way round", need: r, run: where("? < phone", "x")},
		{name: "clause.Gt", need: r, run: where(clause.Gt{Column: "phone", Value: "x"})},
		{name: "BETWEEN", need: r, run: where("phone BETWEEN ? AND ?", "a", "x")},
		{name: "between it and another", need: r, run: where("? BETWEEN phone AND name", "a")},
		{name: "between another and it", need: r, run: where("? BETWEEN name AND phone", "a")},
		{name: "between another and it, then =", need: r, run: where("? BETWEEN name AND phone = (1 = 1)", "a")},
		{name: "NOT BETWEEN", need: r, run: where("phone NOT BETWEEN ? AND ?", "a", "x")},
		{name: "LIKE", need: r, run: where("phone LIKE ?", "138%")},
		{name: "NOT LIKE", need: r, run: where("phone NOT LIKE ?", "138%")},
		{name: "LIKE, the other way round", need: r, run: where("? LIKE phone", "138%")},
		{name: "a prefix by a function", need: r, run: where("substr(phone, 1, 3) = ?", "138")},
		{name: "a function, the other way round", need: r, run: where("? = upper(phone)", "138")},
		{name: "a function of two", need: r, run: where("coalesce(name, phone) = ?", "138")},
		{name: "its length", need: r, run: where("length(phone) = 11")},
		{name: "a part put together", need: r, run: where("concat(phone, '') = ?", "x"), not: testdb.SQLite},
		{name: "||", need: r, run: where("phone || '' = ?", "x"), not: testdb.MySQL},
		{name: "|| before", need: r, run: where("'' || phone = ?", "x"), not: testdb.MySQL},
		{name: "IS of a kind of text", need: r, run: where("phone IS NFC NORMALIZED"), not: "all but postgres"},
		{name: "twice in one comparison", need: r, run: where("phone = CASE WHEN phone < ? THEN phone ELSE '' END", "x")},
		{name: "a comparison of a comparison", need: r, run: where("? = phone || ''", "x"), not: testdb.MySQL},
		{name: "a group of sets", need: a | r, run: group("GROUPING SETS ((phone), (id))", ""), not: "all but postgres"},
		{name: "FILTER", need: m, run: list("count(*) FILTER (WHERE phone = 'x')"), not: testdb.MySQL},
		{name: "IS a value", need: m, run: where("phone IS ?", "x"), not: "all but sqlite"},
		{name: "IS DISTINCT FROM", need: m, run: where("phone IS DISTINCT FROM ?", "x"), not: testdb.MySQL},
		{name: "<=>", need: m, run: where("phone <=> ?", "x"), not: "all but mysql"},
		{name: "USING", need: m, run: func(db *gorm.DB) error {
			return db.Table("customers").Select("customers.id").Joins("JOIN (SELECT text AS phone FROM notes) n USING (phone)").Find(&[]map[string]any{}).Error
		}},
		{name: "in parentheses", need: r, run: where("(phone) = ?", "x")},
		{name: "a tuple", need: r, run: where("(phone, id) > (?, ?)", "x", "")},
		{name: "a CASE in a condition", need: r, run: where("CASE WHEN phone < ? THEN 1 ELSE 0 END = 1", "x")},
		{name: "a CASE of it", need: r, run: where("CASE phone WHEN ? THEN 1 ELSE 0 END = 1", "x")},
		{name: "ON with LIKE", need: r, run: func(db *gorm.DB) error {
			return db.Joins("JOIN notes ON customers.phone LIKE notes.text").Find(&[]Customer{}).Error
		}},

		{name: "ORDER BY", need: s, run: order("phone")},
		{name: "ORDER BY DESC", need: s, run: order("phone DESC")},
		{name: "ORDER BY the second", need: s, run: order("name, customers.phone")},
		{name: "ORDER BY a column of the clause", need: s, run: order(clause.OrderByColumn{Column: clause.Column{Name: "phone"}, Desc: true})},
		{name: "ORDER BY CASE =", need: s | m, run: order("CASE WHEN phone = 'x' THEN 0 ELSE 1 END")},
		{name: "ORDER BY CASE LIKE", need: s | r, run: order("CASE WHEN phone LIKE '138%' THEN 0 ELSE 1 END")},
		{name: "ORDER BY a function", need: s | r, run: order("substr(phone, 2, 1)")},
		{name: "ORDER BY a function of two", need: s | r, run: order("coalesce(name, phone)")},
		{name: "ORDER BY a comparison", need: s | m, run: order("phone = 'x'")},
		{name: "ORDER BY a subselect", need: s | m, run: order("(SELECT count(*) FROM notes WHERE notes.text = phone)")},
		{name: "DISTINCT", need: s, run: list("DISTINCT phone")},
		{name: "Distinct", need: s, run: func(db *gorm.DB) error {
			return db.Model(&Customer{}).Distinct("phone").Find(&[]Customer{}).Error
		}},
		{name: "order of a window", need: s, run: list("row_number() OVER (ORDER BY phone)")},
		{name: "order of a window, second", need: s, run: list("rank() OVER (PARTITION BY name ORDER BY id, phone DESC)")},
		{name: "a named window", need: s, run: func(db *gorm.DB) error {
			_, err := scannedRows(db.Model(&Customer{}).Select("rank() OVER w").Where("name <> ? WINDOW w AS (ORDER BY phone)", "x"))
			if err != nil && !errors.Is(err, rbac.ErrRefused) {
				return nil // no place for it in GORM's parentheses
			}
			return err
		}},
		{name: "DELETE in its order", need: s, run: func(db *gorm.DB) error {
			return db.Where("id = 'none'").Order("phone").Limit(1).Delete(&Customer{}).Error
		}, not: "all but mysql"},

		{name: "GROUP BY", need: a, run: group("phone", "")},
		{name: "GROUP BY the second", need: a, run: group("name, phone", "")},
		{name: "GROUP BY a function", need: a | r, run: group("substr(phone, 1, 3)", "")},
		{name: "HAVING MAX", need: a, run: group("id", "max(phone) > 'a'")},
		{name: "HAVING COUNT", need: a, run: group("id", "count(phone) > 0")},
		{name: "HAVING a condition inside", need: a | m, run: group("id", "sum(CASE WHEN phone = 'x' THEN 1 ELSE 0 END) > 0")},
		{name: "HAVING without GROUP BY, MAX", need: a, run: having("max(phone) > 'a'")},
		{name: "HAVING without GROUP BY, a condition inside", need: a | m, run: having("sum(CASE WHEN phone = 'x' THEN 1 ELSE 0 END) >= 0")},
		{name: "HAVING without GROUP BY, the column itself", need: a | m, run: having("phone = '13900139000'"), not: "all but sqlite"},
		{name: "HAVING of a subselect", need: a | m, run: where("EXISTS (SELECT count(*) FROM notes HAVING sum(CASE WHEN notes.text = phone THEN 1 ELSE 0 END) >= 0)")},
		{name: "COUNT(column)", need: a, run: list("count(phone)")},
		{name: "COUNT(DISTINCT)", need: a, run: list("COUNT(DISTINCT phone)")},
		{name: "Distinct.Count", need: a, run: func(db *gorm.DB) error {
			var n int64
			return db.Model(&Customer{}).Distinct("phone").Count(&n).Error
		}},
		{name: "Count of a column", need: a, run: func(db *gorm.DB) error {
			var n int64
			return db.Model(&Customer{}).Select("phone").Count(&n).Error
		}},
		{name: "MIN", need: a, run: list("min(phone)")},
		{name: "MAX under a name", need: a, run: list("max(customers.phone) AS top")},
		{name: "ORDER BY MAX", need: a | s, run: func(db *gorm.DB) error {
			_, err := scannedRows(db.Model(&Customer{}).Select("name").Group("name").Order("max(phone)"))
			return err
		}},
		{name: "PARTITION BY", need: a, run: list("count(*) OVER (PARTITION BY phone)")},
		{name: "aggregate of a window", need: a, run: list("max(phone) OVER (PARTITION BY id)")},
		{name: "percentile", need: a | s, run: list("percentile_disc(0.5) WITHIN GROUP (ORDER BY phone)"), not: "all but postgres"},

		{name: "under another name", whole: true, run: list("phone AS name")},
		{name: "under another name without AS", whole: true, run: list("phone name")},
		{name: "a function in the list", whole: true, run: list("upper(phone)")},
		{name: "a part in the list", whole: true, run: list("substr(phone, 1, 3) AS name")},
		{name: "a function of two in the list", whole: true, run: list("coalesce(phone, name)")},
		{name: "put into a CASE", whole: true, run: list("CASE WHEN 1 = 1 THEN phone END")},
		{name: "a subselect in the list", whole: true, run: list("(SELECT phone) AS name")},
		{name: "a subselect in a condition", whole: true, run: where("(SELECT phone) > 'a'")},
		{name: "lag of a window", whole: true, run: list("lag(phone) OVER (ORDER BY id)")},
		{name: "list of a group", whole: true, run: list("group_concat(phone)"), not: testdb.Postgres},
		{name: "list of a group", whole: true, run: list("string_agg(phone, ',')"), not: "all but postgres"},
		{name: "a comparison that hands it on", whole: true, run: list("nullif(phone, 'x')")},
		{name: "behind IS DISTINCT FROM", whole: true, run: list("id IS DISTINCT FROM name, upper(phone)"), not: testdb.MySQL},
		{name: "behind substring FROM", whole: true, run: list("substring(phone FROM 1 FOR 3)"), not: testdb.SQLite},
		{name: "SET copies it", whole: true, run: func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Update("name", gorm.Expr("phone")).Error
		}},
		{name: "SET computes it", whole: true, run: func(db *gorm.DB) error {
			return db.Model(&Customer{ID: "1"}).Update("name", gorm.Expr("upper(customers.phone)")).Error
		}},
		{name: "upsert copies it", whole: true, run: func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"name": gorm.Expr("customers.phone")})}).
				Create(&Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1"}).Error
		}},
	}
}

func scannedRows(db *gorm.DB) (int, error) {
	rows, err := db.Rows()
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		n++
	}
	return n, rows.Err()
}

// withPhone sets what the role sales may do with the phone number of a customer.
func withPhone(t *testing.T, a *rbac.Authorizer, rules ...rbac.FieldRule) {
	require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
		p.Fields = slices.DeleteFunc(p.Fields, func(f rbac.FieldRule) bool { return f.Role == "sales" && f.Field == "phone" })
		for _, f := range rules {
			f.Role, f.Resource, f.Field = "sales", "customer", "phone"
			p.Fields = append(p.Fields, f)
		}
		return nil
	}))
}

// TestEachUseNeedsItsRight: without the right a use is refused, by name; with it and nothing else it works;
// with everything but it, it is refused again.
func TestEachUseNeedsItsRight(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, _ := openCRM(t, db)
		missing := func(x use, want rbac.Right) {
			err := x.run(db.WithContext(as("ann")))
			var no *rbac.FieldRefused
			require.ErrorAs(t, err, &no, "%s without %v", x.name, want)
			require.ErrorIs(t, err, rbac.ErrRefused)
			require.Equal(t, "customer", no.Resource)
			require.Equal(t, "phone", no.Field)
			require.NotContains(t, err.Error(), "138", "a value of a row")
			if want != 0 {
				require.Equal(t, want, no.Right, x.name)
			}
		}
		works := func(x use) {
			err := db.Transaction(func(tx *gorm.DB) error {
				require.NoError(t, x.run(tx.WithContext(as("ann"))), x.name)
				return errRollback
			})
			require.ErrorIs(t, err, errRollback)
		}
		policies := map[rbac.FieldRule][]func(){}
		for _, x := range fieldUses() {
			if x.not == db.Engine || x.not == "all but mysql" && db.Engine != testdb.MySQL || x.not == "all but sqlite" && db.Engine != testdb.SQLite || x.not == "all but postgres" && db.Engine != testdb.Postgres {
				continue
			}
			ask := func(f rbac.FieldRule, check func()) { policies[f] = append(policies[f], check) }
			ask(rbac.FieldRule{Level: masking.Partial}, func() { missing(x, 0) })
			ask(rbac.FieldRule{Level: masking.Full, Rights: rbac.ShowOnly}, func() {
				if !x.whole {
					missing(x, 0)
				}
			})
			ask(rbac.FieldRule{Level: masking.Full}, func() { works(x) })
			if x.whole {
				ask(rbac.FieldRule{Level: masking.Partial, Rights: everyRight}, func() { missing(x, 0) })
				continue
			}
			ask(rbac.FieldRule{Level: masking.Partial, Rights: x.need}, func() { works(x) })
			ask(rbac.FieldRule{Level: masking.Hidden, Rights: x.need}, func() {
				if x.name != "DISTINCT" && x.name != "Distinct" { // which select it, too
					works(x)
				}
			})
			for _, one := range []rbac.Right{rbac.Range, rbac.Sort, rbac.Aggregate} {
				if x.need&one != 0 {
					ask(rbac.FieldRule{Level: masking.Partial, Rights: everyRight &^ one}, func() { missing(x, one) })
				}
			}
			if x.need&rbac.Match != 0 {
				ask(rbac.FieldRule{Level: masking.Partial, Rights: everyRight &^ (rbac.Match | rbac.Range)}, func() { missing(x, 0) })
			}
		}
		for f, checks := range policies {
			withPhone(t, a, f)
			for _, check := range checks {
				check()
			}
		}
	})
}

// What is loaded to be rendered by View needs no right, and neither do keys and tenants.
func TestUsesThatNeedNoRight(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		openCRM(t, db)
		ann := db.WithContext(as("ann"))
		for name, run := range map[string]func() error{
			"find":                  func() error { return ann.Find(&[]Customer{}).Error },
			"distinct rows":         func() error { return ann.Distinct().Find(&[]Customer{}).Error },
			"select":                func() error { return ann.Select("id", "phone").Find(&[]Customer{}).Error },
			"select with its table": func() error { return ann.Select("customers.id, customers.phone").Find(&[]Customer{}).Error },
			"select under its name": func() error { return ann.Select("phone AS phone", "id").Find(&[]Customer{}).Error },
			"table.*":               func() error { return ann.Select("customers.*").Find(&[]Customer{}).Error },
			"order by the key":      func() error { return ann.Order("tenant_id, id").Find(&[]Customer{}).Error },
			"group by the tenant": func() error {
				return ann.Model(&Customer{}).Select("tenant_id, count(*)").Group("tenant_id").Find(&[]map[string]any{}).Error
			},
			"full columns": func() error { return ann.Where("upper(name) LIKE ?", "A%").Order("email").Find(&[]Customer{}).Error },
			"another table's column": func() error {
				return ann.Joins("JOIN notes n ON n.customer_id = customers.id").Where("n.text <> ? OR n.text = ?", "phone", "x").Find(&[]Customer{}).Error
			},
			"an association": func() error { return ann.Joins("Owner").Find(&[]Customer{}).Error },
			"an association and more": func() error {
				return ann.Select("customers.id", "customers.phone").Joins("Owner").Find(&[]Customer{}).Error
			},
			"assign": func() error {
				return ann.Model(&Customer{ID: "1"}).Updates(map[string]any{"phone": "1", "name": "n"}).Error
			},
			"save": func() error {
				return ann.Save(&Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1", Phone: "2"}).Error
			},
			"upsert": func() error {
				return ann.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"phone", "name"})}).
					Create(&Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1", Phone: "3"}).Error
			},
			"create": func() error {
				return ann.Create(&Customer{ID: "nn", TenantID: "t1", OwnerID: "ann", Email: "nn", Phone: "4"}).Error
			},
		} {
			require.NoError(t, run(), name)
		}
	})
}

// A rule may read a column that the caller may not use: the scope that we print is not the caller's text.
func TestRuleReadsAColumnThatTheCallerMayNotUse(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, _ := openCRM(t, db)
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
			p.Fields = append(p.Fields, rbac.FieldRule{Role: "sales", Resource: "customer", Field: "hidden"}, rbac.FieldRule{Role: "sales", Resource: "customer", Field: "owner_id"})
			return nil
		}))
		ann := db.WithContext(as("ann"))
		require.NoError(t, ann.Find(&[]Customer{}).Error)
		require.NoError(t, ann.Joins("Customer").Find(&[]Note{}).Error)
		require.NoError(t, ann.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).
			Create(&Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1"}).Error)
		require.ErrorIs(t, ann.Where("hidden = ?", false).Find(&[]Customer{}).Error, rbac.ErrRefused)
		// What stands at the same place of the statement as the scope in its ON is not the scope.
		long := "notes.id, CASE WHEN " + strings.Repeat("1 = 2 OR ", 30) + "1 = 1 THEN 1 ELSE 2 END, notes.text"
		require.NoError(t, ann.Select(long).Joins("Customer").Find(&[]Note{}).Error)
		require.ErrorIs(t, ann.Select("upper(Customer.phone), "+long).Joins("Customer").Find(&[]Note{}).Error, rbac.ErrRefused)
		require.ErrorIs(t, ann.Select(long+", Customer.hidden AS text").Joins("Customer").Find(&[]Note{}).Error, rbac.ErrRefused)
	})
}

// An upsert that finds its rows by a field matches by it, whatever the database calls the clause.
func TestUpsertMatchesByItsTarget(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, _ := openCRM(t, db)
		email := func(f rbac.FieldRule) error {
			f.Role, f.Resource, f.Field = "sales", "customer", "email"
			require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
				p.Fields = append(slices.DeleteFunc(p.Fields, func(f rbac.FieldRule) bool { return f.Field == "email" }), f)
				return nil
			}))
			return db.WithContext(as("ann")).Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "email"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).
				Create(&Customer{ID: "9", TenantID: "t1", OwnerID: "ann", Email: "a@1", Name: "new"}).Error
		}
		require.EqualError(t, email(rbac.FieldRule{Level: masking.Partial}), fmt.Sprintf("rbac: statement refused: the caller may not find rows by customer.email: leave it out, or give a role of the caller rbac.Match in the Rights of a field rule (policy version %d)", a.Version()))
		require.NoError(t, email(rbac.FieldRule{Level: masking.Partial, Rights: rbac.Match}))
	})
}
