// Package intake brings CSV files into the customer book: it finds out which
// column is what, checks every row, and either takes the whole file in one
// transaction or nothing of it.
package intake

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// A Column is something a sheet can say about a row.
type Column struct {
	Field    string
	Names    []string // headings that mean it, beside Field itself
	Required bool     // the heading must be there and no row may leave it empty
}

// A Kind is one kind of sheet.
type Kind struct {
	Name    string
	Columns []Column
	Skipped []string // known headings that are not taken, because no purpose needs them
}

// Kinds returns the kinds of sheet there are: the words of `crm import KIND`.
func Kinds() []Kind {
	address := func(prefix string) []Column {
		return []Column{
			{Field: "address", Names: []string{prefix + "Address", "Street", "地址", "详细地址"}},
			{Field: "city", Names: []string{prefix + "City", "Town", "城市"}},
			{Field: "state", Names: []string{prefix + "State", "Province", "Region", "省", "省份"}},
			{Field: "country", Names: []string{prefix + "Country", "国家"}},
			{Field: "postal_code", Names: []string{prefix + "PostalCode", "Postcode", "ZIP", "邮编"}},
		}
	}
	return []Kind{
		{
			Name: "employees",
			Columns: []Column{
				{Field: "id", Names: []string{"EmployeeId", "工号", "员工编号"}, Required: true},
				{Field: "last_name", Names: []string{"Surname", "姓"}, Required: true},
				{Field: "first_name", Names: []string{"GivenName", "名"}, Required: true},
				{Field: "title", Names: []string{"JobTitle", "职位", "岗位"}, Required: true},
				{Field: "manager_id", Names: []string{"ReportsTo", "ManagerId", "上级", "汇报对象"}},
				{Field: "phone", Names: []string{"Mobile", "Telephone", "手机", "手机号", "电话"}},
				{Field: "email", Names: []string{"E-Mail", "Mail", "邮箱", "电子邮箱"}, Required: true},
			},
			// The home of an employee, the birthday and the fax serve nothing here.
			Skipped: []string{"BirthDate", "HireDate", "Address", "City", "State", "Country", "PostalCode", "Fax"},
		},
		{
			Name: "customers",
			Columns: append([]Column{
				{Field: "id", Names: []string{"CustomerId", "客户编号"}, Required: true},
				{Field: "first_name", Names: []string{"GivenName", "名"}},
				{Field: "last_name", Names: []string{"Surname", "Name", "姓", "姓名"}, Required: true},
				{Field: "company", Names: []string{"Organisation", "Organization", "公司", "公司名称"}},
				{Field: "phone", Names: []string{"Mobile", "Telephone", "手机", "手机号", "电话"}},
				{Field: "fax", Names: []string{"传真"}},
				{Field: "email", Names: []string{"E-Mail", "Mail", "邮箱", "电子邮箱"}},
				{Field: "owner_id", Names: []string{"SupportRepId", "OwnerId", "负责人", "负责人编号"}, Required: true},
			}, address("")...),
		},
		{
			Name: "invoices",
			Columns: append([]Column{
				{Field: "id", Names: []string{"InvoiceId", "发票编号"}, Required: true},
				{Field: "customer_id", Names: []string{"CustomerId", "客户编号"}, Required: true},
				{Field: "date", Names: []string{"InvoiceDate", "日期", "开票日期"}, Required: true},
				{Field: "total", Names: []string{"Amount", "金额", "合计"}, Required: true},
			}, address("Billing")...),
		},
	}
}

// KindNamed returns the kind of that name.
func KindNamed(name string) (Kind, error) {
	var names []string
	for _, k := range Kinds() {
		if k.Name == name {
			return k, nil
		}
		names = append(names, k.Name)
	}
	return Kind{}, fmt.Errorf("unknown kind of sheet; use one of %s", strings.Join(names, ", "))
}

// A Mapping tells for each position of a row which field stands there; "" means
// that the column is not taken.
type Mapping struct {
	Fields  []string
	Ignored []string // headings nobody knows, and known ones that no purpose needs
}

// Map finds the field of each heading. Choices made by hand, from heading to
// field, come first; the rest is matched by name without regard to case, spaces
// and punctuation.
func (k Kind) Map(headings []string, byHand map[string]string) (Mapping, error) {
	m := Mapping{Fields: make([]string, len(headings))}
	used := map[string]string{}
	hand := map[string]string{}
	for heading, field := range byHand {
		if !k.has(field) {
			return m, fmt.Errorf("-map names the unknown field %q; %s have %s", field, k.Name, strings.Join(k.fields(), ", "))
		}
		if !slices.ContainsFunc(headings, func(h string) bool { return plain(h) == plain(heading) }) {
			return m, fmt.Errorf("-map names the heading %q, which the file does not have", heading)
		}
		hand[plain(heading)] = field
	}
	for i, heading := range headings {
		field := hand[plain(heading)]
		if field == "" && !slices.Contains(handFields(byHand), k.fieldOf(heading)) {
			field = k.fieldOf(heading)
		}
		if field == "" {
			m.Ignored = append(m.Ignored, heading)
			continue
		}
		if other, twice := used[field]; twice {
			return m, fmt.Errorf("the headings %q and %q both mean %s; choose one with -map", other, heading, field)
		}
		used[field], m.Fields[i] = heading, field
	}
	for _, c := range k.Columns {
		if _, ok := used[c.Field]; c.Required && !ok {
			return m, fmt.Errorf("no heading means %s; add the column, or name it with -map 'Heading=%s'", c.Field, c.Field)
		}
	}
	return m, nil
}

func (k Kind) fieldOf(heading string) string {
	h := plain(heading)
	for _, c := range k.Columns {
		if plain(c.Field) == h || slices.ContainsFunc(c.Names, func(n string) bool { return plain(n) == h }) {
			return c.Field
		}
	}
	return ""
}

func (k Kind) has(field string) bool { return slices.Contains(k.fields(), field) }

func (k Kind) fields() []string {
	var fields []string
	for _, c := range k.Columns {
		fields = append(fields, c.Field)
	}
	return fields
}

func (k Kind) required(field string) bool {
	return slices.ContainsFunc(k.Columns, func(c Column) bool { return c.Field == field && c.Required })
}

func handFields(byHand map[string]string) []string {
	var fields []string
	for _, f := range byHand {
		fields = append(fields, f)
	}
	return fields
}

// plain folds a heading to what people mean by it.
func plain(heading string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, heading)
}
