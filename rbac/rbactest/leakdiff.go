package rbactest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/confide-go/confide/masking"
)

// trial is a world that differs in what some roles may not see, and those roles.
type trial struct {
	change change
	roles  []string
}

// trials are the changes that nobody may notice whom they are about: of each role everything that it may not
// see at once. A mask may stay the same where one is shown; where nothing is shown, the mask changes too.
// Fields whose order may be seen are changed apart.
func (s *search) trials() []trial {
	byChange := map[string]*trial{}
	for _, role := range s.roles {
		fields, sorted, rows := change{twins: map[place]Twin{}}, change{twins: map[place]Twin{}}, change{}
		for _, class := range s.Classes {
			if !s.reaches(role, class) {
				rows.removed = append(rows.removed, class)
			}
			for _, f := range s.Fields {
				into, r := fields.twins, s.may(role, class, f.Name)
				if r.Sort {
					into = sorted.twins
				}
				switch {
				case r.Read < masking.Partial:
					into[place{class, f.Name}] = Far
				case r.Read < masking.Full:
					into[place{class, f.Name}] = Near
				}
			}
		}
		for i, c := range []change{rows, fields, sorted} {
			if len(c.removed)+len(c.twins) == 0 {
				continue
			}
			key := fmt.Sprint(i == 2, c.removed, c.twins) // fmt sorts maps
			if byChange[key] == nil {
				byChange[key] = &trial{change: c}
			}
			byChange[key].roles = append(byChange[key].roles, role)
		}
	}
	var list []trial
	for _, key := range slices.Sorted(maps.Keys(byChange)) {
		list = append(list, *byChange[key])
	}
	return list
}

// compareAll makes the other worlds and reports what roles notice that may not.
func (s *search) compareAll() {
	trials := s.trials()
	changes := []change{{}}
	for _, t := range trials {
		changes = append(changes, t.change)
	}
	worlds := s.worlds(changes)
	s.base = append(s.base, worlds[0])
	s.steady()
	for i, t := range trials {
		noticed := s.noticed(worlds[i+1], t)
		if len(noticed) > 0 && len(s.base) == 2 { // the clock has gone on: what it changes shows now
			s.base = append(s.base, s.world(change{}))
			noticed = s.noticed(worlds[i+1], t)
		}
		if len(noticed) > 0 {
			s.narrow(t, noticed)
		}
	}
	s.controls()
}

// noticed is what roles notice of a change, as findings of everything that was changed.
func (s *search) noticed(w *world, t trial) []Finding {
	var list []Finding
	for i, a := range s.asks {
		for _, role := range t.roles {
			for _, channel := range s.difference(role, i, w) {
				f := Finding{Role: role, Route: a.route(), Channel: channel, Kind: t.change.kinds(), Class: t.change.classes()}
				sorted := len(t.change.twins) > 0 && channel == "body order" && s.sorts(t, role)
				if !sorted && !s.known(f) && !slices.Contains(list, f) {
					list = append(list, f)
				}
			}
		}
	}
	return list
}

// sorts reports whether the role may see the order of all that was changed.
func (s *search) sorts(t trial, role string) bool {
	for p := range t.change.twins {
		if !s.may(role, p.class, p.field).Sort {
			return false
		}
	}
	return true
}

func (s *search) known(f Finding) bool {
	for _, k := range s.Known {
		if k.covers(f) {
			if s.met == nil {
				s.met = map[Known]bool{}
			}
			s.met[k] = true
			return true
		}
	}
	return false
}

func (c change) kinds() string {
	if len(c.removed) > 0 {
		return "row"
	}
	var fields []string
	for p := range c.twins {
		fields = append(fields, p.field)
	}
	slices.Sort(fields)
	return strings.Join(slices.Compact(fields), " or ")
}

func (c change) classes() string {
	classes := slices.Clone(c.removed)
	for p := range c.twins {
		classes = append(classes, p.class)
	}
	slices.Sort(classes)
	return strings.Join(slices.Compact(classes), " or ")
}

// parts are the single changes that a change is made of.
func (c change) parts() []change {
	var list []change
	for _, class := range c.removed {
		list = append(list, change{removed: []string{class}})
	}
	places := slices.SortedFunc(maps.Keys(c.twins), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.field, b.field))
	})
	for _, p := range places {
		list = append(list, change{twins: map[place]Twin{p: c.twins[p]}})
	}
	return list
}

// narrow finds out what exactly was noticed: it asks only where something was, in applications with one
// change each. What cannot be told apart is reported as it was found.
func (s *search) narrow(t trial, noticed []Finding) {
	for _, f := range noticed[:min(len(noticed), 12)] {
		s.t.Logf("rbactest: looking for what is different: %s", f)
	}
	near := &search{Leak: s.Leak, t: s.t, rows: s.rows, finder: s.finder}
	for _, role := range s.roles {
		if slices.ContainsFunc(noticed, func(f Finding) bool { return f.Role == role }) {
			near.roles = append(near.roles, role)
		}
	}
	for _, a := range s.asks {
		if slices.ContainsFunc(noticed, func(f Finding) bool { return f.Route == a.route() }) {
			near.asks = append(near.asks, a)
		}
	}
	near.base = []*world{near.world(change{})}
	near.base = append(near.base, near.world(change{}))
	exact := near.bisect(t.change.parts())
	for _, f := range exact {
		s.report(f)
	}
	for _, f := range noticed {
		if !slices.ContainsFunc(exact, func(n Finding) bool { return n.Role == f.Role && n.Route == f.Route }) {
			s.report(f)
		}
	}
}

// bisect halves a change as long as one is noticed, and returns what is noticed of single ones.
func (s *search) bisect(parts []change) []Finding {
	if len(parts) < 2 {
		return nil
	}
	halves := [][]change{parts[:len(parts)/2], parts[len(parts)/2:]}
	var exact []Finding
	for i, w := range s.worlds([]change{merge(halves[0]), merge(halves[1])}) {
		noticed := s.noticed(w, trial{merge(halves[i]), s.roles})
		switch {
		case len(noticed) == 0:
		case len(halves[i]) == 1:
			exact = append(exact, noticed...)
		default:
			exact = append(exact, s.bisect(halves[i])...)
		}
	}
	return exact
}

func merge(parts []change) change {
	all := change{twins: map[place]Twin{}}
	for _, c := range parts {
		all.removed = append(all.removed, c.removed...)
		maps.Copy(all.twins, c.twins)
	}
	return all
}

// controls fail the test where the walk did not get to rows that a role reaches: it would prove nothing. A
// row shows by its id or by a value; if it does not, a world without it must look different.
func (s *search) controls() {
	unseen := map[string][]string{} // roles by class
	var classes []string
	for i, class := range s.Classes {
		for _, role := range s.Roles {
			if s.reaches(role, class) && !s.shows(role, i*perClass) {
				if unseen[class] == nil {
					classes = append(classes, class)
				}
				unseen[class] = append(unseen[class], role)
			}
		}
	}
	var changes []change
	for _, class := range classes {
		changes = append(changes, change{removed: []string{class}})
	}
	for i, w := range s.worlds(changes) {
		for _, role := range unseen[classes[i]] {
			if !s.anything(role, w) {
				s.t.Errorf("rbactest: %s reaches rows of class %q, and no answer shows it: the walk does not get there, so it proves nothing", role, classes[i])
			}
		}
	}
}

// shows reports whether a role saw a row where nothing in the request named it.
func (s *search) shows(role string, row int) bool {
	w := s.base[0]
	for i, a := range s.asks {
		if strings.Contains(a.path+a.body+a.form.Encode(), mark(row)) || a.probe != nil && a.probe.row == row {
			continue
		}
		body := w.answers[role][i].body
		if len(w.ids[row]) >= 4 && strings.Contains(w.answers[role][i].plain, mark(row)) {
			return true
		}
		for _, h := range s.finder.find(body) {
			if h.row == row {
				return true
			}
		}
	}
	return false
}

func (s *search) anything(role string, w *world) bool {
	for i := range s.asks {
		if len(s.difference(role, i, w)) > 0 {
			return true
		}
	}
	return false
}

// steady fails the test where two applications that are the same give answers of different shapes: nothing
// can be said about them.
func (s *search) steady() {
	for i, a := range s.asks {
		for _, role := range s.roles {
			if !agree(s.base[0].answers[role][i], s.base[1].answers[role][i]) {
				s.t.Errorf("rbactest: %s for %q has another shape each time, so it cannot be judged: give the application a fixed clock and fixed data, or leave it out by Skip", a.route(), role)
				break
			}
		}
	}
}

func agree(one, two answer) bool {
	if one.status != two.status || len(one.header) != len(two.header) || !sameShape(one.plain, two.plain) {
		return false
	}
	for name := range one.header {
		if !sameShape(strings.Join(one.header[name], "\n"), strings.Join(two.header[name], "\n")) && name != "Date" {
			return false
		}
	}
	return true
}

// result is what was found, in order.
func (s *search) result() []Finding {
	for _, k := range s.Known {
		if !s.met[k] {
			s.t.Errorf("rbactest: the known difference %s, %s of %s at %s does not show any more; take it out", k.Role, k.Channel, k.Kind, k.Route)
		}
	}
	slices.SortFunc(s.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Role, b.Role), cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Kind, b.Kind))
	})
	return s.found
}
