package rbac

import (
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// Share is a ready model for Config.Shares: somebody lets somebody have a row, for a while. The shares of
// a row end with the row: the application deletes them together.
type Share struct {
	ID        int64      `gorm:"primaryKey"`
	Tenant    string     `gorm:"size:64;not null;uniqueIndex:confide_shares_whom,priority:1;index:confide_shares_row,priority:1"`
	Resource  string     `gorm:"size:64;not null;uniqueIndex:confide_shares_whom,priority:2;index:confide_shares_row,priority:2"`
	RowID     string     `gorm:"size:64;not null;uniqueIndex:confide_shares_whom,priority:6;index:confide_shares_row,priority:3"`
	Kind      string     `gorm:"size:16;not null;uniqueIndex:confide_shares_whom,priority:3"` // user, or a kind of ShareTable.Grantees
	Grantee   string     `gorm:"size:64;not null;uniqueIndex:confide_shares_whom,priority:4"` // the id of the user, team, ...
	Access    string     `gorm:"size:16;not null;uniqueIndex:confide_shares_whom,priority:5"` // the word in shared(row, "read")
	ExpiresAt *time.Time // the first moment at which it no longer holds; nil is never
}

// TableName is the table of shares.
func (Share) TableName() string { return "confide_shares" }

// ShareTable is the table that conditions ask with shared(row, "read"): whether there is a share of this
// row, with this right, in the caller's tenant, for the caller, and not expired. A NULL, an empty grantee
// and a softly deleted share give nothing. Register the model as a Resource too, to rule who may share.
type ShareTable struct {
	// Model is a pointer to the GORM model, such as &Share{}. Without it no condition may ask for shares.
	Model any
	// Grantees tells which shares are the caller's, by their kind: {"team": "teams"} are those of kind team
	// whose grantee is caller.teams or in it. Shares of kind user always are those of caller.id.
	Grantees map[string]string
	// The columns' names, if they are not tenant, resource, row_id, kind, grantee, access and expires_at.
	Tenant, Resource, Row, Kind, Grantee, Right, Expires string
}

// shareTable is a checked ShareTable.
type shareTable struct {
	res                                                          *resource
	tenant, resource, row, kind, grantee, right, expiry, deleted *column
	kinds                                                        []string // sorted
	who                                                          map[string]operand
}

// shareTest is what an opShared node asks: the condition on the shares of a row. Its columns are the share
// table's.
type shareTest struct {
	table *shareTable
	res   *resource
	right string
	cond  *node
}

func newShareTable(cfg ShareTable, attrs map[string]kind, naming schema.Namer) (*shareTable, error) {
	if cfg.Model == nil {
		return nil, nil
	}
	res, err := newResource(Resource{Model: cfg.Model, Name: "shares"}, naming)
	if err != nil {
		return nil, err
	}
	t := &shareTable{res: res, kinds: []string{"user"}, who: map[string]operand{"user": {from: fromID, kind: text}}}
	for _, c := range []struct {
		to                 **column
		name, usual, field string
		kinds              []kind
	}{
		{&t.tenant, cfg.Tenant, "tenant", "Tenant", []kind{text}}, {&t.resource, cfg.Resource, "resource", "Resource", []kind{text}},
		{&t.row, cfg.Row, "row_id", "Row", []kind{text, integer}}, {&t.kind, cfg.Kind, "kind", "Kind", []kind{text}},
		{&t.grantee, cfg.Grantee, "grantee", "Grantee", []kind{text}}, {&t.right, cfg.Right, "access", "Right", []kind{text}},
		{&t.expiry, cfg.Expires, "expires_at", "Expires", []kind{instant}},
	} {
		if c.name == "" {
			c.name = c.usual
		}
		if *c.to = res.byName[c.name]; *c.to == nil || !slices.Contains(c.kinds, (*c.to).kind) {
			return nil, fmt.Errorf("rbac: Config.Shares.%s: %T has no column %q of the type %s", c.field, cfg.Model, c.name, c.kinds[0])
		}
	}
	if err := t.softDelete(cfg.Model); err != nil {
		return nil, err
	}
	return t, t.grantees(cfg.Grantees, attrs)
}

// softDelete finds GORM's deletion mark. Other marks would be overlooked, and what was taken away would
// still be given.
func (t *shareTable) softDelete(model any) error {
	for _, c := range t.res.columns {
		if c.field.FieldType.String() == "gorm.DeletedAt" {
			t.deleted = c
		}
	}
	if n := len(t.res.schema.QueryClauses); n > 1 || n == 1 && t.deleted == nil {
		return fmt.Errorf("rbac: Config.Shares.Model: %T is deleted softly in a way of its own: use gorm.DeletedAt, or delete its rows", model)
	}
	return nil
}

func (t *shareTable) grantees(kinds map[string]string, attrs map[string]kind) error {
	for name, attr := range kinds {
		from, own := map[string]source{"roles": fromRoles}[attr]
		if !own {
			from = fromAttr
		}
		if k := attrs[attr]; !word(name) || name == "user" || attr == "id" || attr == "tenant" || k != text && k != texts {
			return fmt.Errorf("rbac: Config.Shares.Grantees: %q: %q must be a lower-case word other than user, and its attribute a string or []string of Config.Attrs", name, attr)
		}
		t.kinds, t.who[name] = append(t.kinds, name), operand{from: from, kind: attrs[attr], name: attr}
	}
	sort.Strings(t.kinds)
	return nil
}

// condition is what makes a share of res the caller's; right "" is any.
func (t *shareTable) condition(res *resource, right string) *node {
	is := func(c *column, s string) *node {
		return &node{op: opCompare, left: operand{from: fromRow, kind: text, col: c}, right: operand{kind: text, val: value{kind: text, s: s}}}
	}
	parts := []*node{
		{op: opCompare, left: operand{from: fromRow, kind: text, col: t.tenant}, right: operand{from: fromTenant, kind: text}},
		is(t.resource, res.name),
	}
	if right != "" {
		parts = append(parts, is(t.right, right))
	}
	var mine []*node
	for _, kind := range t.kinds {
		who := t.who[kind]
		n := &node{op: opCompare, left: operand{from: fromRow, kind: text, col: t.grantee}, right: who}
		if who.kind == texts {
			n.op = opIn
		}
		if who.from != fromID { // a caller's id is never empty, an attribute may be
			n = all(n, negate(is(t.grantee, "")))
		}
		mine = append(mine, all(is(t.kind, kind), n))
	}
	parts = append(parts, anyOf(mine...))
	if !t.row.strict {
		parts = append(parts, negate(&node{op: opNull, left: operand{from: fromRow, kind: t.row.kind, col: t.row}}))
	}
	expires := operand{from: fromRow, kind: instant, col: t.expiry}
	lasting := &node{op: opCompare, cmp: gt, left: expires, right: operand{from: fromNow, kind: instant}}
	if t.expiry.nullable {
		lasting = anyOf(&node{op: opNull, left: expires}, lasting)
	}
	parts = append(parts, lasting)
	if t.deleted != nil {
		parts = append(parts, &node{op: opNull, left: operand{from: fromRow, kind: instant, col: t.deleted}})
	}
	return all(parts...)
}

// fits reports why rows of res cannot be shared by this table.
func (t *shareTable) fits(res *resource) error {
	switch {
	case t == nil:
		return fmt.Errorf("shared() needs the table of shares: set Config.Shares")
	case t.res.table == res.table:
		return fmt.Errorf("shared() cannot decide about the shares themselves")
	case res.key == nil || res.key.kind != t.row.kind:
		return fmt.Errorf("shared() needs a single primary key of the type %s, as the shares have it; %s has none", t.row.kind, res.name)
	}
	return nil
}

// namedAs makes sure that the table's names are those of the database.
func (t *shareTable) namedAs(db *gorm.DB) error {
	s, err := schema.Parse(t.res.model(), new(sync.Map), db.NamingStrategy)
	if err != nil {
		return fmt.Errorf("rbac: Config.Shares: %w", err)
	}
	if s.Table != t.res.table || !slices.Equal(s.DBNames, t.res.schema.DBNames) {
		return fmt.Errorf("rbac: Config.Shares is named differently in this database: set Config.Naming to its NamingStrategy")
	}
	return nil
}
