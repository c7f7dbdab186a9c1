package gormpolicy

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/confide-go/confide/rbac"
)

// sections is a policy as JSON: each list by its name, each element as it is written in the history. A list
// that rbac.Policy gets one day needs no change here.
type sections map[string][]json.RawMessage

// splice replaces a part of one list.
type splice struct {
	At   int               `json:"at"`
	Drop int               `json:"drop,omitempty"`
	Add  []json.RawMessage `json:"add,omitempty"`
}

type deltaBody struct {
	V       int               `json:"v"`
	Changes map[string]splice `json:"changes,omitempty"`
}

var errBody = errors.New("the body is damaged or of a newer version: restore the row, or update the program")

// sectionsOf sorts the assignments: a store does not keep their order.
func sectionsOf(p rbac.Policy) (sections, error) {
	p.Version = 0
	p.Assignments = slices.Clone(p.Assignments)
	slices.SortFunc(p.Assignments, func(a, b rbac.Assignment) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.User, b.User), cmp.Compare(a.Role, b.Role))
	})
	p.Assignments = slices.Compact(p.Assignments)
	for i := range p.Roles {
		if len(p.Roles[i].Inherits) == 0 {
			p.Roles = slices.Clone(p.Roles)
			p.Roles[i].Inherits = nil
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("gormpolicy: encode policy: %w", err)
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return nil, fmt.Errorf("gormpolicy: encode policy: %w", err)
	}
	delete(parts, "Version")
	s := sections{}
	for name, part := range parts {
		var list []json.RawMessage
		if err := json.Unmarshal(part, &list); err != nil {
			return nil, fmt.Errorf("gormpolicy: encode policy: %s: %w", name, err)
		}
		if len(list) > 0 {
			s[name] = list
		}
	}
	return s, nil
}

// policy reads the sections back. A part that this program does not know stops it: to leave out a condition
// would open what it closes.
func (s sections) policy() (p rbac.Policy, err error) {
	text, err := json.Marshal(s)
	if err != nil {
		return p, fmt.Errorf("gormpolicy: history: %w", errBody)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return rbac.Policy{}, fmt.Errorf("gormpolicy: history: %w", errBody)
	}
	return p, nil
}

// differs names the first list in which two policies differ, or "".
func (s sections) differs(o sections) string {
	names := map[string]bool{}
	for name := range s {
		names[name] = true
	}
	for name := range o {
		names[name] = true
	}
	var found []string
	for name := range names {
		if !slices.EqualFunc(s[name], o[name], sameText) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.Min(found)
}

func sameText(a, b json.RawMessage) bool { return bytes.Equal(a, b) }

// delta is what turns one policy into the other: of each list the part between the first and the last
// difference. A new assignment among a hundred thousand is one line.
func delta(old, next rbac.Policy) (string, error) {
	from, err := sectionsOf(old)
	if err != nil {
		return "", err
	}
	to, err := sectionsOf(next)
	if err != nil {
		return "", err
	}
	d := deltaBody{V: format, Changes: map[string]splice{}}
	for name := range from {
		if _, stays := to[name]; !stays {
			to[name] = nil
		}
	}
	for name, b := range to {
		a := from[name]
		head := 0
		for head < min(len(a), len(b)) && sameText(a[head], b[head]) {
			head++
		}
		tail := 0
		for tail < min(len(a), len(b))-head && sameText(a[len(a)-1-tail], b[len(b)-1-tail]) {
			tail++
		}
		if head+tail < max(len(a), len(b)) {
			d.Changes[name] = splice{At: head, Drop: len(a) - head - tail, Add: b[head : len(b)-tail]}
		}
	}
	text, err := json.Marshal(d)
	return string(text), err
}

// apply returns the sections after a delta; s stays as it is.
func (s sections) apply(body string) (sections, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	var changes deltaBody
	if err := d.Decode(&changes); err != nil || changes.V != format {
		return nil, errBody
	}
	next := sections{}
	for name, list := range s {
		next[name] = list
	}
	for name, c := range changes.Changes {
		list := next[name]
		if c.At < 0 || c.Drop < 0 || c.At+c.Drop > len(list) {
			return nil, errBody
		}
		next[name] = slices.Concat(list[:c.At], c.Add, list[c.At+c.Drop:])
	}
	return next, nil
}
