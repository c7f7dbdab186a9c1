package rbac_test

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// Card has a field of every shape that View shows.
type Card struct {
	ID      string `gorm:"primaryKey"`
	Owner   string `gorm:"not null"`
	Name    string `mask:"name"`
	Phone   string `mask:"phone"`
	Free    string
	Email   sealed
	Backup  *sealed
	Age     int
	Price   float64
	Born    time.Time
	Comment sql.NullString
	Blob    []byte
	Ptr     *string
	Vip     *bool
}

func cardAuthorizer(t *testing.T, rules ...rbac.FieldRule) *rbac.Authorizer {
	for i := range rules {
		rules[i].Resource = "card"
	}
	p := rbac.Policy{
		Roles:       []rbac.Role{{Name: "a"}, {Name: "b", Inherits: []string{"a"}}, {Name: "c"}},
		Rules:       []rbac.Rule{{ID: "all", Role: rbac.Everyone, Resource: "card", Actions: []string{"read"}, When: "row.owner != 'nobody'"}},
		Fields:      rules,
		Assignments: []rbac.Assignment{{User: "a", Role: "a"}, {User: "b", Role: "b"}, {User: "ac", Role: "a"}, {User: "ac", Role: "c"}},
	}
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(p), Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Card{}}}})
	require.NoError(t, err)
	return a
}

func levels(t *testing.T, a *rbac.Authorizer, who string, row any, fields ...string) (got []string) {
	views, err := a.View(inContext(rbac.Caller{ID: who}), row)
	require.NoError(t, err)
	for _, f := range fields {
		got = append(got, views[0].Level(f).String())
	}
	return got
}

func TestLevelRules(t *testing.T) {
	yes := true
	a := cardAuthorizer(t,
		rbac.FieldRule{Role: "a", Field: "*", Level: masking.Partial},
		rbac.FieldRule{Role: "a", Field: "free", Level: masking.Hidden},
		rbac.FieldRule{Role: "a", Field: "phone", Level: masking.Partial},
		rbac.FieldRule{Role: "a", Field: "phone", Level: masking.Full, When: "row.owner == caller.id"},
		rbac.FieldRule{Role: "a", Field: "age", Level: masking.Full, When: "row.vip"},
		rbac.FieldRule{Role: "a", Field: "price", Level: masking.Full, When: "!row.vip"},
		rbac.FieldRule{Role: "c", Field: "free", Level: masking.Full},
	)
	fields := []string{"name", "Name", "card.name", "free", "phone", "age", "price", "nope"}
	partial := []string{"partial", "partial", "partial"}
	require.Equal(t, append(partial, "hidden", "full", "full", "hidden", "hidden"), levels(t, a, "a", &Card{Owner: "a", Vip: &yes}, fields...))
	require.Equal(t, append(partial, "hidden", "partial", "hidden", "hidden", "hidden"), levels(t, a, "a", &Card{Owner: "x"}, fields...), "an unknown condition gives nothing, also under !")
	require.Equal(t, append(partial, "hidden", "full", "full", "hidden", "hidden"), levels(t, a, "b", &Card{Owner: "b", Vip: &yes}, fields...), "inherited")
	require.Equal(t, "full", levels(t, a, "ac", &Card{Owner: "x"}, "free")[0], "the most that any role gives")
	require.Equal(t, "hidden", levels(t, a, "nobody", &Card{Owner: "x"}, "name")[0], "no rule is hidden")
	require.Equal(t, "hidden", levels(t, a, "a", &Card{Owner: "nobody"}, "name")[0], "a row that may not be read shows nothing")
}

func TestViewText(t *testing.T) {
	one, extra := "one", sealed("x")
	row := Card{ID: "1", Owner: "o", Name: "王小明", Phone: "13812345678", Free: "free", Email: "secret", Backup: &extra, Age: 42, Price: 1.5,
		Born: time.Date(2000, 1, 2, 3, 4, 5, 0, time.UTC), Comment: sql.NullString{String: "hm", Valid: true}, Blob: []byte("b"), Ptr: &one}
	fields := []string{"name", "phone", "free", "email", "backup", "age", "price", "born", "comment", "blob", "ptr", "vip", "nope"}
	texts := func(l masking.Level, row any) (got []string) {
		a := cardAuthorizer(t, rbac.FieldRule{Role: rbac.Everyone, Field: "*", Level: l})
		views, err := a.View(inContext(rbac.Caller{ID: "x"}), row)
		require.NoError(t, err)
		for _, f := range fields {
			got = append(got, views[0].Text(f).Text)
		}
		return got
	}
	const no = "******"
	require.Equal(t, []string{"王小明", "13812345678", "free", "sealed@partial", "sealed@partial", "42", "1.5", "2000-01-02T03:04:05Z", "hm", "b", "one", "", no}, texts(masking.Full, &row))
	require.Equal(t, []string{"王**", "138****5678", no, "sealed@partial", "sealed@partial", no, no, no, no, no, no, no, no}, texts(masking.Partial, row))
	require.Equal(t, []string{no, no, no, no, no, no, no, no, no, no, no, no, no}, texts(masking.Hidden, &row))
	require.Equal(t, "", texts(masking.Full, &Card{})[8], "NULL is empty")
	require.Equal(t, no, texts(masking.Full, &Card{})[4], "a nil sealed pointer shows nothing")

	a := cardAuthorizer(t, rbac.FieldRule{Role: rbac.Everyone, Field: "*", Level: masking.Partial})
	views, err := a.View(inContext(rbac.Caller{ID: "x"}), &row)
	require.NoError(t, err)
	text, err := views[0].Text("phone").MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"masked":true,"hint":"138****5678"}`, string(text))
}

func TestViewShapes(t *testing.T) {
	a := cardAuthorizer(t, rbac.FieldRule{Role: rbac.Everyone, Field: "*", Level: masking.Full})
	ctx := inContext(rbac.Caller{ID: "x"})
	rows := []Card{{Name: "1"}, {Name: "2"}}
	for _, shape := range []any{rows, &rows, []*Card{&rows[0], &rows[1]}, [2]Card(rows)} {
		views, err := a.View(ctx, shape)
		require.NoError(t, err, "%T", shape)
		require.Len(t, views, 2)
		require.Equal(t, "2", views[1].Text("name").Text)
	}
	views, err := a.View(ctx, []Card{})
	require.NoError(t, err)
	require.Empty(t, views)
	_, err = a.View(ctx, []Note{{}})
	require.EqualError(t, err, "rbac: rbac_test.Note is not a registered model: add it to Config.Resources")
	_, err = a.View(ctx, []*Card{nil})
	require.ErrorContains(t, err, "is not a row")
	var zero rbac.View
	require.False(t, zero.Can("read"))
	require.Equal(t, masking.Hidden, zero.Level("name"))
	require.Equal(t, "******", zero.Text("name").Text)
	views, err = a.View(ctx, rows)
	require.NoError(t, err)
	require.True(t, views[0].Can("read"))
	require.False(t, views[0].Can("update"))
}

func TestMayReveal(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, j := openCRM(t, db)
		reveal := func(who string, rows []string, fields ...string) error {
			return a.MayReveal(as(who), "customer", rows, fields)
		}
		require.NoError(t, reveal("ann", []string{"1"}, "phone"))
		require.NoError(t, reveal("ann", []string{"1", "2", "1"}, "Phone", "customer.phone"))
		require.NoError(t, reveal("mia", []string{"1", "4"}, "phone", "name"))
		for _, err := range []error{
			reveal("ann", []string{"4"}, "phone"),            // bob's
			reveal("ann", []string{"1", "4"}, "phone"),       // one of them
			reveal("ann", []string{"3"}, "phone"),            // hidden
			reveal("ann", []string{"5"}, "phone"),            // another tenant's
			reveal("ann", []string{"none"}, "phone"),         // not there
			reveal("ann", []string{"1"}, "phone", "name"),    // name without Reveal
			reveal("ann", []string{"1"}, "secret"),           // hidden field
			reveal("ted", []string{"1"}, "phone"),            // no rule
			reveal("ann", []string{"1' OR '1'='1"}, "phone"), // not SQL
			reveal("ann", []string{"1 "}, "phone"),
		} {
			require.ErrorIs(t, err, rbac.ErrDenied)
		}
		require.EqualError(t, reveal("ann", []string{"4"}, "phone"), "rbac: reveal of customer denied: the caller may not see phone of all these rows whole (policy version 1)")
		require.Equal(t, "customer.reveal", j.actions[0])
		require.ErrorIs(t, a.MayReveal(as("ann"), "invoice", []string{"i1"}, []string{"cents"}), rbac.ErrDenied, "a field rule alone is not enough")
		require.EqualError(t, reveal("ann", []string{"1"}, "nope"), `rbac: reveal: customer has no field "nope"; it has id, tenant_id, owner_id, email, name, phone, secret, hidden`)
		require.EqualError(t, reveal("ann", nil, "phone"), "rbac: reveal: name at least one row and one field of customer")
		require.EqualError(t, reveal("ann", []string{"1"}), "rbac: reveal: name at least one row and one field of customer")
		require.EqualError(t, a.MayReveal(as("ann"), "x", []string{"1"}, []string{"y"}), `rbac: reveal: "x" is not a resource: add it to Config.Resources`)

		// Inside a transaction the rows it wrote count, and its own connection is used.
		tx := db.WithContext(as("ann")).Begin()
		defer tx.Rollback()
		require.NoError(t, tx.Create(&Customer{ID: "n", TenantID: "t1", OwnerID: "ann", Email: "n"}).Error)
		require.NoError(t, a.MayReveal(rbac.WithTx(as("ann"), tx), "customer", []string{"n"}, []string{"phone"}))
		var many []string
		for i := range 2500 {
			many = append(many, fmt.Sprint(i))
		}
		require.ErrorIs(t, reveal("ann", many, "phone"), rbac.ErrDenied)
	})
	a, err := rbac.Open(t.Context(), crmConfig(&journal{}))
	require.NoError(t, err)
	require.EqualError(t, a.MayReveal(as("ann"), "customer", []string{"1"}, []string{"phone"}), "rbac: reveal: no database: call db.Use(authorizer) first")
}
