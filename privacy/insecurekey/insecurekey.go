// Package insecurekey makes key-encryption keys that live in memory and are gone when the process ends.
//
// They are for tests and demonstrations: what was sealed under one can never be opened by another process.
// Use privacy/keyfile for a key on disk, or a key management service.
package insecurekey

import (
	"context"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// New returns a random key.
func New() (tink.AEADWithContext, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("insecurekey: %w", err)
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("insecurekey: %w", err)
	}
	return key{a}, nil
}

type key struct{ aead tink.AEAD }

func (k key) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return k.aead.Encrypt(plaintext, associatedData)
}

func (k key) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return k.aead.Decrypt(ciphertext, associatedData)
}
