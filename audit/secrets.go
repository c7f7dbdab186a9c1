package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
)

// erasedAction is what Forget records. Its attribute destroyedKey counts the secrets, all
// that the person had, since a restored backup is told again who was forgotten;
// older releases, which deleted them without a trace, called it destroyedBefore.
const (
	erasedAction    = "subject.erased"
	destroyedKey    = "destroyed"
	destroyedBefore = "secrets"
)

// A Secret keys the commitments to the values of one row in one event. Whoever
// has it can check guesses, so it is destroyed when the person is forgotten.
type Secret struct {
	Log, Subject string
	Event        []byte
	Row          int // Change.Row
	Key          []byte
}

// A SecretStore is a Store that keeps the secrets of commitments. Config.Diff
// needs one; audittest.RunStore holds its rules.
type SecretStore interface {
	// Keep adds secrets, in the transaction that ctx carries.
	Keep(ctx context.Context, secrets []Secret) error

	// Secrets returns those of some events. One that was destroyed has no Key.
	Secrets(ctx context.Context, log string, events ...[]byte) ([]Secret, error)

	// Destroy overwrites the secrets of a subject, in the transaction that ctx
	// carries, and returns how many are destroyed now, counting those of events that
	// wait or are in the log, and those that were destroyed before. What they belonged
	// to stays, so that Verify can tell them from those that somebody took away.
	Destroy(ctx context.Context, log, subject string) (int64, error)

	// Destroyed lists what is left of destroyed secrets, ordered by log, event and
	// row, beginning behind after.
	Destroyed(ctx context.Context, after Secret, limit int) ([]Secret, error)
}

func keepsSecrets(s Store) bool {
	_, ok := s.(SecretStore)
	return ok
}

func (l *Log) secretStore() (SecretStore, error) {
	s, ok := l.cfg.Store.(SecretStore)
	if !ok {
		return nil, fmt.Errorf("%w: the store keeps no secrets of commitments; use one that is a SecretStore", ErrInvalid)
	}
	return s, nil
}

// Secrets returns what is left of the secrets of an event, by Change.Row. A row
// without one was forgotten: nobody can check a guess of its values any more.
func (l *Log) Secrets(ctx context.Context, e Event) (map[int][]byte, error) {
	store, err := l.secretStore()
	if err != nil {
		return nil, err
	}
	id, err := hex.DecodeString(e.ID)
	if err != nil || len(id) != idLength {
		return nil, fmt.Errorf("%w: the event has no id; give one that Events returned", ErrInvalid)
	}
	list, err := store.Secrets(ctx, e.Actor.Tenant, id)
	if err != nil {
		return nil, fmt.Errorf("audit: secrets of an event: %w", err)
	}
	byRow := make(map[int][]byte, len(list))
	for _, s := range list {
		if len(s.Key) > 0 {
			byRow[s.Row] = s.Key
		}
	}
	return byRow, nil
}

// Forget destroys the secrets of all commitments to values of a subject, in the
// log of the actor's tenant, and records the event subject.erased. Both are part of
// the transaction under WithTx, which must be the one that erases the person; call
// it there last, since changes recorded after it have secrets again. Every hash of
// the log stays valid; nobody can check a guess against the commitments any more.
// Further attributes go to the event.
func (l *Log) Forget(ctx context.Context, subject string, attrs ...slog.Attr) error {
	store, err := l.secretStore()
	if err != nil {
		return err
	}
	if subject == "" {
		return fmt.Errorf("%w: Forget got no subject", ErrInvalid)
	}
	if pool, ok := Tx(ctx); !ok || !isTx(pool) {
		return fmt.Errorf("%w: Forget must be part of the transaction that erases the person; use WithTx", ErrInvalid)
	}
	tenant, err := tenantOf(l.actor(ctx))
	if err != nil {
		return err
	}
	n, err := store.Destroy(ctx, tenant, clean(subject, maxID))
	if err != nil {
		return fmt.Errorf("audit: forget a subject: %w", err)
	}
	return l.Record(ctx, erasedAction, append([]slog.Attr{slog.String("subject", subject), slog.Int64(destroyedKey, n)}, attrs...)...)
}
