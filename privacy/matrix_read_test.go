package privacy_test

import (
	"fmt"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/privacy"
)

func readPaths() []path {
	const g = "Read"
	return []path{
		{g, "First, Take, Last, Find", "", func(m *maze) error {
			var first, take, last Customer
			var all []Customer
			var ptrs []*Customer
			var array [2]Customer
			require.NoError(m.t, m.gorm().First(&first).Error)
			require.NoError(m.t, m.gorm().Take(&take, "id = ?", "1").Error)
			require.NoError(m.t, m.gorm().Last(&last).Error)
			require.NoError(m.t, m.gorm().Order("id").Find(&all).Error)
			require.NoError(m.t, m.gorm().Order("id").Find(&ptrs).Error)
			require.NoError(m.t, m.gorm().Order("id").Find(&array).Error)
			for _, s := range []privacy.String{first.Name, take.Name, all[0].Name, ptrs[0].Name, array[0].Name} {
				m.equal(anaName, reveal(m.t, s))
			}
			m.equal(bobName, reveal(m.t, last.Name))
			p, err := first.Prefs.Reveal(m.ctx, "test")
			m.equal(Prefs{Diet: "Vegan"}, p)
			return err
		}},
		{g, "First(&pointer to pointer)", "", func(m *maze) error {
			var c *Customer
			require.NoError(m.t, m.gorm().First(&c, "id = ?", "1").Error)
			m.equal(anaName, reveal(m.t, c.Name))
			return nil
		}},
		{g, "FindInBatches", "", func(m *maze) error {
			var list []Customer
			n := 0
			return m.gorm().FindInBatches(&list, 1, func(*gorm.DB, int) error {
				reveal(m.t, list[0].Name)
				n++
				return nil
			}).Error
		}},
		{g, "Preload", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().Preload("Invoices").First(&c, "id = ?", "1").Error)
			m.equal(2, len(c.Invoices))
			m.equal(anaName, reveal(m.t, c.Invoices[1].BillingName))
			return nil
		}},
		{g, "Preload, nested", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().Preload("Invoices.Customer").First(&c, "id = ?", "1").Error)
			m.equal(anaPhone, reveal(m.t, c.Invoices[0].Customer.Phone))
			return nil
		}},
		{g, "Joins", "", func(m *maze) error {
			var i Invoice
			require.NoError(m.t, m.gorm().Joins("Customer").First(&i, "invoices.id = ?", "i1").Error)
			m.equal(anaPhone, reveal(m.t, i.Customer.Phone))
			m.equal(anaName, reveal(m.t, i.BillingName))
			return nil
		}},
		{g, "Joins without a match", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(&Invoice{ID: "i9", CustomerID: "9", BillingName: privacy.New(newName)}).Error)
			var i Invoice
			require.NoError(m.t, m.gorm().Joins("Customer").First(&i, "invoices.id = ?", "i9").Error)
			require.Nil(m.t, i.Customer)
			m.equal(newName, reveal(m.t, i.BillingName))
			return nil
		}},
		{g, "Joins into a slice", "", func(m *maze) error {
			var list []Invoice
			require.NoError(m.t, m.gorm().Joins("Customer").Order("invoices.id").Find(&list).Error)
			m.equal(2, len(list))
			m.equal(anaPhone, reveal(m.t, list[1].Customer.Phone))
			return nil
		}},
		{g, "InnerJoins with conditions on a sealed field", "", func(m *maze) error {
			var list []Invoice
			require.NoError(m.t, m.gorm().InnerJoins("Customer", m.db.DB.Where(&Customer{Phone: privacy.New("551239235555")})).Find(&list).Error)
			m.equal(2, len(list))
			require.NoError(m.t, m.gorm().InnerJoins("Customer", m.db.DB.Where(&Customer{Phone: privacy.New(bobPhone)})).Find(&list).Error)
			m.equal(0, len(list))
			return nil
		}},
		{g, "Association.Find", "", func(m *maze) error {
			var list []Invoice
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).Association("Invoices").Find(&list))
			m.equal(anaName, reveal(m.t, list[0].BillingName))
			return nil
		}},
		{g, "Select(a sealed column) into the model", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().Select("phone").First(&c, "id = ?", "1").Error)
			m.equal(anaPhone, reveal(m.t, c.Phone))
			require.True(m.t, c.Name.IsZero())
			return nil
		}},
		{g, "Select of a row whose person is another column", "", func(m *maze) error {
			var i Invoice
			require.NoError(m.t, m.gorm().Select("BillingName").First(&i, "id = ?", "i1").Error)
			m.equal(anaName, reveal(m.t, i.BillingName))
			return nil
		}},
		{g, "Omit", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().Omit("phone").First(&c, "id = ?", "1").Error)
			require.True(m.t, c.Phone.IsZero())
			m.equal(anaName, reveal(m.t, c.Name))
			return nil
		}},
		{g, "into a smaller struct with sealed fields and keys", "", func(m *maze) error {
			var list []struct {
				ID    string
				Phone privacy.String
			}
			require.NoError(m.t, m.gorm().Model(&Customer{}).Order("id").Find(&list).Error)
			m.equal(anaPhone, reveal(m.t, list[0].Phone))
			return nil
		}},
		{g, "into a smaller struct without keys", "not bound", func(m *maze) error {
			var list []struct{ Phone privacy.String }
			require.NoError(m.t, m.gorm().Model(&Customer{}).Order("id").Find(&list).Error)
			m.equal("[sealed]", fmt.Sprint(list[0].Phone))
			_, err := list[0].Phone.Reveal(m.ctx, "test")
			return err
		}},
		{g, "into a smaller struct with a string", "as ciphertext", func(m *maze) error {
			var list []struct{ ID, Phone string }
			return m.gorm().Model(&Customer{}).Find(&list).Error
		}},
		{g, "into a smaller struct with bytes", "as ciphertext", func(m *maze) error {
			var list []struct{ Phone []byte }
			return m.gorm().Table("customers").Find(&list).Error
		}},
		{g, "into a map", "", func(m *maze) error {
			row := map[string]any{}
			require.NoError(m.t, m.gorm().Model(&Customer{}).Where("id = ?", "1").Take(&row).Error)
			m.equal(anaPhone, reveal(m.t, row["phone"].(privacy.String)))
			return nil
		}},
		{g, "into maps, by table", "", func(m *maze) error {
			var rows []map[string]any
			require.NoError(m.t, m.gorm().Table("customers").Order("id").Find(&rows).Error)
			m.equal(anaPhone, reveal(m.t, rows[0]["phone"].(privacy.String)))
			return nil
		}},
		{g, "into a map without keys", "not bound", func(m *maze) error {
			row := map[string]any{}
			require.NoError(m.t, m.gorm().Model(&Customer{}).Select("phone").Where("id = ?", "1").Take(&row).Error)
			_, err := row["phone"].(privacy.String).Reveal(m.ctx, "test")
			return err
		}},
		{g, "Pluck of a sealed column", "not bound", func(m *maze) error {
			var list []privacy.String
			require.NoError(m.t, m.gorm().Model(&Customer{}).Pluck("phone", &list).Error)
			m.equal("[sealed]", fmt.Sprint(list[0]))
			_, err := list[0].Reveal(m.ctx, "test")
			return err
		}},
		{g, "Pluck of a sealed column into strings", "as ciphertext", func(m *maze) error {
			var list []string
			return m.gorm().Model(&Customer{}).Pluck("phone", &list).Error
		}},
		{g, "Pluck of a plain column", "", func(m *maze) error {
			var list []string
			require.NoError(m.t, m.gorm().Model(&Customer{}).Order("id").Pluck("id", &list).Error)
			m.equal([]string{"1", "2"}, list)
			return nil
		}},
		{g, "Scan of plain columns", "", func(m *maze) error {
			var ids []string
			require.NoError(m.t, m.gorm().Model(&Customer{}).Select("id").Order("id").Scan(&ids).Error)
			m.equal([]string{"1", "2"}, ids)
			return nil
		}},
		{g, "Scan of sealed columns", "past the vault", func(m *maze) error {
			var list []Customer
			return m.gorm().Model(&Customer{}).Scan(&list).Error
		}},
		{g, "Rows of sealed columns", "past the vault", func(m *maze) error {
			rows, err := m.gorm().Model(&Customer{}).Rows()
			if err == nil {
				err = rows.Close()
			}
			return err
		}},
		{g, "Rows of plain columns", "", func(m *maze) error {
			rows, err := m.gorm().Model(&Customer{}).Select("id").Rows()
			require.NoError(m.t, err)
			require.NoError(m.t, rows.Close())
			return rows.Err()
		}},
		{g, "a *sql.Rows of one's own", "not bound", func(m *maze) error {
			pool, err := m.db.DB.DB()
			require.NoError(m.t, err)
			var s privacy.String
			require.NoError(m.t, pool.QueryRow("SELECT phone FROM customers").Scan(&s))
			m.equal("[sealed]", fmt.Sprint(s))
			_, err = s.Reveal(m.ctx, "test")
			return err
		}},
		{g, "Count", "", func(m *maze) error {
			var n int64
			require.NoError(m.t, m.gorm().Model(&Customer{}).Where("phone = ?", privacy.New(anaPhone)).Count(&n).Error)
			m.equal(int64(1), n)
			return nil
		}},
		{g, "Count, then Find, on one statement", "", func(m *maze) error {
			var n int64
			var list []Customer
			tx := m.gorm().Model(&Customer{}).Where(&Customer{Phone: privacy.New(anaPhone)})
			require.NoError(m.t, tx.Count(&n).Error)
			require.NoError(m.t, tx.Find(&list).Error)
			m.equal(1, len(list))
			m.equal(int64(1), n)
			return nil
		}},
		{g, "gorm.G First, Find, Count", "", func(m *maze) error {
			q := gorm.G[Customer](m.db.DB).Where("phone = ?", privacy.New(anaPhone))
			c, err := q.First(m.ctx)
			require.NoError(m.t, err)
			m.equal(anaName, reveal(m.t, c.Name))
			list, err := q.Find(m.ctx)
			require.NoError(m.t, err)
			m.equal(1, len(list))
			n, err := q.Count(m.ctx, "*")
			m.equal(int64(1), n)
			return err
		}},
		{g, "gorm.G Joins with conditions on a sealed field", "", func(m *maze) error {
			list, err := gorm.G[Invoice](m.db.DB).Joins(clause.InnerJoin.Association("Customer"), func(db gorm.JoinBuilder, _, _ clause.Table) error {
				db.Where("phone = ?", privacy.New(bobPhone))
				return nil
			}).Find(m.ctx)
			m.equal(0, len(list))
			return err
		}},
		{g, "a used struct, then a row with NULL", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(&Customer{ID: "3", Name: privacy.New(newName)}).Error)
			var c Customer
			require.NoError(m.t, m.gorm().First(&c, "id = ?", "1").Error)
			c.ID = ""
			require.NoError(m.t, m.gorm().First(&c, "id = ?", "3").Error)
			require.True(m.t, c.Phone.IsNull(), "the phone of the row before is still there")
			m.equal(newName, reveal(m.t, c.Name))
			return nil
		}},
		{g, "a used struct, then no row", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().First(&c, "id = ?", "1").Error)
			require.ErrorIs(m.t, m.gorm().Where("owner = ?", "nobody").First(&c).Error, gorm.ErrRecordNotFound)
			m.equal(anaPhone, reveal(m.t, c.Phone))
			return nil
		}},
		{g, "a plain model beside", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(&Plain{ID: "p", CustomerID: "1", Note: "x"}).Error)
			var list []Plain
			require.NoError(m.t, m.gorm().Where("note LIKE ?", "x%").Order("note").Find(&list).Error)
			m.equal(1, len(list))
			return m.gorm().Raw("SELECT note FROM plains").Scan(&[]string{}).Error
		}},
	}
}

func searchPaths() []path {
	const g = "Search"
	one := func(m *maze, q *gorm.DB, want ...string) error {
		m.t.Helper()
		var list []Customer
		err := q.Order("id").Find(&list).Error
		ids := []string{}
		for _, c := range list {
			ids = append(ids, c.ID)
		}
		if err == nil {
			m.equal(append([]string{}, want...), ids)
		}
		return err
	}
	ana, bob := privacy.New("551239235555"), privacy.New("+86 138-0013-8000")
	return []path{
		{g, "Where(struct)", "", func(m *maze) error { return one(m, m.gorm().Where(&Customer{Phone: ana}), "1") }},
		{g, "Where(struct, field)", "", func(m *maze) error { return one(m, m.gorm().Where(&Customer{Phone: ana, Owner: "no"}, "phone"), "1") }},
		{g, "Find(&list, struct)", "", func(m *maze) error {
			var list []Customer
			require.NoError(m.t, m.gorm().Find(&list, Customer{Phone: ana}).Error)
			m.equal(1, len(list))
			return nil
		}},
		{g, "Where(map)", "", func(m *maze) error { return one(m, m.gorm().Where(map[string]any{"phone": ana}), "1") }},
		{g, "Where(map with a list)", "", func(m *maze) error {
			return one(m, m.gorm().Model(&Customer{}).Where(map[string]any{"phone": []privacy.String{ana, bob}}), "1", "2")
		}},
		{g, "Where(col = ?)", "", func(m *maze) error { return one(m, m.gorm().Where("phone = ?", ana), "1") }},
		{g, "Where(col)", "", func(m *maze) error { return one(m, m.gorm().Where("phone", ana), "1") }},
		{g, "Where(table.col = ?)", "", func(m *maze) error { return one(m, m.gorm().Where("customers.phone = ?", ana), "1") }},
		{g, "Where(col IN ?)", "", func(m *maze) error {
			return one(m, m.gorm().Where("phone IN ?", []privacy.String{ana, bob}), "1", "2")
		}},
		{g, "Where(col IN (?, ?))", "", func(m *maze) error { return one(m, m.gorm().Where("phone IN (?, ?)", ana, bob), "1", "2") }},
		{g, "Where(col <> ?)", "", func(m *maze) error { return one(m, m.gorm().Where("phone <> ?", ana), "2") }},
		{g, "Where(col NOT IN ?)", "", func(m *maze) error { return one(m, m.gorm().Where("phone NOT IN ?", []privacy.String{ana}), "2") }},
		{g, "Where(col = ? AND …)", "", func(m *maze) error {
			return one(m, m.gorm().Where("owner = ? AND (phone = ? OR email = ?) AND id <> ?", "e3", ana, privacy.New(bobEmail), "2"), "1")
		}},
		{g, "Where(NOT col = ?)", "", func(m *maze) error { return one(m, m.gorm().Where("NOT (phone = ?)", ana), "2") }},
		{g, "Where(col IS NULL)", "", func(m *maze) error { return one(m, m.gorm().Where("phone IS NULL")) }},
		{g, "Where(col IS NOT NULL)", "", func(m *maze) error { return one(m, m.gorm().Where("phone IS NOT NULL"), "1", "2") }},
		{g, "Where(map with nil)", "", func(m *maze) error { return one(m, m.gorm().Where(map[string]any{"phone": nil})) }},
		{g, "Where(struct with Null)", "", func(m *maze) error { return one(m, m.gorm().Where(&Customer{Phone: privacy.Null()})) }},
		{g, "Where(Null beside a value)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(&Customer{ID: "3", Phone: privacy.New(""), Email: privacy.Null()}).Error)
			require.NoError(m.t, one(m, m.gorm().Where(&Customer{Email: privacy.Null()}), "3"))
			return one(m, m.gorm().Where(&Customer{Phone: privacy.New("")}), "3")
		}},
		{g, "Not(struct)", "", func(m *maze) error { return one(m, m.gorm().Not(&Customer{Phone: ana}), "2") }},
		{g, "Not(map)", "", func(m *maze) error { return one(m, m.gorm().Not(map[string]any{"phone": ana}), "2") }},
		{g, "Or(struct)", "", func(m *maze) error {
			return one(m, m.gorm().Where(&Customer{Phone: ana}).Or(&Customer{Phone: bob}), "1", "2")
		}},
		{g, "Where(group)", "", func(m *maze) error {
			db := m.db.DB
			return one(m, m.gorm().Where(db.Where("owner = ?", "e3").Where(db.Where(&Customer{Phone: ana}).Or("email = ?", privacy.New("nobody")))), "1")
		}},
		{g, "clause.Eq, Neq, IN", "", func(m *maze) error {
			col := clause.Column{Table: clause.CurrentTable, Name: "phone"}
			require.NoError(m.t, one(m, m.gorm().Where(clause.Eq{Column: col, Value: ana}), "1"))
			require.NoError(m.t, one(m, m.gorm().Where(clause.Neq{Column: "phone", Value: ana}), "2"))
			require.NoError(m.t, one(m, m.gorm().Clauses(clause.IN{Column: "customers.phone", Values: []any{ana}}), "1"))
			return one(m, m.gorm().Not(clause.IN{Column: col, Values: []any{ana}}), "2")
		}},
		{g, "by e-mail in another case", "", func(m *maze) error {
			return one(m, m.gorm().Where(&Customer{Email: privacy.New("  LUISG@Embraer.com.BR")}), "1")
		}},
		{g, "by a value that was read", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().First(&c, "id = ?", "2").Error)
			return one(m, m.gorm().Where(&Customer{Phone: c.Phone}), "2")
		}},
		{g, "Delete", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Where(&Customer{Phone: bob}).Delete(&Customer{}).Error)
			return one(m, m.gorm(), "1")
		}},
		{g, "gorm.G Delete", "", func(m *maze) error {
			n, err := gorm.G[Customer](m.db.DB).Where("phone = ?", bob).Delete(m.ctx)
			m.equal(1, n)
			return err
		}},
		{g, "subquery", "", func(m *maze) error {
			var list []Invoice
			sub := m.db.DB.Model(&Customer{}).Select("id").Where(&Customer{Phone: ana})
			require.NoError(m.t, m.gorm().Where("customer_id IN (?)", sub).Find(&list).Error)
			m.equal(2, len(list))
			return nil
		}},
		{g, "raw join with an alias", "", func(m *maze) error {
			var list []Invoice
			require.NoError(m.t, m.gorm().Joins("JOIN customers AS c ON c.id = invoices.customer_id").Where("c.phone = ?", ana).Find(&list).Error)
			m.equal(2, len(list))
			return nil
		}},
		{g, "Table(name AS alias)", "", func(m *maze) error {
			return one(m, m.gorm().Table("customers AS c").Where("c.phone = ?", ana), "1")
		}},
		{g, "Scopes", "", func(m *maze) error {
			return one(m, m.gorm().Scopes(func(db *gorm.DB) *gorm.DB { return db.Where("phone = ?", ana) }), "1")
		}},
	}
}
