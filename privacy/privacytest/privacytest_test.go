package privacytest_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/insecurekey"
	"github.com/confide-go/confide/privacy/keyfile"
	"github.com/confide-go/confide/privacy/privacytest"
)

func TestMemoryFollowsTheRules(t *testing.T) {
	privacytest.TestKeyStore(t, func(*testing.T) (privacy.KeyStore, *gorm.DB) { return privacytest.NewMemory(), nil })
}

func TestMemoryFollowsTheRulesOfRotation(t *testing.T) {
	privacytest.TestKeyRotator(t, func(*testing.T) (privacy.KeyRotator, *gorm.DB) { return privacytest.NewMemory(), nil })
}

func TestTablesFollowTheRulesOfRotation(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			privacytest.TestKeyRotator(t, func(t *testing.T) (privacy.KeyRotator, *gorm.DB) {
				db := testdb.New(t, engine)
				kek, err := insecurekey.New()
				require.NoError(t, err)
				v, err := privacy.Open(t.Context(), privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard})
				require.NoError(t, err)
				require.NoError(t, db.Use(v))
				require.NoError(t, v.Migrate(t.Context(), db.DB))
				store, ok := privacy.TableKeys().(privacy.KeyRotator)
				require.True(t, ok)
				return store, db.DB.Session(&gorm.Session{NewDB: true, Initialized: true, Context: t.Context()})
			})
		})
	}
}

func TestTablesFollowTheRules(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			db := testdb.New(t, engine)
			kek, err := insecurekey.New()
			require.NoError(t, err)
			v, err := privacy.Open(t.Context(), privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard})
			require.NoError(t, err)
			require.NoError(t, db.Use(v))
			require.NoError(t, v.Migrate(t.Context(), db.DB))
			privacytest.TestKeyStore(t, func(t *testing.T) (privacy.KeyStore, *gorm.DB) {
				tx := db.DB.WithContext(context.Background()).Begin()
				require.NoError(t, tx.Error)
				t.Cleanup(func() { tx.Rollback() })
				return privacy.TableKeys(), tx
			})
		})
	}
}

func TestKEKsFollowTheRules(t *testing.T) {
	t.Run("insecurekey", func(t *testing.T) {
		kek, err := insecurekey.New()
		require.NoError(t, err)
		privacytest.TestKEK(t, kek)
	})
	t.Run("keyfile", func(t *testing.T) {
		kek, err := keyfile.Create(filepath.Join(t.TempDir(), "kek"), nil)
		require.NoError(t, err)
		privacytest.TestKEK(t, kek)
	})
}
