// Package envkey takes a key-encryption key from an environment variable: for containers whose platform
// hands secrets out that way.
//
//	kek, err := envkey.Open("CRM_KEK")
//
// The variable holds a binary Tink AES-256-GCM keyset in standard base64, as New makes it. Everybody who can
// read the process's environment (its children, its user, crash reports) has the key: a key file or a key
// management service is better where there is one. No error shows the variable's value.
package envkey

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

var (
	// ErrMissing comes from Open when the variable is not set or empty.
	ErrMissing = errors.New("envkey: not set")
	// ErrGarbled comes from Open when the variable holds something else than a whole keyset.
	ErrGarbled = errors.New("envkey: garbled")
)

// New returns the value of the variable for a new random key. It is the key: print it into a secret store
// and nowhere else.
func New() (string, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", fmt.Errorf("envkey: new key: %w", err)
	}
	var raw bytes.Buffer
	if err := insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&raw)); err != nil {
		return "", fmt.Errorf("envkey: new key: %w", err)
	}
	defer clear(raw.Bytes())
	return base64.StdEncoding.EncodeToString(raw.Bytes()), nil
}

// Open returns the key in the variable of this name. It leaves the variable set; a program that starts others
// may want to os.Unsetenv it.
func Open(name string) (tink.AEADWithContext, error) {
	value := os.Getenv(name)
	if value == "" {
		return nil, fmt.Errorf("%w: variable %s; set it to what envkey.New made", ErrMissing, name)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("%w: variable %s is not standard base64; set it to what envkey.New made, whole and without quotes", ErrGarbled, name)
	}
	defer clear(raw)
	h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, fmt.Errorf("%w: variable %s holds no whole Tink keyset; restore it from where you keep its copy", ErrGarbled, name)
	}
	if err := check(h); err != nil {
		return nil, fmt.Errorf("%w: variable %s: %w", ErrGarbled, name, err)
	}
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("%w: variable %s holds a keyset of another kind", ErrGarbled, name)
	}
	return key{a}, nil
}

// check refuses keys that are shorter than those that New makes.
func check(h *keyset.Handle) error {
	for i := range h.Len() {
		e, err := h.Entry(i)
		if err != nil {
			return errors.New("a key cannot be read")
		}
		k, ok := e.Key().(*aesgcm.Key)
		if !ok {
			return errors.New("holds a keyset of another kind than AES-256-GCM")
		}
		if p, ok := k.Parameters().(*aesgcm.Parameters); !ok || p.KeySizeInBytes() != 32 {
			return errors.New("holds a key shorter than 256 bits")
		}
	}
	return nil
}

type key struct{ aead tink.AEAD }

func (k key) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return k.aead.Encrypt(plaintext, associatedData)
}

func (k key) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return k.aead.Decrypt(ciphertext, associatedData)
}
