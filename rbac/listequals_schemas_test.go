package rbac_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// randomSchema is a table that exists only for one test: some columns of random types, NULL or not, indexed or
// not, under names that are words of SQL.
type randomSchema struct {
	typ     reflect.Type
	columns []randomColumn
}

type randomColumn struct {
	name string
	kind string // text, number, flag, time
	null bool   // Go sees NULL
	make func(r *rand.Rand) any
}

// named is the naming strategy for types without a name.
type named struct {
	schema.NamingStrategy
	table string
}

func (n named) TableName(string) string { return n.table }

func newSchema(r *rand.Rand) randomSchema {
	type form struct {
		kind string
		null bool
		typ  reflect.Type
	}
	forms := []form{
		{"text", false, reflect.TypeFor[string]()}, {"text", false, reflect.TypeFor[status]()}, {"text", true, reflect.TypeFor[*string]()}, {"text", true, reflect.TypeFor[sql.NullString]()},
		{"number", false, reflect.TypeFor[int64]()}, {"number", false, reflect.TypeFor[int32]()}, {"number", false, reflect.TypeFor[uint16]()}, {"number", true, reflect.TypeFor[*int64]()},
		{"number", true, reflect.TypeFor[sql.NullInt64]()}, {"number", true, reflect.TypeFor[*uint32]()}, {"flag", false, reflect.TypeFor[bool]()}, {"flag", true, reflect.TypeFor[*bool]()},
		{"flag", true, reflect.TypeFor[sql.NullBool]()}, {"time", false, reflect.TypeFor[time.Time]()}, {"time", true, reflect.TypeFor[*time.Time]()}, {"time", true, reflect.TypeFor[sql.NullTime]()},
	}
	values := map[string]func(*rand.Rand) any{
		"text":   func(r *rand.Rand) any { return pick(r, append(hostileStrings(), hostilePaths()...)) },
		"number": func(r *rand.Rand) any { return pick(r, []int64{0, 1, 2, 255, 65535}) }, // fits every width
		"flag":   func(r *rand.Rand) any { return r.IntN(2) == 0 },
		"time":   func(r *rand.Rand) any { return pick(r, hostileTimes()) },
	}
	names := []string{"order", "select", "group", "user", "key", "where", "values", "table", "current_user", "a", "null_", "rank", "thing", "id_", "x1"}
	r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	s := randomSchema{}
	fields := []reflect.StructField{
		{Name: "ID", Type: reflect.TypeFor[string](), Tag: `gorm:"column:id;primaryKey;size:36"`},
		{Name: "Tenant", Type: reflect.TypeFor[string](), Tag: `gorm:"column:tenant;size:36;not null"`},
		{Name: "Weight", Type: reflect.TypeFor[int64](), Tag: `gorm:"column:weight"`}, {Name: "Touched", Type: reflect.TypeFor[int64](), Tag: `gorm:"column:touched"`},
	}
	for i := range 4 + r.IntN(6) {
		f := forms[r.IntN(len(forms))]
		c := randomColumn{name: names[i], kind: f.kind, null: f.null, make: values[f.kind]}
		if f.typ.Kind() == reflect.Int64 && f.kind == "number" {
			c.make = func(r *rand.Rand) any { return pick(r, hostileInts()) }
		}
		tag := "column:" + c.name + ";autoCreateTime:false;autoUpdateTime:false"
		if f.kind == "text" {
			tag += ";size:64"
		}
		if !f.null && r.IntN(2) == 0 {
			tag += ";not null"
		} else {
			inner := c.make
			c.make = func(r *rand.Rand) any {
				if r.IntN(4) == 0 {
					return nil
				}
				return inner(r)
			}
		}
		if r.IntN(3) == 0 {
			tag += ";index"
		}
		s.columns = append(s.columns, c)
		fields = append(fields, reflect.StructField{Name: fmt.Sprint("F", i), Type: f.typ, Tag: reflect.StructTag(`gorm:"` + tag + `"`)})
	}
	s.typ = reflect.StructOf(fields)
	return s
}

// condition writes a random condition over the columns.
func (s randomSchema) condition(r *rand.Rand, depth int) string {
	if depth > 0 {
		switch r.IntN(5) {
		case 0, 1:
			return "(" + s.condition(r, depth-1) + " && " + s.condition(r, depth-1) + ")"
		case 2, 3:
			return "(" + s.condition(r, depth-1) + " || " + s.condition(r, depth-1) + ")"
		}
		return "!(" + s.condition(r, depth-1) + ")"
	}
	c := pick(r, s.columns)
	name := "row." + c.name
	if c.null && r.IntN(6) == 0 {
		return name + pick(r, []string{" == null", " != null"})
	}
	same := slices.DeleteFunc(slices.Clone(s.columns), func(x randomColumn) bool { return x.kind != c.kind || x.kind == "time" })
	if len(same) > 1 && r.IntN(4) == 0 {
		return name + pick(r, []string{" == ", " != "}) + "row." + pick(r, same).name
	}
	order := []string{" == ", " != ", " < ", " <= ", " > ", " >= "}
	switch c.kind {
	case "text":
		switch r.IntN(5) {
		case 0:
			return name + " in caller.reports"
		case 1:
			return "within(" + name + ", " + above(r) + ")"
		case 2:
			return name + " in [" + strconv.Quote(pick(r, hostileStrings())) + ", caller.id]"
		}
		return name + pick(r, order[:2]) + strconv.Quote(pick(r, append(hostileStrings(), hostilePaths()...)))
	case "number":
		return name + pick(r, order) + strconv.FormatInt(pick(r, append(hostileInts(), 255, 65535)), 10)
	case "flag":
		return pick(r, []string{"", "!"}) + name
	}
	return name + pick(r, order) + pick(r, []string{"now", `timestamp("` + pick(r, hostileTimes()).Truncate(time.Second).Format(time.RFC3339) + `")`})
}

// TestListEqualsCheckOnSchemas: the same for tables of which nobody thought.
func TestListEqualsCheckOnSchemas(t *testing.T) {
	schemas := 8
	if testing.Short() {
		schemas = 4
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		r := rand.New(rand.NewPCG(2026, 33))
		telling := 0
		for n := range schemas {
			telling += listEqualsCheckOn(t, db, r, newSchema(r), fmt.Sprint("thing", n))
		}
		require.Greater(t, telling, schemas*4, "too few decisions that tell rows apart")
	})
}

func listEqualsCheckOn(t *testing.T, db testdb.DB, r *rand.Rand, s randomSchema, name string) (telling int) {
	guarded := db.Reopen(t)
	naming := named{schema.NamingStrategy{IdentifierMaxLength: 64}, name}
	guarded.NamingStrategy = naming
	model := reflect.New(s.typ).Interface()
	require.NoError(t, guarded.AutoMigrate(model), s.typ)
	weight := map[string]int64{}
	for i := range 40 {
		row := map[string]any{"id": fmt.Sprintf("row-%02d", i), "tenant": pick(r, []string{"t1", "t1", "t1", "T1", "t2"}), "weight": i + 1, "touched": 0}
		for _, c := range s.columns {
			row[c.name] = c.make(r)
		}
		require.NoError(t, guarded.Table(name).Create(row).Error, s.typ)
		weight[fmt.Sprintf("row-%02d", i)] = int64(i + 1)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 7e8, time.UTC)
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(rbac.Policy{}), Record: rbac.Discard, Attrs: attrs(), Naming: naming,
		Resources: []rbac.Resource{{Model: model, Name: "thing", Tenant: "tenant"}}, Now: func() time.Time { return now }})
	require.NoError(t, err)
	require.NoError(t, guarded.Use(a))
	rows := reflect.New(reflect.SliceOf(s.typ))
	require.NoError(t, guarded.WithContext(systemContext(t)).Find(rows.Interface()).Error)
	things := &table{db: guarded.DB, model: model}
	for range 8 {
		var p rbac.Policy
		for i := range 1 + r.IntN(3) {
			rule := rbac.Rule{ID: fmt.Sprint("r", i), Role: rbac.Everyone, Resource: "thing", Actions: []string{"read", "update", "delete"}, When: s.condition(r, r.IntN(4))}
			if i > 0 && r.IntN(2) == 0 {
				rule.Effect = rbac.Deny
			}
			p.Rules = append(p.Rules, rule)
		}
		p.Fields = []rbac.FieldRule{{Role: rbac.Everyone, Resource: "thing", Field: "*", Level: masking.Full}}
		require.NoError(t, a.Edit(t.Context(), func(old *rbac.Policy) error { *old = p; return nil }), describe(p))
		for _, c := range thingCallers()[:2] {
			ctx := inContext(c)
			want := []string{}
			for i := range rows.Elem().Len() {
				if row := rows.Elem().Index(i); a.Check(ctx, "read", row.Addr().Interface()) == nil {
					want = append(want, row.Field(0).String())
				}
			}
			slices.Sort(want)
			things.requireRows(t, ctx, want, weight, fmt.Sprintf("%s\n%s", strings.ReplaceAll(s.typ.String(), ";", "\n"), describe(p)))
			if len(want) > 0 && len(want) < 24 {
				telling++
			}
		}
	}
	return telling
}
