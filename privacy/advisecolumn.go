package privacy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// Advise reads a sealed field of every row of the tenant in ctx and says what each kind of index would show
// of it, see Population.Advise. model is a model or a pointer to one, field a Go name. It opens the values, so it asks
// the gate for each page of rows and records "<resource>.advise" with the purpose before it begins; the
// advice holds counts only. Values that do not open are left out.
func (v *Vault) Advise(ctx context.Context, db *gorm.DB, purpose string, model any, field string, few bool) (Advice, error) {
	if strings.TrimSpace(purpose) == "" {
		return Advice{}, errPurpose
	}
	rv := structOf(reflect.ValueOf(model))
	if !rv.IsValid() {
		return Advice{}, fmt.Errorf("privacy: advise: model is a %T; pass a model", model)
	}
	picked, err := v.fieldsOf(rv.Type(), []string{field})
	if err != nil {
		return Advice{}, err
	}
	f := picked[0]
	tenant, err := v.tenant(ctx)
	if err != nil {
		return Advice{}, err
	}
	err = v.cfg.Record.Record(ctx, f.model.resource+".advise",
		slog.String("resource", f.model.resource), slog.String("fields", f.column), slog.String("purpose", purpose), slog.String("result", "ok"))
	if err != nil {
		return Advice{}, fmt.Errorf("privacy: advise: the look could not be recorded, so there is none: %w", err)
	}
	s := &survey{v: v, f: f, c: conn{session(withInternal(ctx), db)}, tenant: tenant, indexes: surveyed(f), rows: map[string]map[[32]byte]int64{}}
	if err := s.run(ctx); err != nil {
		return Advice{}, fmt.Errorf("privacy: advise %s: %w", f.logical, err)
	}
	return s.advice(few)
}

// surveyed lists the indexes to report: the whole value and parts, in the normal form of the field's own
// index if it has one.
func surveyed(f *sealedField) []*indexField {
	n := normalisers()[0]
	list := []*indexField{{of: f, norm: n}}
	if len(f.indexes) > 0 {
		list[0].norm = f.indexes[0].norm
	}
	matches := []string{"first", "last4", "prefix3"}
	if list[0].norm.base() == "email" {
		matches = append(matches, "domain")
	}
	for _, x := range f.indexes {
		if name := strings.TrimSuffix(x.match.name(), "/1"); x.match.kind != matchWhole && name != "prefix1" && !slices.Contains(matches, name) {
			matches = append(matches, name)
		}
	}
	for _, name := range matches {
		m, _ := parseMatch(name)
		list = append(list, &indexField{of: f, norm: list[0].norm, match: m})
	}
	return list
}

// A survey counts the classes of every index over a column. It keeps hashes, not values.
type survey struct {
	v       *Vault
	f       *sealedField
	c       conn
	tenant  string
	indexes []*indexField
	rows    map[string]map[[32]byte]int64
	total   int64
}

func (s *survey) run(ctx context.Context) error {
	w := &tableWalk{c: s.c, m: s.f.model, tenant: s.tenant, columns: []string{s.c.quote(s.f.column)}, batch: doctorPage}
	for after := []string(nil); ; {
		rows, err := w.page(ctx, after)
		if err != nil || len(rows) == 0 {
			return err
		}
		if err := s.page(ctx, rows); err != nil {
			return err
		}
		if after = rows[len(rows)-1].keys; len(rows) < w.batch {
			return nil
		}
	}
}

func (s *survey) page(ctx context.Context, rows []tableRow) error {
	var ids, subjects []string
	for _, r := range rows {
		ids, subjects = append(ids, r.id()), append(subjects, r.subject)
	}
	if err := s.v.cfg.Gate.MayReveal(ctx, s.f.model.resource, ids, []string{s.f.column}); err != nil {
		return err
	}
	slices.Sort(subjects)
	keys, err := s.v.ring.subjectKeys(ctx, s.c.db, s.tenant, slices.Compact(subjects), false)
	if err != nil {
		return err
	}
	for _, r := range rows {
		key := keys[r.subject]
		if r.values[0] == nil || key == nil || !key.stored.Erased.IsZero() {
			continue
		}
		value, err := key.open(r.values[0], place{vault: s.v, field: s.f, tenant: s.tenant, row: r.id(), subject: r.subject})
		if err == nil {
			s.count(string(value))
		}
	}
	return nil
}

func (s *survey) count(value string) {
	s.total++
	add := func(index, class string) {
		if s.rows[index] == nil {
			s.rows[index] = map[[32]byte]int64{}
		}
		s.rows[index][sha256.Sum256([]byte(class))]++
	}
	for _, x := range s.indexes {
		add(x.match.name(), x.form(value, s.v.cfg.Region))
	}
	if s.f.search {
		for _, t := range cutName(value).tokens(s.v.names) {
			add("search=name", t)
		}
	}
}

func (s *survey) advice(few bool) (Advice, error) {
	p := Population{Field: s.f.logical, Counts: sizes(s.rows["whole/1"]), FewValues: few}
	a, err := p.Advise()
	for _, x := range s.indexes[1:] {
		classes := sizes(s.rows[x.match.name()])
		a.Leaks = append(a.Leaks, leakOf(strings.TrimSuffix(x.match.name(), "/1"), classes, 0))
	}
	if s.f.search && s.total > 0 {
		l := leakOf("search=name", sizes(s.rows["search=name"]), 0)
		l.Top = 0
		for _, n := range s.rows["search=name"] {
			l.Top = max(l.Top, float64(n)/float64(s.total)) // of rows, not of tokens
		}
		a.Leaks = append(a.Leaks, l)
	}
	return a, err
}

func sizes(classes map[[32]byte]int64) []int64 {
	var out []int64
	for _, n := range classes {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
