package backup

import (
	"context"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// Epochs are key encryption keys that live for a time and are then destroyed,
// and with each of them every snapshot that was sealed under it, also on stores
// that cannot delete. Package keyepoch keeps them in a folder.
type Epochs interface {
	// Current returns the epoch under which to seal at this time.
	Current(ctx context.Context, now time.Time) (Epoch, error)
	// Open returns the key of an epoch; fs.ErrNotExist when it was destroyed.
	Open(ctx context.Context, id string) (tink.AEADWithContext, error)
	// Destroy removes the key of an epoch for ever; a destroyed one is no error.
	Destroy(ctx context.Context, id string) error
}

// An Expirer is Epochs that know which of their keys are due to be destroyed. A
// repository knows that only of epochs under which something in its store is sealed;
// of what was pruned, copies of the store may still have it.
type Expirer interface {
	// Expired returns the epochs whose keys were to be destroyed by now and are not.
	Expired(ctx context.Context, now time.Time) ([]string, error)
}

// An Epoch is one key encryption key and the time by which it is destroyed.
type Epoch struct {
	ID      string
	Key     tink.AEADWithContext
	Expires time.Time
}
