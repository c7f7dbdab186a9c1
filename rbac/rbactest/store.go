// Package rbactest checks implementations of rbac's interfaces. A failure names the rule that was broken.
package rbactest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// TestPolicyStore runs the conformance suite. open returns an empty store: version 0, or 1 with an empty
// policy.
func TestPolicyStore(t *testing.T, open func(t *testing.T) rbac.PolicyStore) {
	for _, rule := range []struct {
		name string
		test func(t *testing.T, s rbac.PolicyStore)
	}{
		{"a saved policy loads unchanged", roundTrip},
		{"every save raises the version", versions},
		{"a save of an old version changes nothing and returns ErrConflict", conflict},
		{"of many saves of one version exactly one wins", race},
		{"what Load returned can be changed without changing the store", aliasing},
	} {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, open(t)) })
	}
}

// Sample is a policy in which every name and condition is as awkward as it may be.
func Sample() rbac.Policy {
	return rbac.Policy{
		Roles: []rbac.Role{{Name: "b"}, {Name: "a", Inherits: []string{"b", "comma, role"}}, {Name: "comma, role"}, {Name: "A"}, {Name: "销售"}},
		Rules: []rbac.Rule{
			{ID: "z,1", Role: "a", Resource: "customer", Actions: []string{"read", "update"}, When: "row.owner_id == 'a,b$$\"c\\\\'"},
			{ID: "Z,1", Role: rbac.Everyone, Resource: "customer", Actions: []string{"read"}, Effect: rbac.Deny, When: long()},
			{ID: "n", Role: "a", Resource: "customer", Actions: []string{"export"}, Needs: []string{"reason", "approval:comma, role", "step-up:2:15m"}},
		},
		Fields: []rbac.FieldRule{
			{Role: "a", Resource: "customer", Field: "phone", Level: masking.Partial, Reveal: true, When: "row.hidden"},
			{Role: "a", Resource: "customer", Field: "phone", Level: masking.Full},
			{Role: "a", Resource: "customer", Field: "*"},
			{Role: "a", Resource: "customer", Field: "email", Rights: rbac.Match | rbac.Export},
			{Role: "a", Resource: "customer", Field: "email", Level: masking.Full, Rights: rbac.ShowOnly},
		},
		Assignments: []rbac.Assignment{
			{Tenant: "", User: "Ann", Role: "a"}, {Tenant: "", User: "ann", Role: "a"},
			{Tenant: "t", User: "ann", Role: "comma, role"}, {Tenant: "t,ann", User: "x", Role: "b"},
		},
	}
}

// long is a condition longer than any VARCHAR that a store might be tempted to use.
func long() string {
	s := "row.owner_id in ['x'"
	for range 400 {
		s += ", 'xxxxxx'"
	}
	return s + "]"
}

func load(t *testing.T, s rbac.PolicyStore) rbac.Policy {
	t.Helper()
	p, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return p
}

func save(t *testing.T, s rbac.PolicyStore, p rbac.Policy) int64 {
	t.Helper()
	v, err := s.Save(t.Context(), p)
	if err != nil {
		t.Fatalf("Save: %v", err)
	}
	return v
}

func roundTrip(t *testing.T, s rbac.PolicyStore) {
	for _, want := range []rbac.Policy{Sample(), {Roles: []rbac.Role{{Name: "b"}}}, {}, Sample()} {
		want.Version = load(t, s).Version
		want.Version = save(t, s, want)
		if got := load(t, s); !same(got, want) {
			t.Fatalf("saved\n%+v\nloaded\n%+v", want, got)
		}
	}
}

// same compares policies; the order of assignments is free, that of all else is kept.
func same(a, b rbac.Policy) bool {
	set := func(p rbac.Policy) map[rbac.Assignment]bool {
		m := map[rbac.Assignment]bool{}
		for _, x := range p.Assignments {
			m[x] = true
		}
		return m
	}
	equal := func(x, y any) bool {
		vx, vy := reflect.ValueOf(x), reflect.ValueOf(y)
		return vx.Len() == 0 && vy.Len() == 0 || reflect.DeepEqual(x, y)
	}
	return a.Version == b.Version && equal(a.Roles, b.Roles) && equal(a.Rules, b.Rules) && equal(a.Fields, b.Fields) && equal(set(a), set(b))
}

func versions(t *testing.T, s rbac.PolicyStore) {
	p := load(t, s)
	for range 3 {
		old := p.Version
		next := save(t, s, p)
		got, err := s.Version(t.Context())
		p = load(t, s)
		if next <= old || err != nil || got != next || p.Version != next {
			t.Fatalf("version %d became %d; Version says %d (%v), Load says %d", old, next, got, err, p.Version)
		}
	}
}

func conflict(t *testing.T, s rbac.PolicyStore) {
	first := load(t, s)
	old := first.Version
	changed := Sample()
	changed.Version = old
	save(t, s, changed)
	if _, err := s.Save(t.Context(), rbac.Policy{Version: old}); !errors.Is(err, rbac.ErrConflict) {
		t.Fatalf("Save of version %d after it was replaced: %v", old, err)
	}
	if got := load(t, s); len(got.Rules) != len(changed.Rules) {
		t.Fatal("the refused Save changed the policy")
	}
}

func race(t *testing.T, s rbac.PolicyStore) {
	p := load(t, s)
	var wg sync.WaitGroup
	won := make(chan int64, 8)
	for range cap(won) {
		wg.Go(func() {
			if v, err := s.Save(context.Background(), p); err == nil {
				won <- v
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of %d saves of version %d succeeded", len(won), cap(won), p.Version)
	}
}

func aliasing(t *testing.T, s rbac.PolicyStore) {
	p := Sample()
	p.Version = load(t, s).Version
	save(t, s, p)
	spoil := func(p rbac.Policy) {
		p.Roles[1].Inherits[0], p.Rules[0].Actions[0], p.Rules[2].Needs[0], p.Assignments[0].Role = "x", "x", "x", "x"
	}
	spoil(p)
	spoil(load(t, s))
	if got := load(t, s); got.Roles[1].Inherits[0] == "x" || got.Rules[0].Actions[0] == "x" || got.Rules[2].Needs[0] == "x" {
		t.Fatal("a change of a loaded or saved policy reached the store")
	}
}
