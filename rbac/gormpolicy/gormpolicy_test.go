package gormpolicy_test

import (
	"errors"
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
		require.EqualError(t, err, `gormpolicy: rule "Z,1" in confide_policy_rules is damaged: restore the row`)
		require.NoError(t, db.Exec("UPDATE confide_policy_rules SET body = '{}' WHERE seq = 1").Error)
		require.NoError(t, db.Exec("UPDATE confide_policy_fields SET body = '[' WHERE seq = 0").Error)
		_, err = s.Load(t.Context())
		require.EqualError(t, err, `gormpolicy: row 0 in confide_policy_fields is damaged: restore the row`)
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
