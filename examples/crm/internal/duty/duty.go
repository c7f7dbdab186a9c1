// Package duty is the CRM's first policy: which duties there are and what each
// may do. It is data: after the first start the policy lives in the database,
// where the security administrator changes it.
//
// Three administrators are kept apart, as MLPS level 3 asks: the one who runs the
// system, the one who gives rights, the one who reads the log. None of them sees
// a customer.
package duty

import (
	"strings"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// The roles.
const (
	Sales    = "sales"    // own customers
	Manager  = "manager"  // customers of everybody below, hidden ones too
	System   = "system"   // runs the system: people in and out, backups
	Security = "security" // gives and takes roles
	Auditor  = "auditor"  // reads and checks the log
)

// Roles lists the roles.
func Roles() []string { return []string{Sales, Manager, System, Security, Auditor} }

// ForTitle returns the roles of a job title. Whoever has a title that says
// nothing gets no role and sees no customer.
func ForTitle(title string) []string {
	t := strings.ToLower(title)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(t, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("it manager", "安全"):
		return []string{System, Security}
	case has("it staff", "运维"):
		return []string{System}
	case has("general manager", "总经理"):
		return []string{Manager, Auditor}
	case has("sales manager", "销售经理", "销售总监"):
		return []string{Manager}
	case has("sales", "销售"):
		return []string{Sales}
	case has("audit", "审计"):
		return []string{Auditor}
	}
	return nil
}

// Policy returns the policy a new database begins with, without assignments.
func Policy() rbac.Policy {
	const (
		// The address is sealed; the database compares its blind index.
		me     = `row.email == caller.email && !row.hidden`
		own    = `row.owner_id == caller.id && !row.hidden`
		below  = `row.owner_id in caller.reports`
		office = "customer"
	)
	p := rbac.Policy{}
	for _, name := range Roles() {
		p.Roles = append(p.Roles, rbac.Role{Name: name})
	}
	p.Rules = []rbac.Rule{
		{ID: "sales-own-customers", Role: Sales, Resource: office, Actions: []string{"read", "reveal", "export"}, When: own},
		// Without the last part of `own`: hiding a customer is a change to a row that
		// is hidden afterwards. The row has to be readable first, see desk.
		{ID: "sales-change-own-customers", Role: Sales, Resource: office, Actions: []string{"update", "hide"}, When: `row.owner_id == caller.id`},
		// Who is a customer too sees what is kept about them, whoever looks after them.
		{ID: "sales-themselves", Role: Sales, Resource: office, Actions: []string{"read", "reveal"}, When: me},
		{ID: "manager-themselves", Role: Manager, Resource: office, Actions: []string{"read", "reveal"}, When: me},
		{ID: "sales-own-invoices", Role: Sales, Resource: "invoice", Actions: []string{"read", "reveal"}, When: own},
		{ID: "sales-own-documents", Role: Sales, Resource: "document", Actions: []string{"read", "reveal", "create"}, When: own},
		{ID: "sales-hide-own-documents", Role: Sales, Resource: "document", Actions: []string{"update"}, When: `row.owner_id == caller.id`},
		{ID: "sales-hide-own-invoices", Role: Sales, Resource: "invoice", Actions: []string{"update"}, When: `row.owner_id == caller.id`},

		{ID: "manager-customers-below", Role: Manager, Resource: office, Actions: []string{"read", "reveal", "export", "update", "hide", "view_hidden"}, When: below},
		{ID: "manager-invoices-below", Role: Manager, Resource: "invoice", Actions: []string{"read", "reveal", "update", "view_hidden"}, When: below},
		{ID: "manager-documents-below", Role: Manager, Resource: "document", Actions: []string{"read", "reveal", "create", "update", "view_hidden"}, When: below},

		{ID: "colleagues-are-known", Role: rbac.Everyone, Resource: "user", Actions: []string{"read", "reveal"}},
		{ID: "system-people-in-and-out", Role: System, Resource: "user", Actions: []string{"update", "disable"}},
		{ID: "security-gives-roles", Role: Security, Resource: "user", Actions: []string{"assign"}},
		{ID: "auditor-reads-the-log", Role: Auditor, Resource: "user", Actions: []string{"audit"}},
	}
	for _, role := range []string{Sales, Manager} {
		p.Fields = append(p.Fields, customerFields(role)...)
		p.Fields = append(p.Fields,
			rbac.FieldRule{Role: role, Resource: "invoice", Field: "*", Level: masking.Full, Reveal: true, Rights: rbac.Match | rbac.Sort},
			rbac.FieldRule{Role: role, Resource: "invoice", Field: "cents", Level: masking.Full, Reveal: true, Rights: rbac.Aggregate}, // the sum below the list
		)
		p.Fields = append(p.Fields,
			rbac.FieldRule{Role: role, Resource: "document", Field: "*", Level: masking.Full},
			rbac.FieldRule{Role: role, Resource: "document", Field: "file", Level: masking.Partial, Reveal: true})
		for _, f := range []string{"address", "postal_code"} {
			p.Fields = append(p.Fields, rbac.FieldRule{Role: role, Resource: "invoice", Field: f, Level: masking.Partial})
		}
	}
	p.Fields = append(p.Fields,
		rbac.FieldRule{Role: rbac.Everyone, Resource: "user", Field: "*", Level: masking.Full, Reveal: true, Rights: rbac.Match | rbac.Sort},
		rbac.FieldRule{Role: rbac.Everyone, Resource: "user", Field: "phone", Level: masking.Partial},
		rbac.FieldRule{Role: rbac.Everyone, Resource: "user", Field: "password", Level: masking.Hidden},
	)
	return p
}

// customerFields says what a person who works with customers sees of them: names
// and places in full, what reaches the person masked, to be revealed with a reason
// and exported as it is shown.
func customerFields(role string) []rbac.FieldRule {
	fields := []rbac.FieldRule{{Role: role, Resource: "customer", Field: "*", Level: masking.Full, Reveal: true, Rights: rbac.Match | rbac.Sort | rbac.Export}}
	for _, f := range []string{"email", "phone", "fax"} { // what a caller reads out or a mail comes from: the search box finds by it
		fields = append(fields, rbac.FieldRule{Role: role, Resource: "customer", Field: f, Level: masking.Partial, Reveal: true, Rights: rbac.Match | rbac.Export})
	}
	for _, f := range []string{"address", "postal_code"} {
		fields = append(fields, rbac.FieldRule{Role: role, Resource: "customer", Field: f, Level: masking.Partial, Reveal: true, Rights: rbac.Export})
	}
	return fields
}
