package rbac_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// A small CRM: three guarded tables and one that is not.

type Customer struct {
	ID       string `gorm:"primaryKey;size:36"`
	TenantID string `gorm:"size:36;not null"`
	OwnerID  string `gorm:"size:36;not null;index"`
	Email    string `gorm:"size:64;uniqueIndex" mask:"email"`
	Name     string `mask:"name"`
	Phone    string `mask:"phone"`
	Secret   string // no field rule of sales shows it
	Hidden   bool   `gorm:"not null"`
	Invoices []Invoice
	Owner    *User
}

type Invoice struct {
	ID         string `gorm:"primaryKey;size:36"`
	TenantID   string `gorm:"size:36;not null"`
	CustomerID string `gorm:"size:36"`
	OwnerID    string `gorm:"size:36;not null"`
	Cents      int64
	Customer   *Customer
}

type User struct {
	ID    string `gorm:"primaryKey;size:36"`
	Name  string `mask:"name"`
	Phone string `mask:"phone"`
}

type Note struct {
	ID         string `gorm:"primaryKey;size:36"`
	CustomerID string `gorm:"size:36"`
	Text       string
	Customer   *Customer
}

type callerKey struct{}

// as is the context of one of the employees: ann and bob sell, mia manages both, ted is in IT, vic may see
// hidden customers.
func as(id string) context.Context {
	return inContext(rbac.Caller{ID: id, Tenant: "t1", Attrs: map[string]any{"reports": []string{"ann", "bob", "mia"}}})
}

func crmPolicy() rbac.Policy {
	all := []string{"read", "create", "update", "delete"}
	return rbac.Policy{
		Roles: []rbac.Role{{Name: "sales"}, {Name: "manager"}, {Name: "it"}, {Name: "view_hidden"}},
		Rules: []rbac.Rule{
			{ID: "own-customers", Role: "sales", Resource: "customer", Actions: append(all, "reveal"), When: "row.owner_id == caller.id"},
			{ID: "team-customers", Role: "manager", Resource: "customer", Actions: append(all, "reveal"), When: "row.owner_id in caller.reports"},
			{ID: "hidden-customers", Role: rbac.Everyone, Resource: "customer", Effect: rbac.Deny, Actions: append(all, "reveal"), When: "row.hidden == true && !('view_hidden' in caller.roles)"},
			{ID: "own-invoices", Role: "sales", Resource: "invoice", Actions: all, When: "row.owner_id == caller.id"},
			{ID: "team-invoices", Role: "manager", Resource: "invoice", Actions: all, When: "row.owner_id in caller.reports"},
			{ID: "colleagues", Role: rbac.Everyone, Resource: "user", Actions: []string{"read"}, When: "row.id != 'root'"},
		},
		Fields: []rbac.FieldRule{
			{Role: "sales", Resource: "customer", Field: "*", Level: masking.Full},
			{Role: "sales", Resource: "customer", Field: "phone", Level: masking.Partial, Reveal: true},
			{Role: "sales", Resource: "customer", Field: "secret", Level: masking.Hidden},
			{Role: "manager", Resource: "customer", Field: "*", Level: masking.Full, Reveal: true},
			{Role: rbac.Everyone, Resource: "invoice", Field: "*", Level: masking.Full, Reveal: true}, // but no rule for the action
			{Role: rbac.Everyone, Resource: "user", Field: "name", Level: masking.Full},
			{Role: rbac.Everyone, Resource: "user", Field: "phone", Level: masking.Partial},
		},
		Assignments: []rbac.Assignment{
			{Tenant: "t1", User: "ann", Role: "sales"}, {Tenant: "t1", User: "bob", Role: "sales"}, {Tenant: "t1", User: "mia", Role: "manager"},
			{Tenant: "t1", User: "ted", Role: "it"}, {Tenant: "t1", User: "vic", Role: "manager"}, {Tenant: "t1", User: "vic", Role: "view_hidden"},
		},
	}
}

// journal remembers what it was asked to record.
type journal struct {
	mu      sync.Mutex
	actions []string
	attrs   []map[string]string
	fail    error
}

func (j *journal) RecordApart(_ context.Context, action string, attrs ...slog.Attr) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail != nil {
		return j.fail
	}
	m := map[string]string{}
	for _, a := range attrs {
		m[a.Key] = a.Value.String()
	}
	j.actions, j.attrs = append(j.actions, action), append(j.attrs, m)
	return nil
}

func crmConfig(j *journal) rbac.Config {
	return rbac.Config{
		Caller: whoAsks, Policies: rbac.NewMemory(crmPolicy()), Record: j, Attrs: map[string]any{"reports": []string(nil)},
		Resources: []rbac.Resource{{Model: &Customer{}, Tenant: "tenant_id"}, {Model: &Invoice{}, Tenant: "tenant_id"}, {Model: &User{}}},
		Unguarded: []string{"notes"},
	}
}

// fillCRM makes the tables: ann has 1, 2 and the hidden 3; bob 4; somebody of another tenant 5.
func fillCRM(t testing.TB, db *gorm.DB) {
	require.NoError(t, db.AutoMigrate(&User{}, &Customer{}, &Invoice{}, &Note{}))
	require.NoError(t, db.Create([]User{{ID: "ann", Name: "Ann", Phone: "13800000001"}, {ID: "bob", Name: "Bob"}, {ID: "mia"}, {ID: "root", Phone: "13899999999"}}).Error)
	require.NoError(t, db.Omit("Owner").Create([]Customer{
		{ID: "1", TenantID: "t1", OwnerID: "ann", Email: "a@1", Name: "a", Phone: "13812345678", Secret: "s1"},
		{ID: "2", TenantID: "t1", OwnerID: "ann", Email: "a@2", Name: "b", Phone: "13912345678", Secret: "s2"},
		{ID: "3", TenantID: "t1", OwnerID: "ann", Email: "a@3", Name: "b", Hidden: true},
		{ID: "4", TenantID: "t1", OwnerID: "bob", Email: "b@4", Name: "b", Phone: "13712345678", Secret: "s4"},
	}).Error)
	require.NoError(t, db.Omit("Owner").Create(&Customer{ID: "5", TenantID: "t2", OwnerID: "ann", Email: "x@5", Name: "b"}).Error)
	require.NoError(t, db.Create([]Invoice{{ID: "i1", TenantID: "t1", CustomerID: "1", OwnerID: "ann", Cents: 5}, {ID: "i4", TenantID: "t1", CustomerID: "4", OwnerID: "bob", Cents: 7}, {ID: "i5", TenantID: "t1", CustomerID: "1", OwnerID: "bob", Cents: 7}}).Error)
	require.NoError(t, db.Create([]Note{{ID: "n1", CustomerID: "1"}, {ID: "n4", CustomerID: "4"}}).Error)
}

// openCRM returns a guarded database, and a second connection to it that nobody guards.
func openCRM(t *testing.T, db testdb.DB) (*rbac.Authorizer, *gorm.DB, *journal) {
	fillCRM(t, db.DB)
	free := db.Reopen(t).DB
	j := &journal{}
	a, err := rbac.Open(t.Context(), crmConfig(j))
	require.NoError(t, err)
	require.NoError(t, db.Use(a))
	return a, free, j
}

func TestPolicyOfTheCRM(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, _ := openCRM(t, db)
		for who, want := range map[string][]string{"ann": {"1", "2"}, "bob": {"4"}, "mia": {"1", "2", "4"}, "vic": {"1", "2", "3", "4"}, "ted": {}, "stranger": {}} {
			ids := []string{}
			require.NoError(t, db.WithContext(as(who)).Model(&Customer{}).Order("id").Pluck("id", &ids).Error)
			require.Equal(t, want, ids, who)
		}
		var invoices []Invoice
		require.NoError(t, db.WithContext(as("ann")).Find(&invoices).Error)
		require.Len(t, invoices, 1)
		var users []User
		require.NoError(t, db.WithContext(as("ted")).Order("id").Find(&users).Error)
		require.Len(t, users, 3, "everybody but root")
		views, err := a.View(as("ted"), users)
		require.NoError(t, err)
		require.Equal(t, "Ann", views[0].Text("name").Text)
		require.Equal(t, "138****0001", views[0].Text("phone").Text)
		roles, err := a.RolesOf(as("vic"))
		require.NoError(t, err)
		require.Equal(t, []string{"manager", "view_hidden"}, roles)
		require.NoError(t, a.MustCover(t.Context(), db.DB))
	})
}
