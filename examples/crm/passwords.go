package main

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// passwords seals the hashes of passwords, each bound to its user: whoever can
// write to the database, but has not the key, cannot put a hash of their own in
// somebody's row and sign in as that person.
type passwords struct{ kek tink.AEADWithContext }

func (passwords) context(user string) []byte { return []byte("confide crm password v1\x00" + user) }

// Seal returns what is stored for a hash; "" stays "", which lets nobody in.
func (p passwords) Seal(ctx context.Context, user, hash string) (string, error) {
	if hash == "" {
		return "", nil
	}
	sealed, err := p.kek.EncryptWithContext(ctx, []byte(hash), p.context(user))
	if err != nil {
		return "", fmt.Errorf("seal the password of user %s: %w", user, err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// Open returns the hash, and "" for one that was not sealed for this user.
func (p passwords) Open(ctx context.Context, user, stored string) string {
	sealed, err := base64.StdEncoding.DecodeString(stored)
	if err != nil {
		return ""
	}
	hash, err := p.kek.DecryptWithContext(ctx, sealed, p.context(user))
	if err != nil {
		return ""
	}
	return string(hash)
}
