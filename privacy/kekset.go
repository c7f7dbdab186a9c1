package privacy

import (
	"context"
	"errors"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// A kekSet wraps with one KEK and unwraps with several. Each is tried with the same associated data, so
// more KEKs do not make more boxes pass for another.
type kekSet struct {
	main  tink.AEADWithContext
	other []tink.AEADWithContext
}

func (s kekSet) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return s.main.EncryptWithContext(ctx, plaintext, associatedData)
}

func (s kekSet) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	text, err := s.main.DecryptWithContext(ctx, ciphertext, associatedData)
	failed := err
	for _, k := range s.other {
		if err == nil {
			return text, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if text, err = k.DecryptWithContext(ctx, ciphertext, associatedData); err != nil {
			failed = errors.Join(failed, err)
		}
	}
	if err != nil {
		return nil, failed
	}
	return text, nil
}
