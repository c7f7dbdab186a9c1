package backuptest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// NewKEK returns a key encryption key that lives as long as the test.
func NewKEK(t testing.TB) tink.AEADWithContext {
	t.Helper()
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	local, err := aead.New(handle)
	require.NoError(t, err)
	return kek{local}
}

type kek struct{ local tink.AEAD }

func (k kek) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return k.local.Encrypt(plaintext, associatedData)
}

func (k kek) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return k.local.Decrypt(ciphertext, associatedData)
}
