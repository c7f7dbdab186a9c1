package rbac_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// oracles are ways to find out the phone number of one's own customer, of which ann sees "138****5678", or
// to put those of all in order. The naive filter has nothing against any of them.
func oracles() []attack {
	const match, compare, sort, group, hand = "may not find rows by customer.phone", "may not compare other than by equality with customer.phone",
		"may not sort by customer.phone", "may not group or aggregate by customer.phone", "an expression hands on customer.phone"
	where := func(query any, args ...any) func(*gorm.DB) ([]string, error) {
		return func(db *gorm.DB) ([]string, error) { return ids(db.Where(query, args...)) }
	}
	order := func(by any) func(*gorm.DB) ([]string, error) {
		return func(db *gorm.DB) ([]string, error) { return ids(db.Order(by)) }
	}
	list := func(columns string) func(*gorm.DB) ([]string, error) {
		return func(db *gorm.DB) ([]string, error) { return scanned(db.Model(&Customer{}).Select(columns)) }
	}
	return []attack{
		{"masked column: guess it", where("phone = ?", "13812345678"), match},
		{"masked column: guess it, in a struct", where(&Customer{Phone: "13812345678"}), match},
		{"masked column: guess many", where("phone IN ?", []string{"13812345678"}), match},
		{"masked column: guess by Not", where("NOT phone = ?", "13812345678"), match},
		{"masked column: LIKE prefix", where("phone LIKE ?", "1381%"), compare},
		{"masked column: bisect", where("phone < ?", "13815"), compare},
		{"masked column: BETWEEN", where("? BETWEEN name AND phone", "13815"), compare},
		{"masked column: part by part", where("substr(phone, 4, 1) = ?", "1"), compare},
		{"masked column: ORDER BY", order("phone"), sort},
		{"masked column: ORDER BY a clause", order(clause.OrderByColumn{Column: clause.Column{Table: clause.CurrentTable, Name: "phone"}}), sort},
		{"masked column: ORDER BY CASE", order("CASE WHEN phone LIKE '1381%' THEN 0 ELSE 1 END"), "customer.phone"},
		{"masked column: ORDER BY a subselect", order("(SELECT count(*) FROM notes WHERE notes.text < phone)"), "customer.phone"},
		{"masked column: window", list("row_number() OVER (ORDER BY phone)"), sort},
		{"masked column: PARTITION BY", list("count(*) OVER (PARTITION BY phone)"), group},
		{"masked column: DISTINCT", list("DISTINCT phone"), sort},
		{"masked column: GROUP BY", func(db *gorm.DB) ([]string, error) { return pluck(db.Model(&Customer{}).Group("phone"), "count(*)") }, group},
		{"masked column: HAVING", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Model(&Customer{}).Group("id").Having("max(phone) > '13815'"), "id")
		}, group},
		{"masked column: MIN", list("min(phone)"), group},
		{"masked column: MAX", list("max(phone)"), group},
		{"masked column: COUNT of a guess", list("count(CASE WHEN phone = '13812345678' THEN 1 END)"), match},
		{"masked column: under another name", list("phone AS name"), hand},
		{"masked column: a function of it", list("concat(phone, '')"), hand},
		{"masked column: subselect in the list", list("(SELECT phone)"), hand},
		{"masked column: JOIN ON", func(db *gorm.DB) ([]string, error) {
			return ids(db.Joins("JOIN notes ON notes.text = customers.phone"))
		}, match},
		{"masked column: ON of an association", func(db *gorm.DB) ([]string, error) {
			var rows []Note
			err := db.Joins("Customer", db.Session(&gorm.Session{NewDB: true}).Where("Customer.phone LIKE '1381%'")).Find(&rows).Error
			return nil, err
		}, compare},
		{"masked column: Preload", func(db *gorm.DB) ([]string, error) {
			return nil, db.Preload("Customer", "phone = ?", "13812345678").Find(&[]Note{}).Error
		}, match},
		{"masked column: Count", func(db *gorm.DB) ([]string, error) {
			var n int64
			return nil, db.Model(&Customer{}).Where("phone = ?", "13812345678").Count(&n).Error
		}, match},
		{"masked column: Pluck another by it", func(db *gorm.DB) ([]string, error) {
			return pluck(db.Model(&Customer{}).Order("phone"), "id")
		}, sort},
		{"masked column of a joined table", func(db *gorm.DB) ([]string, error) {
			return ids(db.Joins("Owner").Order(clause.OrderByColumn{Column: clause.Column{Table: "Owner", Name: "phone"}}))
		}, "may not sort by user.phone"},
	}
}
