package rbac

import (
	"database/sql"
	"database/sql/driver"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// A Resource is a table whose rows and fields are guarded.
type Resource struct {
	Model  any    // a pointer to the GORM model
	Name   string // what rules call it; "" is the model's type name in snake case
	Tenant string // the column that holds the row's tenant; "" if the table has no tenants
}

// resource is a Resource with all that conditions, statements and views need to know of its model.
type resource struct {
	number  uint16 // its place in Config.Resources
	name    string
	table   string
	typ     reflect.Type
	schema  *schema.Schema
	columns []*column
	byName  map[string]*column
	key     *column           // the single primary key, or nil
	unique  [][]*schema.Field // all keys, read once: GORM's ParseIndexes writes into the schema
	tenant  *column           // or nil
}

// column is one column of a guarded table.
type column struct {
	index    int
	name     string
	field    *schema.Field
	sealed   bool    // knows only how to show itself masked
	kind     kind    // null if conditions cannot read it,
	why      string  // for this reason
	nullable bool    // Go sees NULL as such; otherwise it sees the zero value,
	strict   bool    // unless the database cannot hold NULL either
	match    *column // the sealed column this is a blind index of
	blind    *column // the index that compares this sealed column, or nil
	free     bool    // keys and tenants may be compared by everybody: GORM does it all the time
	mask     masking.Kind
	read     func(row reflect.Value) value
	text     func(row reflect.Value) string // read, for a plain string of the model itself; or nil
}

func newResource(r Resource, naming schema.Namer) (*resource, error) {
	if r.Model == nil {
		return nil, fmt.Errorf("rbac: a resource without a model: set Resource.Model to a pointer to the GORM model")
	}
	sch, err := schema.Parse(r.Model, new(sync.Map), naming)
	if err != nil {
		return nil, fmt.Errorf("rbac: model %T: %w", r.Model, err)
	}
	res := &resource{name: r.Name, table: sch.Table, typ: sch.ModelType, schema: sch, byName: map[string]*column{}}
	if res.name == "" {
		res.name = (schema.NamingStrategy{SingularTable: true}).TableName(sch.Name)
	}
	for i, name := range sch.DBNames {
		col, err := newColumn(i, sch.FieldsByDBName[name])
		if err != nil {
			return nil, fmt.Errorf("rbac: resource %s: %w", res.name, err)
		}
		res.columns = append(res.columns, col)
		res.byName[name] = col
	}
	if len(sch.PrimaryFields) == 1 {
		res.key = res.byName[sch.PrimaryFields[0].DBName]
	}
	if r.Tenant != "" {
		res.tenant = res.byName[r.Tenant]
		if res.tenant == nil || res.tenant.kind != text {
			return nil, fmt.Errorf("rbac: resource %s: the tenant column %q must be a string column of %T", res.name, r.Tenant, r.Model)
		}
	}
	res.markMatching()
	res.unique = uniqueKeys(sch)
	return res, nil
}

// markMatching finds the columns that may always be compared, and ties each blind index to its field.
func (r *resource) markMatching() {
	for _, f := range r.schema.PrimaryFields {
		r.byName[f.DBName].free = true
	}
	if r.tenant != nil {
		r.tenant.free = true
	}
	for _, col := range r.columns {
		if col.field.FieldType.String() == "gorm.DeletedAt" {
			col.free = true
		}
		if of := tagValue(col.field.Tag.Get("privacy"), "of"); of != "" {
			if f := r.schema.LookUpField(of); f != nil && f.DBName != "" {
				col.match = r.byName[f.DBName]
				col.markBlind()
			}
		}
	}
	for _, rel := range r.schema.Relationships.Relations {
		for _, ref := range rel.References {
			if ref.ForeignKey.Schema == r.schema && ref.ForeignKey.DBName != "" {
				r.byName[ref.ForeignKey.DBName].free = true
			}
		}
	}
}

// column finds a column by its name, its Go field name, or the logical name "resource.column".
func (r *resource) column(name string) *column {
	name = strings.TrimPrefix(name, r.name+".")
	if f := r.schema.LookUpField(name); f != nil && f.DBName != "" {
		return r.byName[f.DBName]
	}
	return nil
}

func (r *resource) columnNames() string { return strings.Join(r.schema.DBNames, ", ") }

func newColumn(index int, f *schema.Field) (*column, error) {
	c := &column{index: index, name: f.DBName, field: f, strict: f.NotNull || f.PrimaryKey}
	if tag := f.Tag.Get("mask"); tag != "" {
		k, err := masking.ParseKind(tag)
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		c.mask = k
	}
	masker := reflect.TypeFor[masking.Masker]()
	c.sealed = f.FieldType.Implements(masker) || reflect.PointerTo(f.FieldType).Implements(masker)
	c.classify()
	if c.kind != null {
		c.read, c.text = reader(f, c.kind), textReader(f)
	}
	return c, nil
}

// classify decides whether conditions may read the column, that is: whether Go and every database give
// the same answer about it.
func (c *column) classify() {
	t := c.field.FieldType
	declared := strings.ToLower(c.field.TagSettings["TYPE"])
	switch {
	case c.sealed:
		c.why = "is sealed: the database cannot compare it, so no condition may read it"
		return
	case c.field.Serializer != nil:
		c.why = "is stored through a serializer: a condition would compare something else than Go sees"
		return
	}
	if t.Kind() == reflect.Pointer {
		t, c.nullable = t.Elem(), true
	} else if inner := nullStruct(t); inner != nil {
		t, c.nullable = inner, true
	}
	c.kind = plainKind(t)
	switch {
	case c.kind == null && (t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64):
		c.why = "is a floating-point number, which rounds differently in Go and SQL: store an integer of the smallest unit"
	case c.kind == null:
		c.why = fmt.Sprintf("has the Go type %s, which conditions cannot read: use string, an integer, bool or time.Time", c.field.FieldType)
	case declared != "" && !storedAs(c.kind, declared):
		c.why = fmt.Sprintf("has the database type %q, which compares differently from Go's %s: drop the type tag", declared, c.kind)
		c.kind = null
	}
}

// storedAs matches the declared database types whose comparison is Go's: no char(n), which pads, no citext
// or enum, which fold.
func storedAs(k kind, declared string) bool {
	pattern := map[kind]string{
		text:    `(string|(tiny|medium|long)?text|n?varchar(\(\d+\))?|character varying(\(\d+\))?)`,
		integer: `(int|uint|(tiny|small|medium|big)int(\(\d+\))?|integer|int[248]|(small|big)?serial)( unsigned)?`,
		boolean: `(bool|boolean|tinyint\(1\)|numeric)`,
		instant: `(time|date|datetime(\(\d\))?|timestamp(\(\d\))?( with(out)? time zone)?|timestamptz(\(\d\))?)`,
	}[k]
	return regexp.MustCompile("^" + pattern + "$").MatchString(declared)
}

func plainKind(t reflect.Type) kind {
	if t == reflect.TypeFor[time.Time]() {
		return instant
	}
	if t.Implements(reflect.TypeFor[driver.Valuer]()) || reflect.PointerTo(t).Implements(reflect.TypeFor[sql.Scanner]()) {
		return null // it may store anything
	}
	switch t.Kind() {
	case reflect.String:
		return text
	case reflect.Bool:
		return boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return integer
	}
	return null
}

// tagValue returns the value of key in a tag like "of=Phone,norm=phone".
func tagValue(tag, key string) string {
	for part := range strings.SplitSeq(tag, ",") {
		if k, v, ok := strings.Cut(strings.TrimSpace(part), "="); ok && k == key {
			return v
		}
	}
	return ""
}

func (r *resource) model() any { return reflect.New(r.typ).Interface() }
