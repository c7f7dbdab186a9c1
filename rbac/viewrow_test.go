package rbac_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// Person has what a rendered row must never hold: a password, and a blind index.
type Person struct {
	ID         string `gorm:"primaryKey"`
	Owner      string
	Phone      string `mask:"phone"`
	Password   string `json:"-"`
	Sealed     sealed
	SealedIdx  string `privacy:"of=Sealed"`
	Age        int
	Balance    *int64
	Born       time.Time
	Vip        bool
	HiddenNote string
}

func personViews(t *testing.T, who string, rows any, rules ...rbac.FieldRule) []rbac.View {
	for i := range rules {
		rules[i].Role, rules[i].Resource = rbac.Everyone, "person"
	}
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Person{}}},
		Policies: rbac.NewMemory(rbac.Policy{Fields: rules, Rules: []rbac.Rule{
			{ID: "r", Role: rbac.Everyone, Resource: "person", Actions: []string{"read"}, When: "row.owner != 'nobody'"},
			{ID: "e", Role: rbac.Everyone, Resource: "person", Actions: []string{"export"}, When: "row.owner == caller.id"},
		}})})
	require.NoError(t, err)
	views, err := a.View(inContext(rbac.Caller{ID: who}), rows)
	require.NoError(t, err)
	return views
}

func person(owner string) Person {
	return Person{ID: "1", Owner: owner, Phone: "13800138000", Password: "pw", Sealed: "s", SealedIdx: "index", Age: 42, Vip: true, Born: time.Date(2000, 1, 2, 0, 0, 0, 0, time.UTC), HiddenNote: "note"}
}

func TestViewOfAWholeRow(t *testing.T) {
	rules := []rbac.FieldRule{{Field: "*", Level: masking.Full}, {Field: "phone", Level: masking.Partial}, {Field: "hidden_note", Level: masking.Hidden, Rights: rbac.Match}, {Field: "owner", Level: masking.Partial}}
	row := person("ann")
	for _, rows := range []any{row, &row, []Person{row}, []*Person{&row}} {
		views := personViews(t, "ann", rows, rules...)
		got, err := json.Marshal(views)
		require.NoError(t, err)
		require.Equal(t, `[{"id":"1","owner":{"masked":true,"hint":"******"},"phone":{"masked":true,"hint":"138****8000"},"sealed":{"masked":true,"hint":"sealed@partial"},"age":42,"balance":null,"born":"2000-01-02T00:00:00Z","vip":true}]`, string(got))
		alone, err := json.Marshal(map[string]any{"row": views[0]})
		require.NoError(t, err)
		require.Equal(t, `{"row":`+string(got[1:len(got)-1])+`}`, string(alone), "by value as by pointer")
	}
	v := personViews(t, "ann", row, rules...)[0]
	require.Equal(t, []string{"id", "owner", "phone", "sealed", "age", "balance", "born", "vip"}, v.Fields())
	m := v.Map()
	require.Len(t, m, 8)
	require.Equal(t, masking.Shown{Text: "138****8000", Level: masking.Partial}, m["phone"])
	require.Equal(t, 42, m["age"])
	require.Nil(t, m["balance"])
	require.Equal(t, masking.Hidden, v.Level("sealed_idx"), "a blind index is for searching only")
	require.Equal(t, "******", v.Text("sealed_idx").Text)

	// A row that may not be read, and no row at all, are empty.
	for _, v := range []rbac.View{personViews(t, "ann", person("nobody"), rules...)[0], {}} {
		got, err := json.Marshal(v)
		require.NoError(t, err)
		require.Equal(t, `{}`, string(got))
		require.Empty(t, v.Map())
		require.Empty(t, v.Export().Map())
	}
}

// TestExport: what may leave is the field as it is shown, where a rule gives the right and the row may be
// exported at all.
func TestExport(t *testing.T) {
	row := person("ann")
	export := func(who string, rules ...rbac.FieldRule) string {
		got, err := json.Marshal(personViews(t, who, row, rules...)[0].Export())
		require.NoError(t, err)
		return string(got)
	}
	phone := func(f rbac.FieldRule) rbac.FieldRule { f.Field = "phone"; return f }
	require.Equal(t, `{}`, export("ann", phone(rbac.FieldRule{Level: masking.Partial})), "seeing a part is not exporting it")
	require.Equal(t, `{"phone":{"masked":true,"hint":"138****8000"}}`, export("ann", phone(rbac.FieldRule{Level: masking.Partial, Rights: rbac.Export})), "as it is shown")
	require.Equal(t, `{"phone":"13800138000"}`, export("ann", phone(rbac.FieldRule{Level: masking.Full})))
	require.Equal(t, `{}`, export("ann", phone(rbac.FieldRule{Level: masking.Full, Rights: rbac.ShowOnly})), "whole on the screen, never in a file")
	require.Equal(t, `{}`, export("ann", phone(rbac.FieldRule{Level: masking.Full, Rights: rbac.Match | rbac.Sort})))
	require.Equal(t, `{}`, export("ann", phone(rbac.FieldRule{Level: masking.Hidden, Rights: rbac.Export})), "hidden is hidden")
	require.Equal(t, `{}`, export("bob", phone(rbac.FieldRule{Level: masking.Full})), "no rule lets bob export the row")
	require.Equal(t, `{"phone":{"masked":true,"hint":"138****8000"}}`, export("ann", phone(rbac.FieldRule{Level: masking.Partial, Rights: rbac.Export, When: "row.vip"})))
	require.Equal(t, `{}`, export("ann", phone(rbac.FieldRule{Level: masking.Partial, Rights: rbac.Export, When: "!row.vip"})))

	v := personViews(t, "ann", row, rbac.FieldRule{Field: "*", Level: masking.Full}, rbac.FieldRule{Field: "phone", Level: masking.Partial})[0]
	out := v.Export()
	require.Equal(t, "******", out.Text("phone").Text)
	require.Equal(t, masking.Hidden, out.Level("phone"))
	require.Equal(t, "42", out.Text("age").Text)
	require.NotContains(t, out.Fields(), "phone")
	require.NotContains(t, out.Fields(), "password")
	require.Equal(t, "138****8000", v.Text("phone").Text, "the view itself is as it was")
}
