package rbac

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
)

// Check reports nil if the caller in ctx may do the action to the row, which is a registered model or a
// pointer to one. A refusal is a *Denied; it is recorded. For deciding what to show ask View or Explain,
// which record nothing.
// Where a rule would allow it if the caller brought what it needs, the refusal is a *Required instead.
func (a *Authorizer) Check(ctx context.Context, action string, row any) error {
	s, err := a.current(ctx)
	if err != nil {
		return err
	}
	res, rv, err := a.rowOf(row)
	if err != nil {
		return err
	}
	who, err := a.asker(ctx, s)
	if err != nil {
		return err
	}
	e := env{who: who, row: rv}
	ok, by := s.decide(&e, res, action)
	if e.err != nil {
		return e.err
	}
	switch {
	case ok && s.needy:
		return a.settleRow(ctx, s, &e, res, action)
	case ok:
		return nil
	}
	return a.refusal(ctx, s, &e, res, action, by)
}

// decide answers one question and names the deny rule that decided, if one did.
func (s *snapshot) decide(e *env, res *resource, action string) (bool, *rule) {
	if res.tenant != nil {
		if t := (&operand{from: fromRow, col: res.tenant}).get(e); t.kind == null || t.s != e.who.Tenant {
			return false, nil
		}
	}
	number, known := s.actions[action]
	if !known {
		return false, nil
	}
	allowed, by := false, (*rule)(nil)
	for _, role := range e.who.roles.ids {
		for _, r := range s.roleRules(role, res, number) {
			if r.allows {
				allowed = allowed || r.cond.eval(e) == yes
			} else if by == nil && r.cond.eval(e) != no {
				by = r // unknown denies too
			}
		}
	}
	return s.engine.decide(allowed, by != nil) && e.err == nil, by
}

func (s *snapshot) denial(res *resource, action string, by *rule) *Denied {
	d := &Denied{Action: action, Resource: res.name, Version: s.version}
	if by != nil {
		d.Rule = by.ID
	}
	return d
}

// denied records a refusal and returns it. A record that fails does not turn it into a permission.
func (a *Authorizer) denied(ctx context.Context, d *Denied, row string) error {
	attrs := []slog.Attr{slog.String("resource", d.Resource), slog.String("result", "denied")}
	if row != "" {
		attrs = append(attrs, slog.String("row", row))
	}
	if d.Rule != "" {
		attrs = append(attrs, slog.String("rule", d.Rule))
	}
	if err := a.cfg.Record.RecordApart(ctx, d.Resource+"."+d.Action, attrs...); err != nil {
		return errors.Join(d, fmt.Errorf("rbac: the refusal could not be recorded: %w", err))
	}
	return d
}

// rowOf finds the resource of a model value and the struct in it.
func (a *Authorizer) rowOf(row any) (*resource, reflect.Value, error) {
	rv := reflect.ValueOf(row)
	for rv.Kind() == reflect.Pointer && !rv.IsNil() {
		rv = rv.Elem()
	}
	if rv.Kind() != reflect.Struct {
		return nil, rv, fmt.Errorf("rbac: %T is not a row: pass a registered model or a pointer to one", row)
	}
	res, err := a.resourceOf(rv.Type())
	return res, rv, err
}

func (a *Authorizer) resourceOf(t reflect.Type) (*resource, error) {
	if res := a.models[t]; res != nil {
		return res, nil
	}
	return nil, fmt.Errorf("rbac: %s is not a registered model: add it to Config.Resources", t)
}

// keyOf returns the row's primary key for the log, if it is a single string or integer.
func (r *resource) keyOf(row reflect.Value) string {
	if r.key == nil || r.key.read == nil {
		return ""
	}
	switch v := r.key.read(row); v.kind {
	case text:
		return v.s
	case integer:
		return fmt.Sprint(v.i)
	}
	return ""
}
