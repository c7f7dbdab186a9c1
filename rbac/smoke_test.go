package rbac_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

type Customer struct {
	ID       string `gorm:"primaryKey;size:36"`
	TenantID string `gorm:"size:36;not null"`
	OwnerID  string `gorm:"size:36;index"`
	Name     string `mask:"name"`
	Phone    string `mask:"phone"`
	Hidden   bool   `gorm:"not null"`
	Invoices []Invoice
}

type Invoice struct {
	ID         string `gorm:"primaryKey;size:36"`
	TenantID   string `gorm:"size:36;not null"`
	CustomerID string `gorm:"size:36"`
	OwnerID    string `gorm:"size:36"`
	Cents      int64
	Customer   *Customer
}

type callerKey struct{}

func as(id string) context.Context {
	return context.WithValue(context.Background(), callerKey{}, rbac.Caller{ID: id, Tenant: "t1", Attrs: map[string]any{"reports": []string{"ann", "bob", "mia"}}})
}

func TestSmoke(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Customer{}, &Invoice{}))
		require.NoError(t, db.Create([]Customer{{ID: "1", TenantID: "t1", OwnerID: "ann", Name: "Ann's", Phone: "13812345678"}, {ID: "2", TenantID: "t1", OwnerID: "bob"}, {ID: "3", TenantID: "t2", OwnerID: "ann"}, {ID: "4", TenantID: "t1", OwnerID: "ann", Hidden: true}}).Error)
		p := rbac.Policy{
			Roles: []rbac.Role{{Name: "sales"}, {Name: "manager", Inherits: []string{"sales"}}, {Name: "it"}},
			Rules: []rbac.Rule{
				{ID: "own", Role: "sales", Resource: "customer", Actions: []string{"read", "update", "create", "delete", "reveal"}, When: "row.owner_id == caller.id"},
				{ID: "team", Role: "manager", Resource: "customer", Actions: []string{"read"}, When: "row.owner_id in caller.reports"},
				{ID: "nohidden", Role: rbac.Everyone, Resource: "customer", Effect: rbac.Deny, Actions: []string{"read", "update", "reveal"}, When: "row.hidden && !('viewer' in caller.roles)"},
			},
			Fields:      []rbac.FieldRule{{Role: "sales", Resource: "customer", Field: "*", Level: masking.Partial, Reveal: true}},
			Assignments: []rbac.Assignment{{Tenant: "t1", User: "ann", Role: "sales"}, {Tenant: "t1", User: "mia", Role: "manager"}, {Tenant: "t1", User: "ted", Role: "it"}},
		}
		a, err := rbac.Open(context.Background(), rbac.Config{
			Caller: func(ctx context.Context) (rbac.Caller, error) {
				c, _ := ctx.Value(callerKey{}).(rbac.Caller)
				return c, nil
			},
			Policies: rbac.NewMemory(p), Record: rbac.Discard,
			Resources: []rbac.Resource{{Model: &Customer{}, Tenant: "tenant_id"}, {Model: &Invoice{}, Tenant: "tenant_id"}},
			Attrs:     map[string]any{"reports": []string(nil)},
		})
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		var got []Customer
		require.NoError(t, db.WithContext(as("ann")).Order("id").Find(&got).Error)
		require.Len(t, got, 1)
		require.NoError(t, db.WithContext(as("mia")).Order("id").Find(&got).Error)
		require.Len(t, got, 2)
		require.NoError(t, db.WithContext(as("ted")).Order("id").Find(&got).Error)
		require.Len(t, got, 0)
		require.ErrorIs(t, db.Find(&got).Error, rbac.ErrNoCaller)
		require.NoError(t, a.MayReveal(as("ann"), "customer", []string{"1"}, []string{"phone"}))
		require.ErrorIs(t, a.MayReveal(as("ann"), "customer", []string{"1", "2"}, []string{"phone"}), rbac.ErrDenied)
		v, err := a.View(as("ann"), &Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Phone: "13812345678"})
		require.NoError(t, err)
		require.Equal(t, "138****5678", v[0].Text("phone").Text)
		x, err := a.Explain(as("ann"), "read", &Customer{ID: "2", TenantID: "t1", OwnerID: "bob"})
		require.NoError(t, err)
		t.Log(x.English)
		t.Log(x.Chinese)
		err = db.WithContext(as("ann")).Model(&Customer{}).Where("id = ?", "1").Update("owner_id", "bob").Error
		require.ErrorIs(t, err, rbac.ErrDenied)
		t.Log(err)
		require.NoError(t, db.WithContext(as("ann")).Model(&Customer{}).Where("id = ?", "1").Update("name", "x").Error)
		err = db.WithContext(as("ann")).Save(&Customer{ID: "2", TenantID: "t1", OwnerID: "ann"}).Error
		require.ErrorIs(t, err, rbac.ErrDenied)
		t.Log(err)
		require.NoError(t, db.WithContext(as("ann")).Save(&Customer{ID: "1", TenantID: "t1", OwnerID: "ann", Name: "again"}).Error)
		require.NoError(t, db.WithContext(as("ann")).Save(&Customer{ID: "9", TenantID: "t1", OwnerID: "ann", Name: "new"}).Error)
	})
}
