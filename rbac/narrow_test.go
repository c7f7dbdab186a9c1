package rbac_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// ownInFull is a manager's view: the phone numbers of her own customers in full, of her people's in part.
func ownInFull(t *testing.T, a *rbac.Authorizer, mine rbac.FieldRule) {
	mine.Role, mine.Resource, mine.Field = "manager", "customer", "phone"
	require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
		p.Fields = append(p.Fields, mine, rbac.FieldRule{Role: "manager", Resource: "customer", Field: "phone", Level: masking.Partial})
		return nil
	}))
}

// TestRightsThatDependOnTheRow: who sees a field in full on some rows cannot use it over the others.
func TestRightsThatDependOnTheRow(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, free, _ := openCRM(t, db)
		require.NoError(t, free.Omit("Owner").Create(&Customer{ID: "m", TenantID: "t1", OwnerID: "mia", Email: "m", Phone: "13600000000"}).Error)
		ownInFull(t, a, rbac.FieldRule{Level: masking.Full, When: "row.owner_id == caller.id"})
		find := func(narrow rbac.Right, f func(*gorm.DB) *gorm.DB) ([]string, error) {
			ctx := as("mia")
			if narrow != 0 {
				ctx = rbac.Narrow(ctx, narrow, "customer.phone")
			}
			return ids(f(db.WithContext(ctx)))
		}
		byPhone := func(db *gorm.DB) *gorm.DB { return db.Where("phone = ?", "13600000000") }
		sorted := func(db *gorm.DB) *gorm.DB { return db.Order("phone") }
		_, err := find(0, byPhone)
		require.EqualError(t, err, `rbac: statement refused: the caller may find rows by customer.phone on some rows only: keep the statement to them by rbac.Narrow(ctx, rbac.Match, "customer.phone") (policy version 2)`)
		_, err = find(0, sorted)
		require.ErrorContains(t, err, `keep the statement to them by rbac.Narrow(ctx, rbac.Sort, "customer.phone")`)
		_, err = find(0, func(db *gorm.DB) *gorm.DB { return byPhone(db.Where("owner_id = ?", "mia")) })
		require.ErrorIs(t, err, rbac.ErrRefused, "a condition of the statement's own proves nothing")

		got, err := find(rbac.Match, byPhone)
		require.NoError(t, err)
		require.Equal(t, []string{"m"}, got)
		got, err = find(rbac.Match|rbac.Sort, func(db *gorm.DB) *gorm.DB { return sorted(db.Where("phone <> ? OR 1 = 1", "x")) })
		require.NoError(t, err)
		require.Equal(t, []string{"m"}, got, "the others are not there, whatever the condition says")
		_, err = find(rbac.Match, func(db *gorm.DB) *gorm.DB { return db.Where("upper(phone) = ?", "x") })
		require.NoError(t, err, "the same rule gives all rights, so the rows are the same")

		// Writes that choose by the field are kept to the rows as well.
		ctx := rbac.Narrow(as("mia"), rbac.Match, "customer.phone")
		done := db.WithContext(ctx).Model(&Customer{}).Where("phone <> ?", "x").Update("name", "chosen")
		require.NoError(t, done.Error)
		require.EqualValues(t, 1, done.RowsAffected)
		var named int64
		require.NoError(t, free.Model(&Customer{}).Where("name = 'chosen'").Count(&named).Error)
		require.EqualValues(t, 1, named)

		// A Narrow to nothing finds nothing, and it never widens.
		got, err = ids(db.WithContext(rbac.Narrow(as("ann"), rbac.Match, "customer.phone")))
		require.NoError(t, err)
		require.Empty(t, got)
		got, err = ids(db.WithContext(rbac.Narrow(as("ann"), rbac.Match, "customer.name", "invoice.cents")))
		require.NoError(t, err)
		require.Equal(t, []string{"1", "2"}, got)
		require.EqualError(t, db.WithContext(rbac.Narrow(as("ann"), rbac.Match, "customer.nope")).Find(&[]Customer{}).Error,
			`rbac: Narrow(ctx, match, "customer.nope"): name rights and a field of customer, which has id, tenant_id, owner_id, email, name, phone, secret, hidden`)

		// A join is kept to them too.
		var notes []Note
		join := db.WithContext(ctx).Joins("Customer").Where("phone <> ?", "x").Order("notes.id")
		require.NoError(t, join.Find(&notes).Error)
		for _, n := range notes {
			require.Nil(t, n.Customer, "note %s is of a customer whose number she sees in part", n.ID)
		}
	})
}

// Where the caller's own scope already is the rows on which the right holds, nothing has to be narrowed.
func TestScopeThatImpliesTheRight(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, _, _ := openCRM(t, db)
		try := func(when string) error {
			withPhone(t, a, rbac.FieldRule{Level: masking.Partial, Rights: rbac.Match | rbac.Sort, When: when})
			return db.WithContext(as("ann")).Where("phone = ?", "x").Order("phone").Find(&[]Customer{}).Error
		}
		for _, when := range []string{"", "row.owner_id == caller.id", "caller.id == 'ann'", "row.tenant_id == caller.tenant", "row.owner_id == caller.id || row.hidden",
			"row.owner_id == caller.id && row.tenant_id == caller.tenant", "row.owner_id == 'ann'", "!row.hidden"} {
			require.NoError(t, try(when), when)
		}
		for _, when := range []string{"row.owner_id == 'bob'", "row.hidden", "row.owner_id == caller.id && row.email == 'a@1'", "caller.id == 'bob'", "row.owner_id != caller.id",
			"!(row.owner_id == caller.id)", "row.email == caller.id", "row.owner_id in caller.reports"} {
			require.ErrorIs(t, try(when), rbac.ErrRefused, when)
		}
		// Two ways to reach a row: both must imply the right.
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
			p.Rules = append(p.Rules, rbac.Rule{ID: "more", Role: "sales", Resource: "customer", Actions: []string{"read"}, When: "row.email == 'b@4'"})
			return nil
		}))
		require.ErrorIs(t, try("row.owner_id == caller.id"), rbac.ErrRefused)
		require.NoError(t, try("row.owner_id == caller.id || row.email == 'b@4'"))
		// The scope of an update is not that of a read.
		withPhone(t, a, rbac.FieldRule{Level: masking.Partial, Rights: rbac.Match, When: "row.owner_id == caller.id"})
		require.NoError(t, db.WithContext(as("ann")).Model(&Customer{}).Where("phone = ?", "x").Update("name", "x").Error)
	})
}
