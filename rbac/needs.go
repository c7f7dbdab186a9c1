package rbac

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// obligation is what the caller must bring for a rule to allow: Rule.Needs, for one action. It is a part of the rule's
// condition, so whatever asks the condition, a list or a check, asks for it as well.
type obligation struct {
	reason    bool
	approval  bool
	by        int // the role an approver must have; 0 is Everyone
	byName    string
	assurance int64 // 0: no step-up
	age       int64 // seconds; 0: any
	res       *resource
	action    string
}

// obligation reads the needs of a rule.
func (b *builder) obligation(r *Rule, res *resource, action string) (*obligation, error) {
	o := &obligation{res: res, action: action}
	seen := map[string]bool{}
	for _, need := range r.Needs {
		name, arg, _ := strings.Cut(need, ":")
		if seen[name] {
			return nil, fmt.Errorf("the need %s stands twice", name)
		}
		seen[name] = true
		var err error
		switch {
		case need == "reason":
			o.reason = true
		case name == "approval":
			err = b.needApproval(o, need, arg)
		case name == "step-up":
			err = b.needStepUp(o, need, arg)
		default:
			err = fmt.Errorf(`the need %q is unknown; there are "reason", "approval", "approval:<role>", "step-up", "step-up:<assurance>" and "step-up:<assurance>:<age>"`, need)
		}
		if err != nil {
			return nil, err
		}
	}
	return o, nil
}

// bind gives a rule the obligation of one of its actions, as a part of its condition.
func (b *builder) bind(r *rule, action string) (*rule, error) {
	if len(r.Needs) == 0 {
		return r, nil
	}
	b.needy = true
	o, err := b.obligation(&r.Rule, r.res, action)
	if err != nil {
		return nil, err
	}
	bound := *r
	bound.must = o
	bound.cond = all(r.bare, &node{op: opMet, must: o, text: "needs " + strings.Join(r.Needs, ", ")})
	return &bound, nil
}

func (b *builder) needApproval(o *obligation, need, role string) error {
	id, ok := b.number[role]
	switch {
	case need != "approval" && (!ok || id == 0):
		return fmt.Errorf("the need %q: an approval is given by a role of the policy", need)
	case !b.langs[o.res].approvable:
		return fmt.Errorf("the need %q: set Config.Approvals", need)
	case o.res.key == nil || o.res.key.kind != text && o.res.key.kind != integer:
		return fmt.Errorf("the need %q: %s has no single primary key that is a string or an integer", need, o.res.name)
	}
	o.approval, o.by, o.byName = true, id, role
	return nil
}

func (b *builder) needStepUp(o *obligation, need, arg string) error {
	if !b.langs[o.res].served {
		return fmt.Errorf("the need %q: set Config.Env", need)
	}
	o.assurance = 2
	if need == "step-up" {
		return nil
	}
	level, age, aged := strings.Cut(arg, ":")
	var err error
	if o.assurance, err = strconv.ParseInt(level, 10, 32); err != nil || o.assurance < 1 || strconv.FormatInt(o.assurance, 10) != level {
		return fmt.Errorf("the need %q: write it as step-up:2 or step-up:2:15m", need)
	}
	if !aged {
		return nil
	}
	d, err := time.ParseDuration(age)
	if err != nil || d < time.Second || d%time.Second != 0 {
		return fmt.Errorf("the need %q: write it as step-up:2 or step-up:2:15m, in whole seconds", need)
	}
	o.age = int64(d / time.Second)
	return nil
}

// missing returns what of the obligation is not met on this row.
func (o *obligation) missing(e *env) Required {
	r := Required{Action: o.action, Resource: o.res.name}
	with := e.who.with
	if with == nil {
		with = &circumstances{}
	}
	r.Reason = o.reason && (with.granted == nil || with.granted.reason == "")
	if !o.steppedUp(e) {
		r.Assurance, r.MaxAge = o.assurance, time.Duration(o.age)*time.Second
	}
	if o.approval && o.approvedBy(e) == nil {
		r.Approval, r.ApprovalBy = true, o.byName
	}
	return r
}

func (o *obligation) steppedUp(e *env) bool {
	if o.assurance == 0 {
		return true
	}
	if v := e.getEnv("assurance"); v.kind == null || v.i < o.assurance {
		return false
	}
	age := e.getEnv("auth_age")
	return o.age == 0 || age.kind != null && age.i < o.age
}

// approvedBy returns the approval in the request that covers the row, or nil.
func (o *obligation) approvedBy(e *env) *approved {
	if e.who.with == nil {
		return nil
	}
	for i := range e.who.with.approvals {
		if a := &e.who.with.approvals[i]; a.covers(o) && a.rows.eval(e) == yes {
			return a
		}
	}
	return nil
}

// met is the obligation as a part of a condition.
func (n *node) met(e *env) tri {
	if e.who.with != nil && e.who.with.supposed[n.must] {
		return yes
	}
	r := n.must.missing(e)
	return truth(!r.any())
}

// foldMet leaves the rows that an approval covers, or all, or none.
func (n *node) foldMet(e *env) *node {
	o := n.must
	if e.who.with == nil {
		return constant(no)
	}
	if e.who.with.supposed[o] {
		return constant(yes)
	}
	if o.reason && (e.who.with.granted == nil || e.who.with.granted.reason == "") || !o.steppedUp(e) {
		return constant(no)
	}
	if !o.approval {
		return constant(yes)
	}
	var rows []*node
	for i := range e.who.with.approvals {
		if a := &e.who.with.approvals[i]; a.covers(o) && a.rows.op != opConst {
			rows = append(rows, a.rows)
		}
	}
	if len(rows) == 0 {
		return constant(no)
	}
	return anyOf(rows...)
}
