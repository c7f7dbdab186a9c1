package gormpolicy_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/gormpolicy"
)

// guardedLead is a table that the policies of these tests are about.
type guardedLead struct {
	ID    string `gorm:"primaryKey;size:36"`
	Phone string `gorm:"size:64" mask:"phone"`
}

func (guardedLead) TableName() string { return "leads" }

// A database from before there were rights goes on working: its rules load as they are, at full with every
// right and below with none, and rights are given by an ordinary change.
func TestDatabaseFromBeforeRights(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		_, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		for seq, level := range []string{"full", "partial"} {
			require.NoError(t, db.Exec("INSERT INTO confide_policy_fields (seq, body) VALUES (?, ?)", seq,
				`{"v":1,"role":"*","resource":"lead","field":"`+[]string{"*", "phone"}[seq]+`","level":"`+level+`"}`).Error)
		}
		require.NoError(t, db.Exec("INSERT INTO confide_policy_rules (id, seq, body) VALUES (?, ?, ?)", "all", 0, `{"v":1,"role":"*","resource":"lead","actions":["read"]}`).Error)
		require.NoError(t, db.Exec("UPDATE confide_policy_version SET version = 7").Error)

		store, err := gormpolicy.Open(t.Context(), db.Reopen(t).DB)
		require.NoError(t, err)
		authz, err := rbac.Open(t.Context(), rbac.Config{Policies: store, Record: rbac.Discard, Resources: []rbac.Resource{{Model: &guardedLead{}, Name: "lead"}},
			Caller: func(context.Context) (rbac.Caller, error) { return rbac.Caller{ID: "ann"}, nil }})
		require.NoError(t, err)
		require.NoError(t, db.AutoMigrate(&guardedLead{}))
		guarded := db.Reopen(t).DB
		require.NoError(t, guarded.Use(authz))
		byPhone := func() error {
			return guarded.WithContext(t.Context()).Where("phone = ?", "1").Find(&[]guardedLead{}).Error
		}
		require.ErrorIs(t, byPhone(), rbac.ErrRefused)

		require.NoError(t, authz.Edit(t.Context(), func(p *rbac.Policy) error { p.Fields[1].Rights = rbac.Match | rbac.Export; return nil }))
		require.NoError(t, byPhone())
		var bodies []string
		require.NoError(t, db.Table("confide_policy_fields").Order("seq").Pluck("body", &bodies).Error)
		require.Equal(t, []string{`{"v":1,"role":"*","resource":"lead","field":"*","level":"full"}`,
			`{"v":2,"role":"*","resource":"lead","field":"phone","level":"partial","rights":"match,export"}`}, bodies)
	})
}

// Rights that are not what was written are not read as fewer or more.
func TestDamagedRights(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		store, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		_, err = store.Save(t.Context(), rbac.Policy{Fields: []rbac.FieldRule{{Role: "*", Resource: "lead", Field: "*", Level: masking.Full}}})
		require.NoError(t, err)
		for _, tail := range []string{`"v":1,"rights":"match"`, `"v":2`, `"v":2,"rights":""`, `"v":2,"rights":"Match"`, `"v":2,"rights":"match,match"`, `"v":2,"rights":"match,"`,
			`"v":2,"rights":"all"`, `"v":2,"rights":1`, `"v":3,"rights":"match"`} {
			require.NoError(t, db.Exec("UPDATE confide_policy_fields SET body = ?", `{"role":"*","resource":"lead","field":"*","level":"full",`+tail+`}`).Error)
			_, err := store.Load(t.Context())
			require.EqualError(t, err, "gormpolicy: row 0 in confide_policy_fields is damaged or of a newer version: restore the row, or update the program", tail)
		}
	})
}
