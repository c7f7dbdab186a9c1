package rbac

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// Required is the refusal of an action that a rule would allow if the caller brought what is missing. It matches
// ErrDenied too, so whoever does not know it refuses, and holds no value of the row.
type Required struct {
	Action   string
	Resource string
	Rule     string // the rule that would allow it
	Version  int64  // of the policy that decided

	Reason     bool          // bring a reason: WithReason
	Approval   bool          // bring somebody else's approval: WithApproval
	ApprovalBy string        // the role that may approve; "" is anybody else
	Assurance  int64         // sign in again, at least this strongly; 0: not needed
	MaxAge     time.Duration // and no longer ago than this; 0: whenever
}

func (r *Required) Error() string {
	return fmt.Sprintf("rbac: %s of %s needs %s (rule %q, policy version %d)", r.Action, r.Resource, r.english(), r.Rule, r.Version)
}

// Is makes errors.Is(err, ErrDenied) true.
func (r *Required) Is(target error) bool { return target == ErrDenied }

func (r *Required) any() bool { return r.parts() > 0 }

func (r *Required) parts() int {
	return int(bit(r.Reason) + bit(r.Approval) + bit(r.Assurance > 0))
}

func (r *Required) english() string {
	var all []string
	if r.Reason {
		all = append(all, "a reason")
	}
	if r.Approval && r.ApprovalBy == "" {
		all = append(all, "somebody else's approval")
	} else if r.Approval {
		all = append(all, "the approval of somebody with the role "+r.ApprovalBy)
	}
	if r.Assurance > 0 && r.MaxAge > 0 {
		all = append(all, fmt.Sprintf("a sign-in of assurance %d less than %s ago", r.Assurance, r.MaxAge))
	} else if r.Assurance > 0 {
		all = append(all, fmt.Sprintf("a sign-in of assurance %d", r.Assurance))
	}
	return strings.Join(all, ", ")
}

func (r *Required) chinese() string {
	var all []string
	if r.Reason {
		all = append(all, "填写理由")
	}
	if r.Approval && r.ApprovalBy == "" {
		all = append(all, "他人审批")
	} else if r.Approval {
		all = append(all, "角色 "+r.ApprovalBy+" 的审批")
	}
	if r.Assurance > 0 && r.MaxAge > 0 {
		all = append(all, fmt.Sprintf("在 %s 内以强度 %d 重新认证", r.MaxAge, r.Assurance))
	} else if r.Assurance > 0 {
		all = append(all, fmt.Sprintf("以强度 %d 重新认证", r.Assurance))
	}
	return strings.Join(all, "、")
}

// because is the missing part of an explanation.
func (r *Required) because() reason {
	return reason{fmt.Sprintf("rule %q would allow it with %s", r.Rule, r.english()), fmt.Sprintf("规则“%s”要求：%s", r.Rule, r.chinese())}
}

// missing says what would have to be brought for a rule to allow the action: that of the rule with the
// fewest parts, or nil if nothing would do.
func (s *snapshot) missing(e *env, res *resource, action string) *Required {
	if !s.needy || e.err != nil || s.foreignTenant(e, res) {
		return nil
	}
	var best *Required
	s.rulesFor(e.who.roles, res, action, func(r *rule) bool {
		if r.must == nil || r.bare.eval(e) != yes {
			return true
		}
		if m := r.must.missing(e); best == nil || m.parts() < best.parts() {
			m.Rule, m.Version = r.ID, s.version
			best = &m
		}
		return true
	})
	return best
}

// refusal records and returns why the action is refused.
func (a *Authorizer) refusal(ctx context.Context, s *snapshot, e *env, res *resource, action string, by *rule) error {
	row := e.rowKey(res)
	if by == nil {
		if m := s.missing(e, res, action); m != nil {
			return a.required(ctx, m, row)
		}
	}
	return a.denied(ctx, s.denial(res, action, by), row)
}

func (a *Authorizer) required(ctx context.Context, m *Required, row string) error {
	attrs := []slog.Attr{slog.String("resource", m.Resource), slog.String("result", "denied"), slog.String("rule", m.Rule), slog.String("missing", m.english())}
	if row != "" {
		attrs = append(attrs, slog.String("row", row))
	}
	if err := a.cfg.Record.RecordApart(ctx, m.Resource+"."+m.Action, attrs...); err != nil {
		return errors.Join(m, fmt.Errorf("rbac: the refusal could not be recorded: %w", err))
	}
	return m
}

// settleRow uses up and records what the permission on one row rests on. Where a rule without needs allows
// it as well, it rests on nothing.
func (a *Authorizer) settleRow(ctx context.Context, s *snapshot, e *env, res *resource, action string) error {
	if !s.needy {
		return nil
	}
	var on *rule
	s.rulesFor(e.who.roles, res, action, func(r *rule) bool {
		if r.Effect != Allow || r.cond.eval(e) != yes {
			return true
		}
		if r.must == nil {
			on = nil
			return false
		}
		if on == nil {
			on = r
		}
		return true
	})
	if on == nil {
		return nil
	}
	var by []*approved
	if on.must.approval {
		by = append(by, on.must.approvedBy(e))
	}
	return a.settle(ctx, &e.who, on, by, e.rowKey(res))
}

// rowKey names the row for the log; a row that is not there yet has no name.
func (e *env) rowKey(res *resource) string {
	if !e.row.IsValid() {
		return ""
	}
	return res.keyOf(e.row)
}

// scopeFor is scope for a statement that will run: it uses up and records what the scope rests on.
func (a *Authorizer) scopeFor(ctx context.Context, s *snapshot, who *asker, res *resource, action string) (scope, error) {
	own, err := s.scope(who, res, action)
	if err != nil {
		return own, err
	}
	return own, a.settleScope(ctx, s, who, res, action, "")
}

func (a *Authorizer) settleScope(ctx context.Context, s *snapshot, who *asker, res *resource, action, row string) error {
	if !s.needy {
		return nil
	}
	rules, err := s.restsOn(who, res, action)
	if err != nil {
		return err
	}
	for _, r := range rules {
		var by []*approved
		for i := range who.with.approvals {
			if p := &who.with.approvals[i]; r.must.approval && p.covers(r.must) {
				by = append(by, p)
			}
		}
		if err := a.settle(ctx, who, r, by, row); err != nil {
			return err
		}
	}
	return nil
}

// restsOn returns the rules that open rows to the caller because an obligation is met; none if a rule
// without needs opens every row.
func (s *snapshot) restsOn(who *asker, res *resource, action string) (rules []*rule, err error) {
	e := &env{who: *who}
	s.rulesFor(who.roles, res, action, func(r *rule) bool {
		if r.Effect != Allow {
			return true
		}
		var n *node
		if n, err = r.cond.fold(e); err != nil {
			return false
		}
		if r.must == nil && n.op == opConst && n.truth == yes {
			rules = nil
			return false
		}
		if r.must != nil && !(n.op == opConst && n.truth != yes) {
			rules = append(rules, r)
		}
		return true
	})
	return rules, err
}

// settle uses up the approvals and writes the reason and them down. What cannot be recorded is refused.
func (a *Authorizer) settle(ctx context.Context, who *asker, r *rule, by []*approved, row string) error {
	o := r.must
	if !o.reason && !o.approval {
		return nil
	}
	attrs := []slog.Attr{slog.String("resource", o.res.name), slog.String("operation", o.action), slog.String("rule", r.ID), slog.String("result", "ok")}
	if o.reason {
		attrs = append(attrs, slog.String("purpose", who.with.granted.reason))
	}
	var ids, approvers []string
	for _, p := range by {
		if err := p.ticket.use(ctx, a.cfg.Approvals, p.Approval); err != nil {
			return err
		}
		ids, approvers = append(ids, p.ID), append(approvers, p.Approver)
	}
	if len(ids) > 0 {
		attrs = append(attrs, slog.String("approval", strings.Join(ids, ",")), slog.String("approver", strings.Join(slices.Compact(approvers), ",")))
	}
	if row != "" {
		attrs = append(attrs, slog.String("row", row))
	}
	g := who.with.granted
	g.mu.Lock()
	defer g.mu.Unlock()
	key := settlement{a, o.res.name, o.action + " " + r.ID, row}
	if g.recorded[key] {
		return nil
	}
	if err := a.cfg.Record.RecordApart(ctx, "rbac.obligation", attrs...); err != nil {
		return fmt.Errorf("rbac: the %s of %s under an obligation could not be recorded, so it is refused: %w", o.action, o.res.name, err)
	}
	g.recorded[key] = true
	return nil
}
