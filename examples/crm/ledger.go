package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/internal/durable"
)

// The erasure ledger lists who was erased, outside the database and its
// snapshots. An entry is written before the key is destroyed: whatever crash or
// restore comes between, the next start finishes the erasure.
//
// The file has one line an entry: base64 of the JSON of an entry, sealed by the
// KEK. Whoever takes the file learns nothing from it, and nobody without the key
// can have a person erased by adding a line.
type ledger struct {
	path string
	kek  tink.AEADWithContext
}

type erasure struct {
	Version int       `json:"v"`
	Subject string    `json:"subject"`
	At      time.Time `json:"at"`
}

func (a *app) ledger() ledger { return ledger{path: a.places.erasures(), kek: a.kek} }

func ledgerContext() []byte { return []byte("confide crm erasure ledger v1") }

func (l ledger) add(ctx context.Context, subject string, at time.Time) error {
	entry, err := json.Marshal(erasure{Version: 1, Subject: subject, At: at.UTC()})
	if err != nil {
		return err
	}
	sealed, err := l.kek.EncryptWithContext(ctx, entry, ledgerContext())
	if err != nil {
		return fmt.Errorf("seal an entry of the erasure ledger: %w", err)
	}
	// The newline in front ends a line that a crash cut off.
	return durable.Append(l.path, []byte("\n"+base64.StdEncoding.EncodeToString(sealed)+"\n"), 0o600)
}

// entries returns what has been written. A line cut off by a crash was never
// acted upon and is left out; a line that does not open is an error.
func (l ledger) entries(ctx context.Context) ([]erasure, error) {
	data, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the erasure ledger: %w", err)
	}
	var list []erasure
	lines := bytes.Split(data, []byte("\n"))
	for n, line := range lines {
		// Every entry is followed by the empty rest of its line or by the newline
		// in front of the next; a line that runs into the next was cut off.
		if whole := n+1 < len(lines) && len(lines[n+1]) == 0; len(line) == 0 || !whole {
			continue
		}
		sealed, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil {
			return nil, fmt.Errorf("the erasure ledger %s:%d is damaged; bring the right file back before anything is restored", l.path, n+1)
		}
		entry, err := l.kek.DecryptWithContext(ctx, sealed, ledgerContext())
		if err != nil {
			return nil, fmt.Errorf("the erasure ledger %s:%d does not open with the key file; bring the right file back before anything is restored", l.path, n+1)
		}
		var e erasure
		if err := json.Unmarshal(entry, &e); err != nil || e.Version != 1 {
			return nil, fmt.Errorf("the erasure ledger %s:%d was written by a newer program; use that one", l.path, n+1)
		}
		list = append(list, e)
	}
	return list, nil
}
