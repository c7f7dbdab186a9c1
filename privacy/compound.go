package privacy

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gorm.io/gorm/schema"
)

// A part is one of the fields that a compound index is made of.
type part struct {
	of   *sealedField
	norm normaliser
}

// addCompound reads privacy:"of=Name+Birth,norm=name+exact".
func (m *model) addCompound(f *schema.Field, tag map[string]string) error {
	x := &indexField{field: f, column: f.DBName}
	names, norms := strings.Split(tag["of"], "+"), strings.Split(tag["norm"], "+")
	if len(names) > 3 || len(names) != len(norms) {
		return m.fail(f, "a compound index has two or three fields and a normaliser for each", `write privacy:"of=Name+Birth,norm=name+exact"`)
	}
	if _, ok := tag["match"]; ok {
		return m.fail(f, "a compound index is made of whole values", "remove match=")
	}
	for i, name := range names {
		s := m.besides(f, name)
		if s == nil || slices.ContainsFunc(x.parts, func(p part) bool { return p.of == s }) {
			return m.fail(f, fmt.Sprintf("of=%s names no other sealed field beside it", name), "name each sealed field once")
		}
		n, err := findNormaliser(norms[i])
		if err != nil {
			return m.fail(f, err.Error(), "the normaliser decides which spellings find each other")
		}
		if !s.form.indexes(n.name) {
			return m.fail(f, "a "+s.form.typeName()+" cannot be found by norm="+norms[i], "write exact for it; a Time has no index")
		}
		x.parts = append(x.parts, part{s, n})
	}
	if f.FieldType != indexType {
		return m.fail(f, "an index is nullable as it is", "declare it as privacy.Index, not as a pointer")
	}
	x.of, x.norm = x.parts[0].of, x.parts[0].norm
	if err := x.declare(tag); err != nil {
		return m.fail(f, err.Error(), "see Tags in the package documentation")
	}
	for _, p := range x.parts {
		p.of.joint = true
	}
	m.indexes, m.compounds = append(m.indexes, x), append(m.compounds, x)
	m.blind[strings.ToLower(x.column)] = x
	return nil
}

// besides returns the sealed field of that name in the struct that holds f.
func (m *model) besides(f *schema.Field, name string) *sealedField {
	for _, s := range m.sealed {
		if s.field.Name == name && slices.Equal(s.field.BindNames[:len(s.field.BindNames)-1], f.BindNames[:len(f.BindNames)-1]) {
			return s
		}
	}
	return nil
}

// sameCompounds checks that two models of one table make the same compound indexes of the columns that both
// have: a write through one of them would leave the other's index behind.
func (m *model) sameCompounds(o *model) error {
	for _, pair := range [][2]*model{{m, o}, {o, m}} {
		for _, x := range pair[0].compounds {
			other := pair[1].blind[strings.ToLower(x.column)]
			if other != nil && other.shape() == x.shape() {
				continue
			}
			for _, p := range x.parts {
				if pair[1].cells[strings.ToLower(p.of.column)] != nil {
					return refuse(p.of.logical, "another model of table "+m.table+" has no index "+x.column+" of this column", "declare the same compound index in both")
				}
			}
		}
	}
	return nil
}

// shape says what an index is made of.
func (x *indexField) shape() string { return string(x.inputOf("", make([]string, len(x.parts)))) }

// names lists the fields of a compound index for errors.
func (x *indexField) names() string {
	var out []string
	for _, p := range x.parts {
		out = append(out, p.of.field.Name)
	}
	return strings.Join(out, " and ")
}

// inputOf is what the index key is applied to, in a domain of its own.
func (x *indexField) inputOf(tenant string, forms []string) []byte {
	list := []string{"confide.index.compound", tenant, strconv.Itoa(x.bits)}
	for i, p := range x.parts {
		list = append(list, p.of.logical, p.norm.name, forms[i])
	}
	return encode(list...)
}

// forms returns the normal forms of the values of all parts.
func (x *indexField) forms(region string, values [][]byte) []string {
	out := make([]string, len(x.parts))
	for i, p := range x.parts {
		out[i] = p.norm.apply(string(values[i]), region)
	}
	return out
}

// partValues returns the values of all parts, and false if one of them is NULL or not there.
func (x *indexField) partValues(value func(*sealedField) ([]byte, bool)) ([][]byte, bool) {
	out := make([][]byte, len(x.parts))
	for i, p := range x.parts {
		var ok bool
		if out[i], ok = value(p.of); !ok {
			return nil, false
		}
	}
	return out, true
}

// blindParts returns the compound index of these values under the newest index key.
func (k *tenantKeys) blindParts(tenant string, x *indexField, region string, values [][]byte) (Index, error) {
	return k.newest(x, x.inputOf(tenant, x.forms(region, values)))
}

// blindPartsAll returns the cells that rows with these forms may have under any index key.
func (k *tenantKeys) blindPartsAll(tenant string, x *indexField, forms []string) ([]Index, error) {
	return k.any(x, x.inputOf(tenant, forms))
}

// valueIn returns the value that a write gives a field.
func valueIn(jobs []*sealJob) func(*sealedField) ([]byte, bool) {
	return func(f *sealedField) ([]byte, bool) {
		for _, j := range jobs {
			if j.field == f {
				return j.value, j.in.state != stateNull
			}
		}
		return nil, false
	}
}

// compound makes the cell of a compound index, NULL if a value is missing. One of jobs notes what a unique
// index must not hold.
func (s *sealing) compound(x *indexField, values [][]byte, j *sealJob) (Index, error) {
	idx, err := s.keys.blindParts(s.tenant, x, s.v.cfg.Region, values)
	if err != nil || len(s.keys.index.PRFs) < 2 || len(x.of.model.uniques(x)) == 0 {
		return idx, err
	}
	all, err := s.keys.blindPartsAll(s.tenant, x, x.forms(s.v.cfg.Region, values))
	t := twin{index: x, mine: idx}
	for _, i := range all {
		if !bytes.Equal(i, idx) {
			t.other = append(t.other, i)
		}
	}
	j.twins = append(j.twins, t)
	return idx, err
}

// compounds makes the compound indexes of the rows of an INSERT.
func (c *creation) compounds() error {
	for i := range c.rows {
		row := &c.rows[i]
		for _, x := range c.m.compounds {
			values, ok := x.partValues(valueIn(row.jobs))
			if !ok {
				continue
			}
			idx, err := c.sealing.compound(x, values, row.jobs[0])
			if err != nil {
				return err
			}
			if row.compounds == nil {
				row.compounds = map[*indexField]Index{}
			}
			row.compounds[x] = idx
		}
	}
	return nil
}

// writes reports whether an INSERT writes the column of an index.
func (c *creation) writes(x *indexField) bool {
	if x.parts == nil {
		return c.written[x.of.column]
	}
	return slices.ContainsFunc(x.parts, func(p part) bool { return c.written[p.of.column] })
}
