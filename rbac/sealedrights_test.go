package rbac_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// Vault is a table with a sealed field and its blind index, as package privacy declares them.
type Vault struct {
	ID        string `gorm:"primaryKey;size:36"`
	Owner     string `gorm:"size:36"`
	Phone     sealed `gorm:"size:64"`
	PhoneHash string `gorm:"size:64" privacy:"of=Phone,norm=phone"`
	Nick      string `gorm:"size:64"`
}

// Ticket belongs to a Vault.
type Ticket struct {
	ID      string `gorm:"primaryKey;size:36"`
	VaultID string `gorm:"size:36"`
	Vault   *Vault
}

func vaultAuthorizer(t *testing.T, db testdb.DB) (*rbac.Authorizer, func(rules ...rbac.FieldRule)) {
	require.NoError(t, db.AutoMigrate(&Vault{}, &Ticket{}))
	require.NoError(t, db.Create([]Vault{{ID: "1", Owner: "ann", PhoneHash: "h1"}, {ID: "2", Owner: "bob", PhoneHash: "h2"}}).Error)
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Vault{}}}, Policies: rbac.NewMemory(rbac.Policy{})})
	require.NoError(t, err)
	return a, func(rules ...rbac.FieldRule) {
		for i := range rules {
			rules[i].Role, rules[i].Resource = rbac.Everyone, "vault"
		}
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
			p.Rules = []rbac.Rule{{ID: "all", Role: rbac.Everyone, Resource: "vault", Actions: []string{"read", "update", "delete"}, When: "row.owner != 'nobody'"}}
			p.Fields = rules
			return nil
		}))
	}
}

// TestBlindIndexCarriesTheRightOfItsField, whatever the rules say of the index column itself; and it has no
// order.
func TestBlindIndexCarriesTheRightOfItsField(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		a, policy := vaultAuthorizer(t, db)
		require.NoError(t, db.Use(a))
		ann := db.WithContext(as("ann"))
		find := func(tx *gorm.DB) error { return tx.Find(&[]Vault{}).Error }
		everything := rbac.FieldRule{Field: "*", Level: masking.Full}

		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Partial}, rbac.FieldRule{Field: "phone_hash", Level: masking.Full})
		err := find(ann.Where("phone_hash IN ?", []string{"h1"}))
		require.ErrorContains(t, err, "the caller may not find rows by vault.phone_hash: leave it out, or give a role of the caller rbac.Match")
		require.ErrorContains(t, find(ann.Where("phone IS NULL")), "may not find rows by vault.phone")
		require.NoError(t, find(ann), "the list of all columns holds it")

		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Partial, Rights: rbac.Match})
		require.NoError(t, find(ann.Where("phone_hash = ?", "h1")))
		require.NoError(t, find(ann.Where(clause.IN{Column: "phone_hash", Values: []any{"h1", "h2"}})))
		require.NoError(t, find(ann.Where("phone IS NULL")))
		require.ErrorContains(t, ann.Model(&Vault{}).Select("count(*)").Group("phone_hash").Find(&[]map[string]any{}).Error, "may not group or aggregate by vault.phone_hash")

		for _, level := range []masking.Level{masking.Partial, masking.Full} {
			policy(everything, rbac.FieldRule{Field: "phone", Level: level, Rights: rbac.Match | rbac.Aggregate})
			if level == masking.Full {
				policy(everything)
			}
			for _, use := range []func(*gorm.DB) *gorm.DB{
				func(db *gorm.DB) *gorm.DB { return db.Order("phone_hash") },
				func(db *gorm.DB) *gorm.DB { return db.Where("phone_hash > ?", "h") },
				func(db *gorm.DB) *gorm.DB { return db.Where("phone_hash LIKE ?", "h%") },
				func(db *gorm.DB) *gorm.DB { return db.Distinct("phone_hash") },
			} {
				require.ErrorContains(t, find(use(ann)), "the column phone_hash of vault is a blind index, which has no order: match by phone instead")
			}
			require.NoError(t, ann.Model(&Vault{}).Select("count(DISTINCT phone_hash)").Find(&[]map[string]any{}).Error)
		}
		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Hidden})
		require.ErrorContains(t, find(ann.Where("phone_hash = ?", "h1")), "the column phone_hash of vault is hidden from the caller")
		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Hidden, Rights: rbac.Match})
		require.NoError(t, find(ann.Where("phone_hash = ?", "h1")), "found by, never seen")
		require.ErrorContains(t, ann.Model(&Vault{}).Select("phone").Find(&[]Vault{}).Error, "the column phone of vault is hidden from the caller")
	})
}

// TestSearchThatLeavesNoTrace: privacy answers some searches itself and leaves the statement with primary
// keys. The right is asked for all the same.
func TestSearchThatLeavesNoTrace(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	a, policy := vaultAuthorizer(t, db)
	answer := func(db *gorm.DB) {
		if db.Statement.Table == "tickets" {
			for i := range db.Statement.Joins {
				db.Statement.Joins[i].On = nil
			}
		}
		if _, asked := db.Statement.Clauses["WHERE"]; asked {
			db.Statement.Clauses["WHERE"] = clause.Clause{Name: "WHERE", Expression: clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 1"}}}}
		}
	}
	cb := db.Callback()
	require.NoError(t, cb.Query().Before("gorm:query").Register("confide:privacy:query", answer))
	require.NoError(t, cb.Row().Before("gorm:row").Register("confide:privacy:row", answer))
	require.NoError(t, cb.Update().Before("gorm:update").Register("confide:privacy:update", answer))
	require.NoError(t, cb.Delete().Before("gorm:delete").Register("confide:privacy:delete", answer))
	require.NoError(t, db.Use(a))
	ann := db.WithContext(as("ann"))
	new := db.Session(&gorm.Session{NewDB: true})
	searches := map[string]func() error{
		"text": func() error { return ann.Where("phone = ?", "x").Find(&[]Vault{}).Error },
		"in text": func() error {
			return ann.Where("owner = ? AND (1 = 0 OR vaults.phone LIKE ?)", "x", "x").Find(&[]Vault{}).Error
		},
		"struct": func() error { return ann.Where(&Vault{Phone: "x"}).Find(&[]Vault{}).Error },
		"map":    func() error { return ann.Where(map[string]any{"phone": "x"}).Find(&[]Vault{}).Error },
		"not":    func() error { return ann.Not(map[string]any{"phone": "x"}).Find(&[]Vault{}).Error },
		"or":     func() error { return ann.Where("1 = 0").Or("phone = ?", "x").Find(&[]Vault{}).Error },
		"group": func() error {
			return ann.Where(new.Where("1 = 0").Or(new.Where("phone = ?", "x"))).Find(&[]Vault{}).Error
		},
		"clause": func() error { return ann.Where(clause.IN{Column: "phone", Values: []any{"x"}}).Find(&[]Vault{}).Error },
		"like": func() error {
			return ann.Where(clause.Like{Column: clause.Column{Table: "vaults", Name: "phone"}, Value: "x"}).Find(&[]Vault{}).Error
		},
		"named":  func() error { return ann.Where("phone = @p", map[string]any{"p": "x"}).Find(&[]Vault{}).Error },
		"column": func() error { return ann.Where("? = ?", clause.Column{Name: "phone"}, "x").Find(&[]Vault{}).Error },
		"quoted": func() error { return ann.Where("`vaults`.`phone` = ?", "x").Find(&[]Vault{}).Error },
		"alias":  func() error { return ann.Table("vaults AS v").Where("v.phone = ?", "x").Find(&[]Vault{}).Error },
		"count":  func() error { var n int64; return ann.Model(&Vault{}).Where("phone = ?", "x").Count(&n).Error },
		"rows":   func() error { _, err := scannedRows(ann.Model(&Vault{}).Where("phone = ?", "x")); return err },
		"update": func() error { return ann.Model(&Vault{}).Where("phone = ?", "x").Update("nick", "y").Error },
		"delete": func() (err error) {
			_ = db.Transaction(func(tx *gorm.DB) error {
				err = tx.WithContext(as("ann")).Where("phone = ?", "x").Delete(&Vault{}).Error
				return errRollback
			})
			return err
		},
		"join's ON": func() error {
			return ann.Joins("Vault", new.Where(clause.Eq{Column: clause.Column{Table: "Vault", Name: "phone"}, Value: "x"})).Find(&[]Ticket{}).Error
		},
		"beside a join": func() error {
			return ann.Joins("Vault").Where(clause.Eq{Column: clause.Column{Table: "Vault", Name: "phone"}, Value: "x"}).Find(&[]Ticket{}).Error
		},
	}
	everything := rbac.FieldRule{Field: "*", Level: masking.Full}
	for name, search := range searches {
		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Partial})
		require.ErrorContains(t, search(), "may not find rows by vault.phone", name)
		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Hidden})
		require.ErrorContains(t, search(), "the column phone of vault is hidden", name)
		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Partial, Rights: rbac.Match, When: "row.owner == caller.id"})
		require.ErrorContains(t, search(), "on some rows only", name)
		policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Partial, Rights: rbac.Match})
		require.NoError(t, search(), name)
	}
	policy(everything, rbac.FieldRule{Field: "phone", Level: masking.Partial, Rights: rbac.Match, When: "row.owner == caller.id"})
	var found []Vault
	require.NoError(t, db.WithContext(rbac.Narrow(as("ann"), rbac.Match, "vault.phone")).Where("phone = ?", "x").Find(&found).Error)
	require.Len(t, found, 1)
	require.Equal(t, "1", found[0].ID)
	require.NoError(t, db.WithContext(rbac.System(t.Context(), "test")).Where("phone = ?", "x").Find(&found).Error)
}
