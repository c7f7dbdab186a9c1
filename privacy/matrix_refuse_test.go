package privacy_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/privacy"
)

// refusedPaths cannot be answered on sealed values.
func refusedPaths() []path {
	const g = "Refused"
	find := func(f func(db *gorm.DB) *gorm.DB) func(m *maze) error {
		return func(m *maze) error { return f(m.gorm()).Find(&[]Customer{}).Error }
	}
	ana := privacy.New(anaPhone)
	return []path{
		{g, "Where(map) with plaintext", "plain value", find(func(db *gorm.DB) *gorm.DB { return db.Where(map[string]any{"phone": anaPhone}) })},
		{g, "Where(map[string]string)", "plain value", find(func(db *gorm.DB) *gorm.DB { return db.Where(map[string]string{"phone": anaPhone}) })},
		{g, "Where(col = ?) with plaintext", "plain value", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone = ?", anaPhone) })},
		{g, "Where(col IN ?) with plaintext", "plain value", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone IN ?", []string{anaPhone}) })},
		{g, "Where(col = @name)", "cannot be", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone = @p", map[string]any{"p": anaPhone}) })},
		{g, "Where(col = 'literal')", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone = '" + anaPhone + "'") })},
		{g, "Where(quoted col = ?)", "plain value", find(func(db *gorm.DB) *gorm.DB { return db.Where("`PHONE` = ?", anaPhone) })},
		{g, "Where(lower(col) = ?)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where("lower(phone) = ?", ana) })},
		{g, "Where(col LIKE ?)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone LIKE ?", "%"+"3923"+"%") })},
		{g, "Where(col > ?)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone > ?", ana) })},
		{g, "Where(col BETWEEN ? AND ?)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone BETWEEN ? AND ?", ana, ana) })},
		{g, "Where(? = col)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where("? = phone", anaPhone) })},
		{g, "Where(col = ? || ?)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone = ? || ?", ana, "x") })},
		{g, "Where with a comment", "cannot be", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone = ? -- it's", ana) })},
		{g, "Where with a backslash in a string", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where(`owner = 'a\'' OR phone = 'x'`) })},
		{g, "clause.Gt, clause.Like", "ranges and patterns", find(func(db *gorm.DB) *gorm.DB { return db.Where(clause.Like{Column: "phone", Value: "%1%"}) })},
		{g, "clause.Expr with a column", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where(clause.Expr{SQL: "length(phone) > 3"}) })},
		{g, "equal to another column", "another column", find(func(db *gorm.DB) *gorm.DB {
			return db.Where(clause.Eq{Column: "owner", Value: clause.Column{Name: "phone"}})
		})},
		{g, "an expression of a type of one's own", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Where(ownExpression{}) })},
		{g, "a sealed value against a plain column", "not sealed", find(func(db *gorm.DB) *gorm.DB { return db.Where("owner = ?", ana) })},
		{g, "index column by hand", "by hand", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone_index = ?", anaPhone) })},
		{g, "field without an index", "no blind index", find(func(db *gorm.DB) *gorm.DB { return db.Where(&Customer{Name: privacy.New(anaName)}) })},
		{g, "NULL in a list", "NULL is never equal", find(func(db *gorm.DB) *gorm.DB { return db.Where("phone IN ?", []privacy.String{privacy.Null()}) })},
		{g, "Order(col)", "order of sealed", find(func(db *gorm.DB) *gorm.DB { return db.Order("phone desc") })},
		{g, "Order(clause)", "order of sealed", find(func(db *gorm.DB) *gorm.DB {
			return db.Order(clause.OrderByColumn{Column: clause.Column{Name: "phone"}})
		})},
		{g, "Order(expression)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB {
			return db.Order(clause.OrderBy{Expression: clause.Expr{SQL: "lower(phone)"}})
		})},
		{g, "Group(col)", "nothing to group", find(func(db *gorm.DB) *gorm.DB { return db.Select("owner").Group("phone") })},
		{g, "Having", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Select("owner").Group("owner").Having("max(phone) > ?", "1") })},
		{g, "Distinct(col)", "DISTINCT", find(func(db *gorm.DB) *gorm.DB { return db.Distinct("phone") })},
		{g, "Select(expression)", "expression or alias", find(func(db *gorm.DB) *gorm.DB { return db.Select("id, lower(phone) AS owner") })},
		{g, "Select(alias)", "expression or alias", find(func(db *gorm.DB) *gorm.DB { return db.Select("id, phone AS owner") })},
		{g, "Select(expression, args)", "cannot be answered", find(func(db *gorm.DB) *gorm.DB { return db.Select("coalesce(phone, ?) AS owner", "x") })},
		{g, "Count(DISTINCT col)", "cannot be answered", func(m *maze) error {
			var n int64
			return m.gorm().Model(&Customer{}).Distinct("phone").Count(&n).Error
		}},
		{g, "raw join on a sealed column", "cannot be answered", func(m *maze) error {
			return m.gorm().Joins("JOIN customers c ON c.phone = invoices.id").Find(&[]Invoice{}).Error
		}},
		{g, "raw join, column without its table", "raw SQL or not at all", func(m *maze) error {
			return m.gorm().Joins("JOIN customers c ON c.id = invoices.customer_id").Where("phone = ?", ana).Find(&[]Invoice{}).Error
		}},
		{g, "raw join into strings", "as ciphertext", func(m *maze) error {
			var list []struct{ ID, Phone string }
			return m.gorm().Model(&Invoice{}).Select("invoices.id, c.phone").Joins("JOIN customers c ON c.id = invoices.customer_id").Find(&list).Error
		}},
		{g, "raw join, star into strings", "as ciphertext", func(m *maze) error {
			var list []struct{ ID, Phone string }
			return m.gorm().Model(&Plain{}).Select("*").Joins("JOIN customers c ON c.id = plains.customer_id").Find(&list).Error
		}},
		{g, "subquery over a sealed column", "hands out its ciphertext", func(m *maze) error {
			sub := m.db.DB.Model(&Customer{}).Select("phone")
			return m.gorm().Where("note IN (?)", sub).Find(&[]Plain{}).Error
		}},
		{g, "subquery with a condition that cannot be answered", "cannot be answered", func(m *maze) error {
			sub := m.db.DB.Model(&Customer{}).Select("id").Where("phone LIKE ?", "%3923%")
			return m.gorm().Where("customer_id IN (?)", sub).Find(&[]Plain{}).Error
		}},
		{g, "subquery in FROM", "subquery in FROM", func(m *maze) error {
			var rows []map[string]any
			return m.gorm().Table("(?) AS t", m.db.DB.Model(&Customer{})).Find(&rows).Error
		}},
		{g, "raw subselect in Where", "past the vault", func(m *maze) error {
			return m.gorm().Where("customer_id IN (SELECT id FROM customers WHERE phone = ?)", anaPhone).Find(&[]Plain{}).Error
		}},
		{g, "Raw", "passes the vault by", func(m *maze) error {
			return m.gorm().Raw("SELECT * FROM customers WHERE phone = ?", anaPhone).Find(&[]Customer{}).Error
		}},
		{g, "Raw(...).Scan", "passes the vault by", func(m *maze) error {
			return m.gorm().Raw(`SELECT phone FROM "customers" WHERE phone = ?`, anaPhone).Scan(&[]string{}).Error
		}},
		{g, "Exec", "passes the vault by", func(m *maze) error {
			return m.gorm().Exec("UPDATE customers SET phone = ? WHERE id = ?", newPhone, "1").Error
		}},
		{g, "Exec with the table in a comment's shadow", "passes the vault by", func(m *maze) error {
			return m.gorm().Exec("UPDATE /* ' */ customers SET phone = ?", newPhone).Error
		}},
		{g, "gorm.G Raw", "passes the vault by", func(m *maze) error {
			_, err := gorm.G[Customer](m.db.DB).Raw("SELECT * FROM customers WHERE phone = ?", anaPhone).Find(m.ctx)
			return err
		}},
		{g, "the database handle itself, text", "constraint", func(m *maze) error {
			return m.handle("UPDATE customers SET phone = 'plain' WHERE id = '1'")
		}},
		{g, "the database handle itself, an index", "constraint", func(m *maze) error {
			return m.handle("UPDATE customers SET phone_index = 'plain' WHERE id = '1'")
		}},
		{g, "the database handle itself, a new row", "constraint", func(m *maze) error {
			return m.handle("INSERT INTO customers (id, name) VALUES ('9', 'plain text that is long enough to be a sealed value')")
		}},
	}
}

type ownExpression struct{}

func (ownExpression) Build(b clause.Builder) {
	b.WriteQuoted(clause.Column{Name: "phone"})
	_, _ = b.WriteString(" = owner")
}

func (m *maze) handle(sql string) error {
	pool, err := m.db.DB.DB()
	if err != nil {
		return err
	}
	_, err = pool.Exec(sql)
	return err
}
