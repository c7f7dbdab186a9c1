package audit

import (
	"encoding/base64"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/note"
)

// A Key is one of the keys that sign a log's checkpoints, before, during and
// after a rotation. All keys of a log have the same name.
type Key struct {
	Verifier note.Verifier

	// Signer makes a log sign with this key too, beside Config.Signer, and
	// accept waiting events that were recorded under it. It is needed while
	// processes with the one key and with the other run at the same time.
	Signer note.Signer

	// Until is the largest size of the top log that this key may vouch for
	// alone; 0 is no bound. A revoked key gets the size of the last
	// checkpoint that is known to be its owner's: what it signs
	// behind that is refused.
	Until int64
}

// Keys are the keys a verifier accepts: one is enough under a checkpoint.
type Keys []Key

// KeysOf makes Keys without bounds.
func KeysOf(verifiers ...note.Verifier) Keys {
	keys := make(Keys, len(verifiers))
	for i, v := range verifiers {
		keys[i] = Key{Verifier: v}
	}
	return keys
}

// check refuses keys that cannot belong to one log.
func (k Keys) check() error {
	if len(k) == 0 {
		return fmt.Errorf("%w: no verifier key was given", ErrInvalid)
	}
	for i, key := range k {
		switch {
		case key.Verifier == nil:
			return fmt.Errorf("%w: key %d has no Verifier", ErrInvalid, i)
		case key.Verifier.Name() != k[0].Verifier.Name():
			return fmt.Errorf("%w: key %d has another name than the first; the keys of one log share its name", ErrInvalid, i)
		case key.Until < 0:
			return fmt.Errorf("%w: key %d has a negative Until", ErrInvalid, i)
		case key.Signer != nil && (key.Signer.Name() != key.Verifier.Name() || key.Signer.KeyHash() != key.Verifier.KeyHash()):
			return fmt.Errorf("%w: the Signer of key %d does not belong to its Verifier", ErrInvalid, i)
		case slices.ContainsFunc(k[:i], func(o Key) bool { return o.Verifier.KeyHash() == key.Verifier.KeyHash() }):
			return fmt.Errorf("%w: key %d is given twice", ErrInvalid, i)
		}
	}
	return nil
}

func (k Keys) name() string { return k[0].Verifier.Name() }

// topItself stands for "the checkpoint is one of the top log: judge it by its own size".
const topItself = -1

// anywhere stands for a place that is not known, where Until cannot be judged.
const anywhere = 0

// open reads a checkpoint that one of the keys has signed. at is the size of the
// top log at which it was made.
func (k Keys) open(msg []byte, at int64) (Checkpoint, error) {
	verifiers := make([]note.Verifier, len(k))
	for i, key := range k {
		verifiers[i] = key.Verifier
	}
	n, err := note.Open(msg, note.VerifierList(verifiers...))
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit: checkpoint: %w", err)
	}
	c, err := parseCheckpoint(n.Text)
	if err != nil {
		return c, err
	}
	c.Note = msg
	if at == topItself {
		at = c.Size
	}
	for _, sig := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(sig.Base64); err != nil {
			continue // a second spelling of a signature: everything here has only one
		}
		for _, key := range k {
			if key.Verifier.KeyHash() == sig.Hash && (key.Until == 0 || at <= key.Until) {
				return c, nil
			}
		}
	}
	return c, fmt.Errorf("audit: checkpoint: %w: its signatures are of revoked keys", errMalformed)
}

// macKeys are the keys under which waiting events may have been recorded besides
// the current one.
func (k Keys) macKeys() ([][]byte, error) {
	var macs [][]byte
	for _, key := range k {
		if key.Signer == nil {
			continue
		}
		mac, err := deriveMACKey(key.Signer, key.Verifier)
		if err != nil {
			return nil, err
		}
		macs = append(macs, mac)
	}
	return macs, nil
}

// signers are all that sign: the current one first.
func (c *Config) signers() []note.Signer {
	list := []note.Signer{c.Signer}
	for _, key := range c.Keys {
		if key.Signer != nil {
			list = append(list, key.Signer)
		}
	}
	return list
}
