package gormpolicy

import (
	"encoding/json"
	"fmt"
	"reflect"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// name is a key that is compared byte for byte. MySQL's usual collations would take "Alice" for "alice" and
// for "alice ".
type name string

// GormDBDataType makes the column binary where text is not.
func (name) GormDBDataType(db *gorm.DB, _ *schema.Field) string {
	if db.Dialector.Name() == "mysql" {
		return "VARBINARY(255)"
	}
	return "TEXT"
}

const only = 1 // the id of the one version row

type version struct {
	ID      int `gorm:"primaryKey;autoIncrement:false"`
	Version int64
}

type role struct {
	Name name `gorm:"primaryKey"`
	Seq  int
}

type inherit struct {
	Role   name `gorm:"primaryKey"`
	Parent name `gorm:"primaryKey"`
	Seq    int
}

// rule keeps the parts that conditions, actions and effects are made of as JSON text: no column is too short
// for them, and no separator can stand inside one.
type rule struct {
	ID   name `gorm:"primaryKey"`
	Seq  int
	Body string `gorm:"type:text"`
}

type field struct {
	Seq  int    `gorm:"primaryKey;autoIncrement:false"`
	Body string `gorm:"type:text"`
}

type assignment struct {
	Tenant name `gorm:"primaryKey"`
	User   name `gorm:"primaryKey;column:user_id"`
	Role   name `gorm:"primaryKey"`
}

func (version) TableName() string    { return "confide_policy_version" }
func (role) TableName() string       { return "confide_policy_roles" }
func (inherit) TableName() string    { return "confide_policy_inherits" }
func (rule) TableName() string       { return "confide_policy_rules" }
func (field) TableName() string      { return "confide_policy_fields" }
func (assignment) TableName() string { return "confide_policy_assignments" }

// The versions of the bodies, see FORMAT.md.
const (
	format = 1
	// withRights is that of a field rule that names rights. A program that does not know of rights must not
	// read it as a rule without.
	withRights = 2
)

// needing is the version of a rule with needs. A program that does not know needs would read the rule as one
// that allows more, so it must not read it at all.
const needing = 2

type ruleBody struct {
	V        int      `json:"v"`
	Role     string   `json:"role"`
	Resource string   `json:"resource"`
	Actions  []string `json:"actions"`
	When     string   `json:"when,omitempty"`
	Effect   string   `json:"effect,omitempty"`
	Needs    []string `json:"needs,omitempty"` // since version 2
}

func bodyOf(r rbac.Rule) ruleBody {
	b := ruleBody{Role: r.Role, Resource: r.Resource, Actions: r.Actions, When: r.When, Effect: string(r.Effect), Needs: r.Needs}
	b.V = b.version()
	return b
}

func (b ruleBody) version() int {
	if len(b.Needs) > 0 {
		return needing
	}
	return format
}

type fieldBody struct {
	V        int           `json:"v"`
	Role     string        `json:"role"`
	Resource string        `json:"resource"`
	Field    string        `json:"field"`
	Level    masking.Level `json:"level"`
	Reveal   bool          `json:"reveal,omitempty"`
	When     string        `json:"when,omitempty"`
	Rights   rbac.Right    `json:"rights,omitempty"`
}

// tables is a policy as rows.
type tables struct {
	roles       []role
	inherits    []inherit
	rules       []rule
	fields      []field
	assignments []assignment
}

func read(db *gorm.DB) (t tables, err error) {
	for _, q := range []*gorm.DB{
		db.Order("seq").Find(&t.roles), db.Order("role, seq").Find(&t.inherits), db.Order("seq").Find(&t.rules),
		db.Order("seq").Find(&t.fields), db.Order("tenant, user_id, role").Find(&t.assignments),
	} {
		if q.Error != nil {
			return t, fmt.Errorf("gormpolicy: read policy: %w", q.Error)
		}
	}
	return t, nil
}

func tablesOf(p rbac.Policy) (t tables) {
	for i, r := range p.Roles {
		t.roles = append(t.roles, role{name(r.Name), i})
		for j, parent := range r.Inherits {
			t.inherits = append(t.inherits, inherit{name(r.Name), name(parent), j})
		}
	}
	for i, r := range p.Rules {
		t.rules = append(t.rules, rule{name(r.ID), i, encode(bodyOf(r))})
	}
	for i, f := range p.Fields {
		t.fields = append(t.fields, field{i, encode(fieldBody{fieldFormat(f.Rights), f.Role, f.Resource, f.Field, f.Level, f.Reveal, f.When, f.Rights})})
	}
	for _, a := range p.Assignments {
		t.assignments = append(t.assignments, assignment{name(a.Tenant), name(a.User), name(a.Role)})
	}
	return t
}

func (t tables) policy() (p rbac.Policy, err error) {
	parents := map[name][]string{}
	for _, i := range t.inherits {
		parents[i.Role] = append(parents[i.Role], string(i.Parent))
	}
	for _, r := range t.roles {
		p.Roles = append(p.Roles, rbac.Role{Name: string(r.Name), Inherits: parents[r.Name]})
	}
	for _, r := range t.rules {
		var b ruleBody
		if err := json.Unmarshal([]byte(r.Body), &b); err != nil || b.V != b.version() {
			return p, fmt.Errorf("gormpolicy: rule %q in confide_policy_rules is damaged or of a newer version: restore the row, or update the program", r.ID)
		}
		p.Rules = append(p.Rules, rbac.Rule{ID: string(r.ID), Role: b.Role, Resource: b.Resource, Actions: b.Actions, When: b.When, Effect: rbac.Effect(b.Effect), Needs: b.Needs})
	}
	for _, f := range t.fields {
		var b fieldBody
		if err := json.Unmarshal([]byte(f.Body), &b); err != nil || b.V != fieldFormat(b.Rights) {
			return p, fmt.Errorf("gormpolicy: row %d in confide_policy_fields is damaged or of a newer version: restore the row, or update the program", f.Seq)
		}
		p.Fields = append(p.Fields, rbac.FieldRule{Role: b.Role, Resource: b.Resource, Field: b.Field, Level: b.Level, Reveal: b.Reveal, When: b.When, Rights: b.Rights})
	}
	for _, a := range t.assignments {
		p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: string(a.Tenant), User: string(a.User), Role: string(a.Role)})
	}
	return p, nil
}

// replace writes the difference between two policies: a change of one assignment among a hundred thousand
// writes one row.
func (t tables) replace(tx *gorm.DB, next tables) error {
	if err := replaceRows(tx, t.roles, next.roles, func(r role) any { return role{Name: r.Name} }); err != nil {
		return err
	}
	if err := replaceRows(tx, t.inherits, next.inherits, func(r inherit) any { return inherit{Role: r.Role, Parent: r.Parent} }); err != nil {
		return err
	}
	if err := replaceRows(tx, t.rules, next.rules, func(r rule) any { return rule{ID: r.ID} }); err != nil {
		return err
	}
	if err := replaceRows(tx, t.fields, next.fields, func(r field) any { return field{Seq: r.Seq} }); err != nil {
		return err
	}
	return replaceRows(tx, t.assignments, next.assignments, func(r assignment) any { return r })
}

func replaceRows[T comparable](tx *gorm.DB, old, next []T, key func(T) any) error {
	keep := map[T]bool{}
	for _, row := range next {
		keep[row] = true
	}
	for _, row := range old {
		if keep[row] {
			delete(keep, row)
			continue
		}
		if err := tx.Where(where(key(row))).Delete(new(T)).Error; err != nil {
			return err
		}
	}
	for _, row := range next {
		if !keep[row] {
			continue
		}
		delete(keep, row)
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
	}
	return nil
}

// where makes a condition of all primary key fields of row, also of the empty ones, which GORM would leave
// out.
func where(row any) map[string]any {
	cond := map[string]any{}
	v := reflect.ValueOf(row)
	for i := range v.NumField() {
		tag := schema.ParseTagSetting(v.Type().Field(i).Tag.Get("gorm"), ";")
		if _, key := tag["PRIMARYKEY"]; !key {
			continue
		}
		column := tag["COLUMN"]
		if column == "" {
			column = schema.NamingStrategy{}.ColumnName("", v.Type().Field(i).Name)
		}
		cond[column] = v.Field(i).Interface()
	}
	return cond
}

func fieldFormat(rights rbac.Right) int {
	if rights != 0 {
		return withRights
	}
	return format
}

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // strings, booleans and levels always encode
	}
	return string(b)
}
