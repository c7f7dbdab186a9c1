package rbac

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gorm.io/gorm"
)

// revelation is one MayReveal under a policy with needs.
type revelation struct {
	a      *Authorizer
	db     *gorm.DB
	snap   *snapshot
	res    *resource
	fields []string
	ids    []string
}

// needs settles what a permission rests on, or finds out what a refusal lacks; done is false if needs have
// nothing to do with it.
func (r *revelation) needs(ctx context.Context, who *asker, allowed bool) (done bool, err error) {
	if !allowed {
		m, err := r.missing(ctx, who)
		if err != nil || m == nil {
			return err != nil, err
		}
		return true, r.a.required(ctx, m, strings.Join(r.ids, ","))
	}
	bare := *who
	bare.with = &circumstances{Env: who.with.Env, zones: who.with.zones}
	if free, err := r.allows(ctx, &bare); err != nil || free {
		return true, err
	}
	for _, action := range []string{"read", "reveal"} {
		if err := r.a.settleScope(ctx, r.snap, who, r.res, action, strings.Join(r.ids, ",")); err != nil {
			return true, err
		}
	}
	return true, nil
}

func (r *revelation) allows(ctx context.Context, who *asker) (bool, error) {
	own, err := r.snap.revealScope(who, r.res, r.fields)
	if err != nil {
		return false, err
	}
	n, err := countRows(ctx, r.db, own, r.ids)
	if err != nil {
		return false, fmt.Errorf("rbac: reveal: %w", err)
	}
	return n == len(r.ids), nil
}

// missing supposes the needs of one rule after the other to be met, and then those of all together.
func (r *revelation) missing(ctx context.Context, who *asker) (*Required, error) {
	const most = 8
	var rules []*rule
	for _, action := range []string{"read", "reveal"} {
		r.snap.rulesFor(who.roles, r.res, action, func(found *rule) bool {
			if found.must != nil {
				rules = append(rules, found)
			}
			return true
		})
	}
	sets := [][]*rule{}
	for _, one := range rules[:min(most, len(rules))] {
		sets = append(sets, []*rule{one})
	}
	for _, set := range append(sets, rules) {
		if len(set) == 0 {
			continue
		}
		with := *who.with
		with.supposed = map[*obligation]bool{}
		for _, rule := range set {
			with.supposed[rule.must] = true
		}
		supposed := *who
		supposed.with = &with
		if ok, err := r.allows(ctx, &supposed); err != nil {
			return nil, err
		} else if ok {
			return r.lacking(who, set), nil
		}
	}
	return nil, nil
}

// lacking joins what the rules miss.
func (r *revelation) lacking(who *asker, rules []*rule) *Required {
	m := &Required{Action: "reveal", Resource: r.res.name, Rule: rules[0].ID, Version: r.snap.version}
	e := &env{who: *who}
	for _, rule := range rules {
		o := rule.must
		m.Reason = m.Reason || o.reason && (who.with.granted == nil || who.with.granted.reason == "")
		if o.approval && !r.covered(who, o) {
			m.Approval, m.ApprovalBy = true, o.byName
		}
		if age := time.Duration(o.age) * time.Second; !o.steppedUp(e) {
			m.Assurance = max(m.Assurance, o.assurance)
			if age > 0 && (m.MaxAge == 0 || age < m.MaxAge) {
				m.MaxAge = age
			}
		}
	}
	return m
}

// covered reports whether one approval covers all of the rows.
func (r *revelation) covered(who *asker, o *obligation) bool {
	for i := range who.with.approvals {
		p := &who.with.approvals[i]
		all := p.covers(o)
		for _, id := range r.ids {
			all = all && p.has(id)
		}
		if all {
			return true
		}
	}
	return false
}
