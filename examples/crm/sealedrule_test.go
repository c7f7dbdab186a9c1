package main

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/insecurekey"
	"github.com/confide-go/confide/rbac"
)

// Contact is a row that its own person may see, by the number the person signed in with.
type Contact struct {
	ID         string         `gorm:"primaryKey;size:36"`
	TenantID   string         `gorm:"size:36;not null" privacy:"tenant"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
	Note       string         `gorm:"size:64"`
}

type callerOf struct{}

func callerIn(ctx context.Context) (rbac.Caller, error) {
	c, _ := ctx.Value(callerOf{}).(rbac.Caller)
	return c, nil
}

// contacts is a vault and an authorizer over one database. The authorizer comes first, for the vault asks it.
type contacts struct {
	*privacy.Vault
	authz *rbac.Authorizer
	db    *gorm.DB
}

var _ rbac.Indexer = (*privacy.Vault)(nil)

func openContacts(t *testing.T, db testdb.DB) *contacts {
	c := &contacts{db: db.DB}
	var err error
	c.authz, err = rbac.Open(t.Context(), rbac.Config{
		Caller: callerIn, Record: rbac.Discard, Index: c, Attrs: map[string]any{"phone": ""}, Resources: []rbac.Resource{{Model: &Contact{}, Tenant: "tenant_id"}},
		Policies: rbac.NewMemory(rbac.Policy{
			Rules:  []rbac.Rule{{ID: "own", Role: rbac.Everyone, Resource: "contact", Actions: []string{"read", "create", "update", "delete"}, When: "row.phone == caller.phone"}},
			Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "contact", Field: "*", Level: masking.Full}},
		}),
	})
	require.NoError(t, err)
	kek, err := insecurekey.New()
	require.NoError(t, err)
	c.Vault, err = privacy.Open(t.Context(), privacy.Config{KEK: kek, Gate: c.authz, Record: privacy.Discard, Region: "CN",
		Tenant: func(ctx context.Context) (string, error) { w, _ := callerIn(ctx); return w.Tenant, nil }})
	require.NoError(t, err)
	require.NoError(t, db.Use(c.Vault))
	require.NoError(t, db.Use(c.authz))
	require.NoError(t, c.Migrate(rbac.System(t.Context(), "migrate"), db.DB, &Contact{}))
	return c
}

// TestVaultFitsTheAuthorizer: a rule on a sealed column holds in lists, in Check and in writes, from one key
// of the index to the next, and ends with the person.
func TestVaultFitsTheAuthorizer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c := openContacts(t, db)
		caller := func(tenant, phone string) context.Context {
			return context.WithValue(t.Context(), callerOf{}, rbac.Caller{ID: "ann", Tenant: tenant, Attrs: map[string]any{"phone": phone}})
		}
		ann, bob, abroad := caller("t1", "+86 138 0013 8000"), caller("t1", "13900139000"), caller("t2", "13800138000")
		create := func(ctx context.Context, id, tenant, phone string) error {
			return c.db.WithContext(ctx).Create(&Contact{ID: id, TenantID: tenant, Phone: privacy.New(phone)}).Error
		}
		require.NoError(t, create(ann, "1", "t1", "13800138000"))
		require.NoError(t, create(bob, "2", "t1", "139-0013-9000"))
		require.NoError(t, create(abroad, "3", "t2", "13800138000"))
		err := create(ann, "4", "t1", "13900139000")
		require.ErrorIs(t, err, rbac.ErrDenied, "somebody else's number")
		require.NotContains(t, err.Error(), "9000")

		var all []Contact
		for _, ctx := range []context.Context{ann, bob, abroad} {
			var some []Contact
			require.NoError(t, c.db.WithContext(ctx).Order("id").Find(&some).Error)
			all = append(all, some...)
		}
		require.Len(t, all, 3)
		see := func(ctx context.Context) []string {
			ids, checked := []string{}, []string{}
			require.NoError(t, c.db.WithContext(ctx).Model(&Contact{}).Order("id").Pluck("id", &ids).Error)
			for i := range all {
				if err := c.authz.Check(ctx, "read", &all[i]); err == nil {
					checked = append(checked, all[i].ID)
				} else {
					require.ErrorIs(t, err, rbac.ErrDenied)
				}
			}
			require.Equal(t, ids, checked)
			return ids
		}
		everybody := func() [][]string {
			return [][]string{see(ann), see(bob), see(abroad), see(caller("t1", "13700137000")), see(caller("t1", "")), see(caller("t3", "13800138000"))}
		}
		want := [][]string{{"1"}, {"2"}, {"3"}, {}, {}, {}}
		require.Equal(t, want, everybody())

		// The new number is somebody else's: the row would leave ann's reach.
		row := all[0] // GORM leaves the refused values in it
		err = c.db.WithContext(ann).Model(&row).Update("phone", privacy.New("13900139000")).Error
		require.ErrorIs(t, err, rbac.ErrDenied)
		require.NotContains(t, err.Error(), "9000")
		require.NoError(t, c.db.WithContext(ann).Model(&all[0]).Update("note", "mine").Error)
		require.EqualValues(t, 0, c.db.WithContext(ann).Where("id = ?", "2").Delete(&Contact{}).RowsAffected)
		require.Equal(t, want, everybody())

		// Rows indexed under the old key and the new one.
		operator := func(tenant string) context.Context {
			return context.WithValue(rbac.System(t.Context(), "rotate"), callerOf{}, rbac.Caller{ID: "op", Tenant: tenant})
		}
		_, err = c.Rotate(operator("t1"), c.db, privacy.IndexKey, privacy.RotateOptions{})
		require.NoError(t, err)
		require.NoError(t, create(ann, "5", "t1", "13800138000"))
		ids := []string{}
		require.NoError(t, c.db.WithContext(ann).Model(&Contact{}).Order("id").Pluck("id", &ids).Error)
		require.Equal(t, []string{"1", "5"}, ids)

		// An erased person is nobody's.
		_, err = c.Erase(operator("t1"), c.db, "contact:2")
		require.NoError(t, err)
		require.NoError(t, c.db.WithContext(operator("t1")).Order("id").Find(&all).Error)
		require.True(t, slices.ContainsFunc(all, func(x Contact) bool { return x.ID == "2" && len(x.PhoneIndex) == 0 }))
		require.Empty(t, see(bob))
		require.Equal(t, []string{"1", "5"}, see(ann))
	})
}
