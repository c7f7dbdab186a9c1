package casbinimport

import (
	"cmp"
	"context"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"
)

// A Row is one row of a casbin policy.
type Row struct {
	Line   int    // in the file, from 1; in a table its id
	Type   string // p, g, ...
	Values []string
	broken string // why it could not be read
}

// ReadCSV reads policy.csv as casbin does, line by line.
func ReadCSV(text string) []Row {
	var rows []Row
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r := csv.NewReader(strings.NewReader(line))
		r.TrimLeadingSpace, r.Comment = true, '#'
		tokens, err := r.Read()
		row := Row{Line: i + 1}
		if err != nil {
			row.broken = "the line is not CSV: casbin fails to load the whole file"
		} else {
			row.Type, row.Values = tokens[0], tokens[1:]
		}
		rows = append(rows, row)
	}
	return rows
}

// ReadTable reads the table of casbin's GORM adapter: id, ptype, v0 to v5.
func ReadTable(ctx context.Context, db *gorm.DB, table string) ([]Row, error) {
	var stored []struct {
		ID    int64
		Ptype string
		V0    *string
		V1    *string
		V2    *string
		V3    *string
		V4    *string
		V5    *string
	}
	if err := db.WithContext(ctx).Table(table).Order("id").Find(&stored).Error; err != nil {
		return nil, fmt.Errorf("casbinimport: read %s: %w", table, err)
	}
	rows := make([]Row, 0, len(stored))
	for _, s := range stored {
		row := Row{Line: int(s.ID), Type: s.Ptype}
		for _, v := range []*string{s.V0, s.V1, s.V2, s.V3, s.V4, s.V5} {
			if v == nil {
				v = new(string)
			}
			if utf8.RuneCountInString(*v) >= 100 {
				row.broken = "a value fills its column of 100 characters: its end may be lost"
			}
			row.Values = append(row.Values, *v)
		}
		for len(row.Values) > 0 && row.Values[len(row.Values)-1] == "" {
			row.Values = row.Values[:len(row.Values)-1]
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// judge sorts the rows into those that mean what they say and those that do not.
func (m model) judge(rows []Row, o Options) (good []Row, refused []Refusal) {
	j := judgement{model: m, options: o, folded: map[string]string{}}
	for _, row := range rows {
		if reason := j.reason(row); reason != "" {
			// An unreadable row may deny; a refused role may be the one that is denied something.
			refused = append(refused, Refusal{Line: row.Line, Reason: reason, widens: m.effects && (row.Type != "p" || mayDeny(row))})
			continue
		}
		good = append(good, row)
	}
	for _, row := range m.tangled(good) {
		refused = append(refused, Refusal{Line: row.Line, Reason: row.broken, widens: m.effects})
		good = slices.DeleteFunc(good, func(g Row) bool { return g.Line == row.Line })
	}
	slices.SortStableFunc(refused, func(a, b Refusal) int { return cmp.Compare(a.Line, b.Line) })
	return good, refused
}

func mayDeny(row Row) bool {
	return row.broken != "" || slices.ContainsFunc(row.Values, func(v string) bool { return strings.EqualFold(strings.TrimSpace(v), "deny") })
}

type judgement struct {
	model
	options Options
	folded  map[string]string // each name by its lower-case form
}

func (j *judgement) reason(row Row) string {
	if row.broken != "" {
		return row.broken
	}
	want := len(j.fields)
	switch {
	case row.Type == "g" && j.roles:
		want = 2 + int(bit(j.domains))
	case row.Type != "p":
		return fmt.Sprintf("the model has no %q", row.Type)
	}
	if len(row.Values) != want {
		return fmt.Sprintf("%d values where the model has %d: casbin fails to load the whole policy", len(row.Values), want)
	}
	for _, v := range row.Values {
		if reason := j.value(v); reason != "" {
			return reason
		}
	}
	if row.Type == "g" {
		return ""
	}
	return j.rule(row)
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// value refuses what casbin, its caches or its tables take for something else.
func (j *judgement) value(v string) string {
	twin, known := j.folded[strings.ToLower(strings.TrimSpace(v))]
	switch {
	case v == "":
		return "an empty value: casbin's adapters drop it and then fail to load the whole policy"
	case known && twin != v:
		return fmt.Sprintf("%q and %q differ in case or spaces only: MySQL's casbin_rule takes one for the other", v, twin)
	case strings.Contains(v, ","):
		return fmt.Sprintf("%q has a comma: casbin joins values by commas and takes different rows for the same", v)
	case strings.Contains(v, "$$"):
		return fmt.Sprintf("%q has $$: casbin's cache joins requests by it and takes different ones for the same", v)
	case strings.Contains(v, "*"):
		return fmt.Sprintf("%q: a star is a plain letter to this model; name what is meant", v)
	case strings.HasPrefix(v, "{") || strings.HasPrefix(v, "["):
		return fmt.Sprintf("%q looks like JSON, which casbin may parse into attributes", v)
	case strings.TrimSpace(v) != v || len(v) > 100 || !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Sprintf("%q must be at most 100 bytes of text without control characters or spaces at its ends", v)
	}
	if found := dangers(v); len(found) > 0 {
		return "the row's text " + found[0]
	}
	if strings.ContainsAny(v, "=<>") || strings.Contains(v, "&&") {
		return fmt.Sprintf("%q is an expression, not a name: casbin compares its text", v)
	}
	j.folded[strings.ToLower(strings.TrimSpace(v))] = v
	return ""
}

func (j *judgement) rule(row Row) string {
	at := slices.Index(j.fields, "eft")
	if at >= 0 {
		switch eft := row.Values[at]; {
		case eft != "allow" && eft != "deny":
			return fmt.Sprintf("the effect %q is neither allow nor deny: casbin lets such a row pass without a word", eft)
		case eft == "deny" && !j.effects:
			return "a deny row, which the model's effect ignores: casbin allows what it means to forbid"
		}
	}
	if _, _, err := j.options.object(row.Values[slices.Index(j.fields, "obj")]); err != nil {
		return err.Error()
	}
	if act := row.Values[slices.Index(j.fields, "act")]; !word(j.options.action(act)) {
		return fmt.Sprintf("the action %q is not a lower-case word: say what it is in Options.Actions", act)
	}
	return ""
}

// tangled returns the role rows that close a circle or make a chain of more than ten, with the reason.
func (m model) tangled(rows []Row) []Row {
	var bad []Row
	parents := map[string][]string{}
	key := func(row Row, i int) string { return strings.Join(row.Values[2:], "") + "\x00" + row.Values[i] }
	for _, row := range rows {
		if row.Type != "g" {
			continue
		}
		child, parent := key(row, 0), key(row, 1)
		if reaches(parents, parent, child) {
			row.broken = fmt.Sprintf("the role %q inherits itself by this row", row.Values[0])
			bad = append(bad, row)
			continue
		}
		parents[child] = append(parents[child], parent)
	}
	bad = append(bad, m.local(rows)...)
	heights := map[string]int{}
	for _, row := range rows {
		if row.Type == "g" && !slices.ContainsFunc(bad, func(b Row) bool { return b.Line == row.Line }) && height(parents, key(row, 0), heights) > 10 {
			row.broken = fmt.Sprintf("%q stands on more than ten levels of roles, which casbin drops without a word", row.Values[0])
			bad = append(bad, row)
		}
	}
	return bad
}

// local returns the rows by which a role inherits another one in one domain only.
func (m model) local(rows []Row) []Row {
	if !m.domains {
		return nil
	}
	roles := map[string]bool{}
	for _, row := range rows {
		roles[row.Values[1]] = roles[row.Values[1]] || row.Type == "g"
	}
	var bad []Row
	for _, row := range rows {
		if row.Type == "g" && roles[row.Values[0]] {
			row.broken = fmt.Sprintf("the role %q inherits %q in one domain only: assign both roles to its users instead", row.Values[0], row.Values[1])
			bad = append(bad, row)
		}
	}
	return bad
}

func reaches(parents map[string][]string, from, to string) bool {
	seen, queue := map[string]bool{}, []string{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if at == to {
			return true
		}
		if !seen[at] {
			seen[at] = true
			queue = append(queue, parents[at]...)
		}
	}
	return false
}

func height(parents map[string][]string, at string, known map[string]int) int {
	if h, ok := known[at]; ok {
		return h
	}
	h := 0
	for _, p := range parents[at] {
		h = max(h, 1+height(parents, p, known))
	}
	known[at] = h
	return h
}
