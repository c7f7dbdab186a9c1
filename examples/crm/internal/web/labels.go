package web

import (
	"maps"
	"slices"
	"strings"
)

// Names that come from the data are shown in words where the pages have words for
// them, and as they are where not.

func (w words) label(lang string, keyOf func(string) string, name string) string {
	if key := keyOf(name); key != "" {
		return w.say(lang, key)
	}
	return name
}

func fieldKey(name string) string {
	return map[string]string{
		"first_name": "field.first_name", "last_name": "field.last_name", "company": "field.company",
		"email": "field.email", "phone": "field.phone", "fax": "field.fax", "address": "field.address",
		"city": "field.city", "state": "field.state", "postal_code": "field.postal_code",
		"country": "field.country", "owner_id": "field.owner",
	}[name]
}

func roleKey(name string) string {
	return map[string]string{
		"sales": "role.sales", "manager": "role.manager", "system": "role.system", "security": "role.security", "auditor": "role.auditor",
	}[name]
}

// roles is a list of roles in words.
func (w words) roles(lang, names string) string {
	return w.list(lang, roleKey, names)
}

func (w words) list(lang string, keyOf func(string) string, names string) string {
	list := strings.Split(names, ",")
	for i, name := range list {
		list[i] = w.label(lang, keyOf, strings.TrimSpace(name))
	}
	return strings.Join(list, w.say(lang, "list.comma"))
}

func actionKey(name string) string { return actionKeys()[name] }

func actionKeys() map[string]string {
	return map[string]string{
		"customer.create": "action.customer.create", "customer.update": "action.customer.update",
		"customer.delete": "action.customer.delete", "customer.reveal": "action.customer.reveal",
		"customer.export": "action.customer.export", "customer.hide": "action.customer.hide",
		"customer.unhide": "action.customer.unhide",
		"invoice.create":  "action.invoice.create", "invoice.update": "action.invoice.update",
		"document.create": "action.document.create", "document.update": "action.document.update", "document.reveal": "action.document.reveal",
		"document.denied": "action.denied",
		"user.create":     "action.user.create", "user.update": "action.user.update", "user.assign": "action.user.assign",
		"user.reveal": "action.user.reveal", "invoice.reveal": "action.invoice.reveal",
		"login.succeeded": "action.login.succeeded", "login.failed": "action.login.failed",
		"login.throttled": "action.login.throttled", "logout": "action.logout",
		"customer.erase": "action.customer.erase", "customer.denied": "action.denied", "invoice.denied": "action.denied", "user.denied": "action.denied",
		"import.customers": "action.import.customers", "import.employees": "action.import.employees", "import.invoices": "action.import.invoices",
		"backup.run": "action.backup.run", "backup.verify": "action.backup.verify", "backup.restore": "action.backup.restore",
		"backup.prune": "action.backup.prune", "backup.promote": "action.backup.promote",
		"backup.drill": "action.backup.drill", "backup.missed": "action.backup.missed", "backup.merge": "action.backup.merge",
		"backup.recipients": "action.backup.recipients", "backup.failed": "action.backup.failed", "backup.overdue": "action.backup.overdue",
		"log.verify":  "action.log.verify",
		"http.denied": "action.http.denied", "http.failed": "action.http.failed",
		"customer.read": "action.customer.read", "invoice.read": "action.invoice.read", "document.read": "action.document.read",
		"rbac.system": "action.rbac.system", "audit.checkpoint": "action.audit.checkpoint",
		"audit.gap": "action.audit.gap", "audit.raw": "action.audit.raw", "audit.outofband": "action.audit.outofband",
		"audit.purge": "action.audit.purge", "audit.epoch": "action.audit.epoch",
		"subject.erased": "action.subject.erased", "log.export": "action.log.export",
	}
}

// actions are the names there are words for, to be chosen from.
func actions() []string { return slices.Sorted(maps.Keys(actionKeys())) }

func resultKey(name string) string {
	return map[string]string{
		"ok": "result.ok", "denied": "result.denied", "refused": "result.refused", "failed": "result.failed",
	}[name]
}

func dataTypeKey(name string) string {
	return map[string]string{
		"identity": "data.identity", "contact": "data.contact", "address": "data.address", "billing": "data.billing", "document": "data.document",
	}[name]
}

func resourceKey(name string) string {
	return map[string]string{"customer": "resource.customer", "invoice": "resource.invoice", "document": "resource.document", "user": "resource.user"}[name]
}

// verbKey is for the actions of rules.
func verbKey(name string) string {
	return map[string]string{
		"read": "verb.read", "reveal": "verb.reveal", "export": "verb.export", "create": "verb.create", "update": "verb.update", "delete": "verb.delete",
		"hide": "verb.hide", "view_hidden": "verb.view_hidden", "assign": "verb.assign", "disable": "verb.disable", "audit": "verb.audit",
	}[name]
}

// purposeKey is for the purposes that the desk gives itself when it shows what a
// role sees in full.
func purposeKey(name string) string {
	return map[string]string{
		"customer list": "purpose.list", "customer page": "purpose.page", "invoice list": "purpose.invoices",
		"names of owners": "purpose.owners", "own name": "purpose.own", "staff directory": "purpose.staff", "document list": "purpose.documents",
	}[name]
}

// fieldList is "first_name, phone" in words.
func (w words) fieldList(lang, names string) string { return w.list(lang, fieldKey, names) }

// A rule is a line of a role: what it allows, and on which condition.
type rule struct{ Allows, When string }

// rule reads "read, reveal customer: condition"; what does not look so stays as it
// is.
func (w words) rule(lang, line string) rule {
	allows, when, _ := strings.Cut(line, ": ")
	space := strings.LastIndex(allows, " ")
	if space < 0 {
		return rule{Allows: line}
	}
	resource := w.label(lang, resourceKey, allows[space+1:])
	return rule{Allows: w.say(lang, "rule.allows", w.list(lang, verbKey, allows[:space]), resource), When: when}
}

func breakKey(name string) string {
	return map[string]string{
		"edited":         "break.edited",
		"deleted":        "break.deleted",
		"inserted":       "break.inserted",
		"reordered":      "break.reordered",
		"truncated":      "break.truncated",
		"log-deleted":    "break.log-deleted",
		"rewritten":      "break.rewritten",
		"rolled-back":    "break.rolled-back",
		"forked":         "break.forked",
		"bad-checkpoint": "break.bad-checkpoint",
		"head-edited":    "break.head-edited",
		"index-edited":   "break.index-edited",
		"pending-edited": "break.pending-edited",
		"revision-gap":   "break.revision-gap",
		"bad-epoch":      "break.bad-epoch",
	}[name]
}
