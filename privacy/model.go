package privacy

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// A model is what the tags of one Go type say.
type model struct {
	typ       reflect.Type
	schema    *schema.Schema
	unique    []*schema.Index // read once: GORM's ParseIndexes writes into the schema
	table     string
	resource  string
	pk        []*schema.Field
	subject   *schema.Field // whose data: its value is the id behind kind
	kind      string
	tenant    *schema.Field // optional: the column that names the row's tenant
	anyRow    bool          // bind=column: the values are not bound to their row
	sealed    []*sealedField
	indexes   []*indexField // compounds among them
	compounds []*indexField
	cells     map[string]*sealedField // by lower-case column
	blind     map[string]*indexField  // by lower-case column
}

type sealedField struct {
	model   *model
	field   *schema.Field
	column  string
	logical string
	anyRow  bool // the model's
	kind    masking.Kind
	form    form
	pad     int // 0: not padded
	indexes []*indexField
	search  bool // has tokens
	joint   bool // part of a compound index
}

type indexField struct {
	of     *sealedField
	field  *schema.Field
	column string
	norm   normaliser
	match  matcher // the part of the value that is indexed
	bits   int     // width of a truncated index; 0: all
	parts  []part  // of a compound index, the first of them of and norm
}

// A registry holds the models a vault knows. It is copied when it changes.
type registry struct {
	byType  map[reflect.Type]*model
	byTable map[string]*model // lower-case; models of one table agree on its sealed columns
	all     []*model
	schemas []*schema.Schema // of every model declared, also without sealed fields
}

func (r *registry) with(m *model) (*registry, error) {
	if old := r.byTable[strings.ToLower(m.table)]; old != nil {
		for col, f := range m.cells {
			if o := old.cells[col]; o == nil || o.logical != f.logical {
				return nil, refuse(f.logical, "another model of table "+m.table+" declares this column differently", "give both the same name=")
			} else if o.search != f.search {
				return nil, refuse(f.logical, "another model of table "+m.table+" searches this column differently", "give both the same search=")
			}
		}
		if err := m.sameCompounds(old); err != nil {
			return nil, err
		}
	}
	for _, o := range r.all {
		for _, f := range m.sealed {
			for _, g := range o.sealed {
				if f.logical == g.logical && !(strings.EqualFold(o.table, m.table) && f.column == g.column) {
					return nil, refuse(f.logical, "two columns have this logical name", "give one of them its own with name=")
				}
			}
		}
	}
	n := &registry{byType: maps.Clone(r.byType), byTable: maps.Clone(r.byTable), all: append(slices.Clone(r.all), m), schemas: r.schemas}
	if n.byType == nil {
		n.byType, n.byTable = map[reflect.Type]*model{}, map[string]*model{}
	}
	n.byType[m.typ] = m
	if n.byTable[strings.ToLower(m.table)] == nil {
		n.byTable[strings.ToLower(m.table)] = m
	}
	return n, nil
}

// parseModel reads the tags of a model, or returns nil if it has no sealed field.
func parseModel(db *gorm.DB, value any) (*model, error) {
	stmt := &gorm.Statement{DB: db}
	if err := stmt.Parse(value); err != nil {
		return nil, fmt.Errorf("privacy: model %T: %w", value, err)
	}
	s := stmt.Schema
	m := &model{
		typ: s.ModelType, schema: s, table: s.Table, pk: s.PrimaryFields,
		resource: db.NamingStrategy.ColumnName("", s.Name),
		cells:    map[string]*sealedField{}, blind: map[string]*indexField{},
	}
	for _, i := range s.ParseIndexes() {
		if strings.EqualFold(i.Class, "UNIQUE") {
			m.unique = append(m.unique, i)
		}
	}
	for _, f := range s.Fields {
		if err := m.addField(f); err != nil {
			return nil, err
		}
	}
	for _, f := range s.Fields {
		if isIndex(f) {
			if err := m.addIndex(f); err != nil {
				return nil, err
			}
		}
	}
	if len(m.sealed) == 0 {
		return nil, m.checkUnsealed()
	}
	return m, m.finish()
}

var (
	holderType = reflect.TypeFor[holder]()
	indexType  = reflect.TypeFor[Index]()
)

func isSealed(f *schema.Field) bool {
	return f.DBName != "" && reflect.PointerTo(f.IndirectFieldType).Implements(holderType)
}

func isIndex(f *schema.Field) bool { return f.DBName != "" && f.IndirectFieldType == indexType }

// tagParts reads `privacy:"a=b,c"`.
func tagParts(f *schema.Field) map[string]string {
	parts := map[string]string{}
	for p := range strings.SplitSeq(f.Tag.Get("privacy"), ",") {
		if p = strings.TrimSpace(p); p != "" {
			key, value, _ := strings.Cut(p, "=")
			parts[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return parts
}

func (m *model) fail(f *schema.Field, why, remedy string) error {
	return refuse(m.resource+"."+f.Name, why, remedy)
}

func (m *model) addField(f *schema.Field) error {
	tag := tagParts(f)
	if isSealed(f) {
		return m.addSealed(f, tag)
	}
	for key, value := range tag {
		switch {
		case isIndex(f) && (key == "of" || key == "norm" || key == "match" || key == "bits"):
		case key == "subject" && value != "" && m.subject == nil:
			m.subject, m.kind = f, value
		case key == "subject":
			return m.fail(f, "one field of a model, with a kind such as subject=customer, says whose data it holds", "keep one subject= tag")
		case key == "open" && value != "" && !isIndex(f):
		case key == "open":
			return m.fail(f, "is declared open without a reason", "write privacy:\"open=reason\"")
		case key == "tenant" && m.tenant == nil:
			m.tenant = f
		case key == "bind" && value == "column" && f.PrimaryKey:
			m.anyRow = true
		default:
			return m.fail(f, fmt.Sprintf("tag privacy:%q has no meaning on a %s", key, f.FieldType), "use privacy.String for a sealed field, or remove the tag")
		}
	}
	return nil
}

func (m *model) addSealed(f *schema.Field, tag map[string]string) error {
	s := &sealedField{model: m, field: f, column: f.DBName, logical: m.resource + "." + f.DBName, form: formOf(f)}
	var err error
	for key, value := range tag {
		switch key {
		case "mask":
			var kind masking.Kind
			kind, err = masking.ParseKind(value)
			if err != nil {
				return m.fail(f, err.Error(), "name a kind of package masking")
			}
			if !s.form.masks(kind) {
				return m.fail(f, "a "+s.form.typeName()+" is always shown as [sealed]", "remove mask=, or use privacy.String; a privacy.Date takes mask=birthdate")
			}
			s.kind = kind
		case "name":
			if strings.Count(value, ".") != 1 || strings.HasPrefix(value, ".") || strings.HasSuffix(value, ".") {
				return m.fail(f, "name="+value+" is no logical name", "write name=resource.field")
			}
			s.logical = value
		case "pad":
			if s.pad, err = readPad(value); err != nil {
				return m.fail(f, err.Error(), "write pad=32: stored values are then multiples of 32 bytes long")
			}
		case "search":
			if value != "name" {
				return m.fail(f, "search="+value+" is unknown", "write search=name")
			}
			if f.IndirectFieldType != reflect.TypeFor[String]() {
				return m.fail(f, "a Value has no words to search", "use privacy.String")
			}
			s.search = true
		default:
			return m.fail(f, fmt.Sprintf("tag privacy:%q has no meaning on a sealed field", key), "use mask=, name=, pad= and search=")
		}
	}
	if f.HasDefaultValue {
		return m.fail(f, "a default would be stored as plaintext", "remove default: from its gorm tag")
	}
	if f.PrimaryKey || f.Unique {
		return m.fail(f, "equal values never have equal ciphertexts, so it cannot be a key or unique", "put uniqueIndex on a privacy.Index field")
	}
	m.sealed = append(m.sealed, s)
	m.cells[strings.ToLower(f.DBName)] = s
	return nil
}

func (m *model) addIndex(f *schema.Field) error {
	tag := tagParts(f)
	if strings.Contains(tag["of"], "+") {
		return m.addCompound(f, tag)
	}
	x := &indexField{field: f, column: f.DBName}
	if x.of = m.besides(f, tag["of"]); x.of == nil {
		return m.fail(f, fmt.Sprintf("of=%s names no sealed field beside it", tag["of"]), `write privacy:"of=Phone,norm=phone"`)
	}
	n, err := findNormaliser(tag["norm"])
	if err != nil {
		return m.fail(f, err.Error(), "the normaliser decides which spellings find each other")
	}
	if f.FieldType != indexType {
		return m.fail(f, "an index is nullable as it is", "declare it as privacy.Index, not as a pointer")
	}
	x.norm = n
	if !x.of.form.indexes(n.name) {
		return m.fail(f, "a "+x.of.form.typeName()+" cannot be found by norm="+tag["norm"], "write norm=exact; a Time has no index: keep its day in a privacy.Date")
	}
	if err := x.declare(tag); err != nil {
		return m.fail(f, err.Error(), "see Tags in the package documentation")
	}
	x.of.indexes = append(x.of.indexes, x)
	m.indexes = append(m.indexes, x)
	m.blind[strings.ToLower(x.column)] = x
	return nil
}

// checkUnsealed refuses tags that would do nothing.
func (m *model) checkUnsealed() error {
	if m.subject != nil {
		return m.fail(m.subject, "the model has no sealed field", "remove the privacy tag, or make a field a privacy.String")
	}
	return nil
}

func (m *model) finish() error {
	if len(m.pk) == 0 {
		return refuse(m.resource, "has no primary key, and sealed fields are bound to their row", "add one that the program generates")
	}
	for _, f := range m.pk {
		if !m.anyRow && (f.AutoIncrement || f.HasDefaultValue) {
			return m.fail(f, "is generated by the database, but a sealed field is bound to its row before that is written",
				"let the program generate the primary key (a string, or gorm:\"autoIncrement:false\"), or give up the binding to rows with privacy:\"bind=column\"")
		}
	}
	if m.anyRow && (m.subject == nil || m.subject.PrimaryKey) {
		return m.fail(m.pk[0], "with bind=column its values are bound to their person only, who must be known before the row is", `tag another field with the person's id: privacy:"subject=customer"`)
	}
	seen := map[string]bool{}
	for _, f := range m.sealed {
		f.anyRow = m.anyRow
		if f.search && m.anyRow {
			return m.fail(f.field, "search tokens name the row, which the database has not numbered yet", "let the program generate the primary key, or remove search=name")
		}
		if seen[f.logical] {
			return refuse(f.logical, "two columns have this logical name", "give one of them its own with name=")
		}
		seen[f.logical] = true
	}
	if m.subject == nil {
		if len(m.pk) > 1 {
			return refuse(m.resource, "does not say whose data it holds", `tag the field with the person's id: privacy:"subject=customer"`)
		}
		m.subject, m.kind = m.pk[0], m.resource
	}
	if strings.Contains(m.kind, ":") {
		return m.fail(m.subject, "the kind of a subject may not hold a colon", "rename it")
	}
	return nil
}

// subjectIsRow reports whether the row's key alone says whose data it is.
func (m *model) subjectIsRow() bool { return len(m.pk) == 1 && m.subject == m.pk[0] }

// rowID returns the row's id as it goes into the associated data.
func (m *model) rowID(ctx context.Context, rv reflect.Value) (string, bool) {
	ids := make([]string, len(m.pk))
	for i, f := range m.pk {
		v, zero := f.ValueOf(ctx, rv)
		if zero {
			return "", false
		}
		ids[i] = idText(v)
	}
	return joinRowID(ids), true
}

func joinRowID(ids []string) string {
	if len(ids) == 1 {
		return ids[0]
	}
	return string(encode(ids...))
}

// idText writes a key column's value the same way whether it comes from a model, a map or a driver.
func idText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	rv := reflect.ValueOf(v)
	for rv.Kind() == reflect.Pointer {
		if rv.IsNil() {
			return ""
		}
		rv = rv.Elem()
	}
	if rv.Kind() == reflect.Slice && rv.Type().Elem().Kind() == reflect.Uint8 {
		return string(rv.Bytes())
	}
	if !rv.IsValid() {
		return ""
	}
	return fmt.Sprint(rv.Interface())
}

func (m *model) subjectID(ctx context.Context, rv reflect.Value) (string, bool) {
	v, _ := m.subject.ValueOf(ctx, rv)
	id := idText(v)
	return m.kind + ":" + id, id != ""
}

// cellOf returns the sealed value that v is or points to.
func cellOf(v any) (*cell, bool) {
	switch s := v.(type) {
	case String:
		return s.c, true
	case holder:
		if reflect.ValueOf(s).IsNil() {
			return nil, true
		}
		return s.sealedCell(), true
	case nil:
		return nil, false
	}
	rv := reflect.ValueOf(v)
	if rv.Kind() == reflect.Struct && reflect.PointerTo(rv.Type()).Implements(holderType) {
		p := reflect.New(rv.Type())
		p.Elem().Set(rv)
		return p.Interface().(holder).sealedCell(), true
	}
	return nil, false
}

// get returns the field's cell in a row, without making embedded pointers.
func (f *sealedField) get(ctx context.Context, rv reflect.Value) *cell {
	if at := f.field.StructField.Index; len(at) == 1 && f.field.FieldType.Kind() != reflect.Pointer && rv.CanAddr() {
		if h, ok := rv.Field(at[0]).Addr().Interface().(holder); ok {
			return h.sealedCell()
		}
	}
	v, _ := f.field.ValueOf(ctx, rv)
	c, _ := cellOf(v)
	return c
}

// set puts a cell into the row's field.
func (f *sealedField) set(ctx context.Context, rv reflect.Value, c *cell) {
	fv := f.field.ReflectValueOf(ctx, rv)
	if fv.Kind() == reflect.Pointer {
		p := reflect.New(fv.Type().Elem())
		p.Interface().(holder).setSealedCell(c)
		fv.Set(p)
		return
	}
	fv.Addr().Interface().(holder).setSealedCell(c)
}

// wrap returns the cell as a value of the field's type.
func (f *sealedField) wrap(c *cell) any {
	p := reflect.New(f.field.IndirectFieldType)
	p.Interface().(holder).setSealedCell(c)
	if f.field.FieldType.Kind() == reflect.Pointer {
		return p.Interface()
	}
	return p.Elem().Interface()
}
