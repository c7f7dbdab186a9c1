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
	list := strings.Split(names, ",")
	for i, name := range list {
		list[i] = w.label(lang, roleKey, strings.TrimSpace(name))
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
		"user.create": "action.user.create", "user.update": "action.user.update", "user.assign": "action.user.assign",
		"user.reveal": "action.user.reveal", "invoice.reveal": "action.invoice.reveal",
		"login.succeeded": "action.login.succeeded", "login.failed": "action.login.failed",
		"login.throttled": "action.login.throttled", "logout": "action.logout",
	}
}

// actions are the names there are words for, to be chosen from.
func actions() []string { return slices.Sorted(maps.Keys(actionKeys())) }

func resultKey(name string) string {
	return map[string]string{
		"ok": "result.ok", "denied": "result.denied", "refused": "result.refused", "failed": "result.failed",
	}[name]
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
	}[name]
}
