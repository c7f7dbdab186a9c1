package rbac

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/masking"
)

// DiffOptions bound a Diff. The zero value compares all users that either policy assigns a role.
type DiffOptions struct {
	// Callers are those to compare, with their attributes. Nil means everybody with an assignment.
	Callers []Caller
	// Attrs completes the callers that Diff found itself. Nil leaves them without attributes, and what
	// depends on attributes is then denied before and after.
	Attrs func(ctx context.Context, c Caller) (map[string]any, error)
	// IDs is how many rows a difference lists at most; 0 means 10, below that none.
	IDs int
	// Most is how many callers are compared; more are an error. 0 means 1000.
	Most int
}

// PolicyDiff is what a new policy changes on the rows that there are.
type PolicyDiff struct {
	Version     int64 // of the policy in force
	Callers     int   // that were compared
	Differences []Difference
}

// A Difference is the rows that one user gains and loses for one thing. It holds ids and no other values.
type Difference struct {
	Tenant   string
	User     string
	Resource string
	Field    string // "" for an action on rows
	What     string // the action; for a field the level that is at least reached, "reveal", or a right
	Gained   int64
	Lost     int64
	// The ids of the first of them, in the key's order; none if the table has no single key.
	GainedIDs []string
	LostIDs   []string
}

// Diff compares the policy in force with one that is not saved yet: who gains and who loses which rows and
// which parts of which fields. The database answers, with one query or two for each combination whose
// condition changes and none for the others. It shows what everybody sees: guard it like the policy itself.
// Rules with Needs count as far as ctx brings what they need. Soft-deleted rows count.
func (a *Authorizer) Diff(ctx context.Context, db *gorm.DB, next Policy, o DiffOptions) (PolicyDiff, error) {
	old, err := a.current(ctx)
	if err != nil {
		return PolicyDiff{}, err
	}
	after, err := newSnapshot(next, old, a.resources, a.langs)
	if err != nil {
		return PolicyDiff{}, err
	}
	callers, err := a.compared(ctx, old, after, o)
	if err != nil {
		return PolicyDiff{}, err
	}
	if o.IDs == 0 {
		o.IDs = 10
	}
	d := differ{a: a, db: db, old: old, next: after, ids: o.IDs, diff: PolicyDiff{Version: old.version, Callers: len(callers)}}
	for _, c := range callers {
		if err := d.caller(ctx, c); err != nil {
			return PolicyDiff{}, fmt.Errorf("rbac: diff: %w", err)
		}
	}
	return d.diff, nil
}

// compared returns the callers in a fixed order.
func (a *Authorizer) compared(ctx context.Context, old, next *snapshot, o DiffOptions) ([]Caller, error) {
	if o.Most == 0 {
		o.Most = 1000
	}
	callers := o.Callers
	if callers == nil {
		keys := map[userKey]bool{}
		for _, s := range []*snapshot{old, next} {
			for key := range s.assigned {
				keys[key] = true
			}
		}
		for key := range keys {
			callers = append(callers, Caller{ID: key.user, Tenant: key.tenant})
		}
		slices.SortFunc(callers, func(a, b Caller) int { return strings.Compare(a.Tenant+"\x00"+a.ID, b.Tenant+"\x00"+b.ID) })
	}
	if len(callers) > o.Most {
		return nil, fmt.Errorf("rbac: diff: %d callers are more than %d: name those to compare in DiffOptions.Callers, or raise DiffOptions.Most", len(callers), o.Most)
	}
	if o.Callers != nil || o.Attrs == nil {
		return callers, nil
	}
	for i, c := range callers {
		attrs, err := o.Attrs(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("rbac: diff: attributes: %w", err)
		}
		callers[i].Attrs = attrs
	}
	return callers, nil
}

type differ struct {
	a         *Authorizer
	db        *gorm.DB
	old, next *snapshot
	ids       int
	diff      PolicyDiff
}

// side is one policy and the caller under it.
type side struct {
	*snapshot
	who asker
}

func (d *differ) side(ctx context.Context, s *snapshot, c Caller) (side, error) {
	who := asker{Caller: c, roles: s.rolesOf(c.Tenant, c.ID), now: seconds(d.a.cfg.now())}
	if len(s.shared) > 0 {
		who.shares = &shareLookup{a: d.a, ctx: ctx}
	}
	if len(s.sealed) > 0 {
		who.index = &indexLookup{a: d.a, ctx: ctx, pool: d.db.Statement.ConnPool}
	}
	var err error
	if s.needy || s.asksEnv {
		who.with, err = d.a.circumstances(ctx, s, &who)
	}
	return side{s, who}, err
}

func (d *differ) caller(ctx context.Context, c Caller) error {
	before, err := d.side(ctx, d.old, c)
	if err != nil {
		return err
	}
	after, err := d.side(ctx, d.next, c)
	if err != nil {
		return err
	}
	actions := map[string]bool{}
	for _, s := range []*snapshot{d.old, d.next} {
		for action := range s.actions {
			actions[action] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.a.resources)) {
		res := d.a.resources[name]
		for _, action := range slices.Sorted(maps.Keys(actions)) {
			at := Difference{Tenant: c.Tenant, User: c.ID, Resource: name, What: action}
			if err := d.compare(ctx, at, res, before, after, func(s side) (scope, error) { return s.scope(&s.who, res, action) }); err != nil {
				return err
			}
		}
		for _, col := range res.columns {
			if err := d.field(ctx, c, res, col, before, after); err != nil {
				return err
			}
		}
	}
	return nil
}

// field compares the levels, revealing and the rights of a field, each on the rows that may be read.
func (d *differ) field(ctx context.Context, c Caller, res *resource, col *column, before, after side) error {
	if col.match != nil {
		return nil // a blind index goes with its field
	}
	try := func(what, action string, holds func(*fieldRule) bool) error {
		at := Difference{Tenant: c.Tenant, User: c.ID, Resource: res.name, Field: col.name, What: what}
		return d.compare(ctx, at, res, before, after, func(s side) (scope, error) { return s.fieldScope(res, col, action, holds) })
	}
	for level := masking.Token; level <= masking.Full; level++ {
		if err := try(level.String(), "", func(f *fieldRule) bool { return f.Level >= level }); err != nil {
			return err
		}
	}
	for _, r := range rightNames {
		if r.right == ShowOnly {
			continue
		}
		if err := try(r.name, "", func(f *fieldRule) bool { return f.rights()&r.right != 0 }); err != nil {
			return err
		}
	}
	return try("reveal", "reveal", func(f *fieldRule) bool { return f.Reveal })
}

// fieldScope is the readable rows on which one of the field's rules that count holds, and another action is
// allowed, if one is named.
func (s *side) fieldScope(res *resource, col *column, action string, counts func(*fieldRule) bool) (scope, error) {
	own, err := s.scope(&s.who, res, "read")
	if err != nil {
		return own, err
	}
	if action != "" {
		also, err := s.scope(&s.who, res, action)
		if err != nil {
			return own, err
		}
		own = own.also(also)
	}
	var conds []*node
	for _, role := range s.who.roles.ids {
		for _, f := range s.rulesOf(role, res, col) {
			if counts(f) {
				conds = append(conds, f.cond)
			}
		}
	}
	may, err := s.folded(&s.who, res, []*node{anyOf(conds...)})
	return own.also(may), err
}

// compare asks the database where the two policies differ, unless they say the same.
func (d *differ) compare(ctx context.Context, at Difference, res *resource, before, after side, rows func(side) (scope, error)) error {
	old, err := rows(before)
	if err != nil {
		return err
	}
	next, err := rows(after)
	if err != nil {
		return err
	}
	if d.same(ctx, old, next) {
		return nil
	}
	if at.Lost, at.LostIDs, err = d.only(ctx, res, old, next); err != nil {
		return err
	}
	if at.Gained, at.GainedIDs, err = d.only(ctx, res, next, old); err != nil {
		return err
	}
	if at.Lost+at.Gained > 0 {
		d.diff.Differences = append(d.diff.Differences, at)
	}
	return nil
}

func (d *differ) same(ctx context.Context, a, b scope) bool {
	one, two := d.statement(ctx, a.res), d.statement(ctx, b.res)
	a.expr(d.db.Dialector.Name(), a.res.table).Build(one)
	b.expr(d.db.Dialector.Name(), b.res.table).Build(two)
	return one.SQL.String() == two.SQL.String() && fmt.Sprintf("%#v", one.Vars) == fmt.Sprintf("%#v", two.Vars)
}

func (d *differ) statement(ctx context.Context, res *resource) *gorm.Statement {
	return &gorm.Statement{DB: d.db, Context: ctx, ConnPool: d.db.Statement.ConnPool, Table: res.table, Clauses: map[string]clause.Clause{}}
}

// only counts and lists the rows inside one scope and not inside the other. Unknown is not inside: CASE says
// so where NOT would say unknown again.
func (d *differ) only(ctx context.Context, res *resource, in, out scope) (int64, []string, error) {
	build := func(what string) *gorm.Statement {
		stmt := d.statement(ctx, res)
		_, _ = stmt.WriteString("SELECT ")
		if what == "" {
			_, _ = stmt.WriteString("COUNT(*)")
		} else {
			stmt.WriteQuoted(clause.Column{Table: res.table, Name: what})
		}
		_, _ = stmt.WriteString(" FROM ")
		stmt.WriteQuoted(clause.Table{Name: res.table})
		_, _ = stmt.WriteString(" WHERE ")
		in.expr(d.db.Dialector.Name(), res.table).Build(stmt)
		_, _ = stmt.WriteString(" AND (CASE WHEN ")
		out.expr(d.db.Dialector.Name(), res.table).Build(stmt)
		_, _ = stmt.WriteString(" THEN 1 ELSE 0 END) = 0")
		return stmt
	}
	found, err := ints(build(""))
	if err != nil || found[0] == 0 || d.ids < 0 || res.key == nil {
		return slices.Concat(found, []int64{0})[0], nil, err
	}
	list := build(res.key.name)
	_, _ = list.WriteString(" ORDER BY ")
	list.WriteQuoted(clause.Column{Table: res.table, Name: res.key.name})
	_, _ = list.WriteString(" LIMIT " + strconv.Itoa(d.ids))
	ids, err := keys(list)
	return found[0], ids, err
}
