package rbac

import "github.com/confide-go/confide/masking"

// Everyone, as the role of a rule, means every caller, also one without any role.
const Everyone = "*"

// A Policy is everything that decides, as one value. Anything it does not allow is denied.
type Policy struct {
	// Version is set by the store and grows with every change.
	Version int64

	Roles       []Role
	Rules       []Rule
	Fields      []FieldRule
	Assignments []Assignment
}

// A Role is a name that rules and assignments share. It has all rights of the roles it inherits.
type Role struct {
	Name     string
	Inherits []string
}

// Effect says what a rule does to the rows on which its condition holds.
type Effect string

// The effects. A deny wins over every allow; a deny whose condition is unknown (a NULL) still denies.
const (
	Allow Effect = "allow"
	Deny  Effect = "deny"
)

// A Rule allows or denies actions on the rows of one resource.
type Rule struct {
	ID       string // unique; decisions and explanations quote it
	Role     string // a role of the policy, or Everyone
	Resource string
	Actions  []string // lower-case words: read, create, update, delete, reveal, export, ...
	When     string   // CEL over row, caller and now; "" holds on every row
	Effect   Effect   // "" is Allow
	// Needs are what the caller must bring for an allow rule to hold: "reason", "approval",
	// "approval:<role>", "step-up:<assurance>", "step-up:<assurance>:<age>"; "step-up" is "step-up:2".
	// What is missing is told in a *Required.
	Needs []string
}

// A FieldRule says how much of a field a role sees, whether it may ask for the whole value, and what else
// it may do with it. Without a rule a field is Hidden. Where several rules of the caller's roles hold, the
// highest level counts, and the rights of all. A role's rules for a named field replace its "*" rules for
// that field. Keys and tenants may be used by everybody.
type FieldRule struct {
	Role     string
	Resource string
	Field    string // the column's name, or "*"
	Level    masking.Level
	Reveal   bool   // with a rule for the action "reveal": the value may be revealed
	Rights   Right  // what else may be done with it; 0 is everything at Full and nothing below
	When     string // CEL, as in Rule
}

// An Assignment gives a user a role within a tenant.
type Assignment struct {
	Tenant string
	User   string
	Role   string
}

// clone copies p, so that nobody can change a policy that somebody else holds.
func (p Policy) clone() Policy {
	p.Roles = append([]Role(nil), p.Roles...)
	for i := range p.Roles {
		p.Roles[i].Inherits = append([]string(nil), p.Roles[i].Inherits...)
	}
	p.Rules = append([]Rule(nil), p.Rules...)
	for i := range p.Rules {
		p.Rules[i].Actions = append([]string(nil), p.Rules[i].Actions...)
		p.Rules[i].Needs = append([]string(nil), p.Rules[i].Needs...)
	}
	p.Fields = append([]FieldRule(nil), p.Fields...)
	p.Assignments = append([]Assignment(nil), p.Assignments...)
	return p
}
