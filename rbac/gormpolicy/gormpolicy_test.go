package gormpolicy_test

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/gormpolicy"
	"github.com/confide-go/confide/rbac/rbactest"
)

func TestConformance(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			rbactest.TestPolicyStore(t, func(t *testing.T) rbac.PolicyStore {
				s, err := gormpolicy.Open(t.Context(), testdb.New(t, engine).DB)
				require.NoError(t, err)
				return s
			})
		})
	}
}

func TestMemoryConformance(t *testing.T) {
	rbactest.TestPolicyStore(t, func(*testing.T) rbac.PolicyStore { return rbac.NewMemory(rbac.Policy{}) })
}

// A rolled-back business transaction takes the policy change with it (casbin keeps it in memory).
func TestChangeRollsBackWithItsTransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		boom := errors.New("the business failed")
		err = db.Transaction(func(tx *gorm.DB) error {
			v, err := s.Save(rbac.WithTx(t.Context(), tx), rbactest.Sample())
			require.NoError(t, err)
			require.EqualValues(t, 1, v)
			return boom
		})
		require.ErrorIs(t, err, boom)
		p, err := s.Load(t.Context())
		require.NoError(t, err)
		require.Zero(t, p.Version)
		require.Empty(t, p.Rules)
	})
}

// A row that somebody damaged stops the load with its name; it does not load as a weaker policy.
func TestDamagedRowIsNamed(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		_, err = s.Save(t.Context(), rbactest.Sample())
		require.NoError(t, err)
		require.NoError(t, db.Exec("UPDATE confide_policy_rules SET body = '{' WHERE seq = 1").Error)
		_, err = s.Load(t.Context())
		require.EqualError(t, err, `gormpolicy: rule "Z,1" in confide_policy_rules is damaged or of a newer version: restore the row, or update the program`)
		require.NoError(t, db.Exec("UPDATE confide_policy_rules SET body = '{\"v\":2}' WHERE seq = 1").Error)
		_, err = s.Load(t.Context())
		require.ErrorContains(t, err, `rule "Z,1"`)
		// Needs that an old program would overlook, and a new body without them.
		for _, body := range []string{`{"v":1,"needs":["reason"]}`, `{"v":2}`, `{"v":2,"needs":[]}`, `{"v":3,"needs":["reason"]}`} {
			require.NoError(t, db.Exec("UPDATE confide_policy_rules SET body = ? WHERE seq = 1", body).Error)
			_, err = s.Load(t.Context())
			require.ErrorContains(t, err, `rule "Z,1"`, body)
		}
		require.NoError(t, db.Exec("UPDATE confide_policy_rules SET body = '{\"v\":1}' WHERE seq = 1").Error)
		require.NoError(t, db.Exec("UPDATE confide_policy_fields SET body = '[' WHERE seq = 0").Error)
		_, err = s.Load(t.Context())
		require.EqualError(t, err, `gormpolicy: row 0 in confide_policy_fields is damaged or of a newer version: restore the row, or update the program`)
	})
}

func TestOpenTwiceAndErrors(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		_, err = s.Save(t.Context(), rbactest.Sample())
		require.NoError(t, err)
		again, err := gormpolicy.Open(t.Context(), db.Reopen(t).DB)
		require.NoError(t, err)
		v, err := again.Version(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, v)

		require.NoError(t, db.Exec("DROP TABLE confide_policy_version").Error)
		_, err = s.Load(t.Context())
		require.ErrorContains(t, err, "gormpolicy: read version: ")
	})
}

// The stored form is frozen: every row of testdata/vectors.json must go on loading as it does.
func TestStoredForm(t *testing.T) {
	data, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var vectors struct {
		Rules []struct {
			ID, Body string
			Rule     rbac.Rule
		}
		Fields []struct {
			Body  string
			Field rbac.FieldRule
		}
	}
	require.NoError(t, json.Unmarshal(data, &vectors))
	require.NotEmpty(t, vectors.Rules)
	require.NotEmpty(t, vectors.Fields)
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		s, err := gormpolicy.Open(t.Context(), db.DB)
		require.NoError(t, err)
		for i, v := range vectors.Rules {
			require.NoError(t, db.Exec("INSERT INTO confide_policy_rules (id, seq, body) VALUES (?, ?, ?)", v.ID, i, v.Body).Error)
		}
		for i, v := range vectors.Fields {
			require.NoError(t, db.Exec("INSERT INTO confide_policy_fields (seq, body) VALUES (?, ?)", i, v.Body).Error)
		}
		p, err := s.Load(t.Context())
		require.NoError(t, err)
		for i, v := range vectors.Rules {
			require.Equal(t, v.Rule, p.Rules[i])
		}
		for i, v := range vectors.Fields {
			require.Equal(t, v.Field, p.Fields[i])
		}
		other := testdb.New(t, db.Engine)
		s, err = gormpolicy.Open(t.Context(), other.DB)
		require.NoError(t, err)
		p.Version = 0
		_, err = s.Save(t.Context(), p)
		require.NoError(t, err)
		var bodies []string
		require.NoError(t, other.Table("confide_policy_rules").Order("seq").Pluck("body", &bodies).Error)
		for i, v := range vectors.Rules {
			require.Equal(t, v.Body, bodies[i])
		}
		require.NoError(t, other.Table("confide_policy_fields").Order("seq").Pluck("body", &bodies).Error)
		for i, v := range vectors.Fields {
			require.Equal(t, v.Body, bodies[i])
		}
	})
}
