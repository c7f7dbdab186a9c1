package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/tink"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/internal/durable"
	"github.com/confide-go/confide/privacy/keyfile"
)

// A folder is the data folder: what is where.
//
//	crm.db               the database, if it is SQLite
//	keys/kek.json        the key encryption key; whoever has it and the rest has everything
//	keys/audit.sealed    the log's signing key, sealed by the KEK
//	keys/audit.pub       the key to check the log with; not secret
//	keys/recipients      public keys of those who can read backups, if it is not who has kek.json
//	keys/epochs/         keys of the copies of people's keys, each destroyed when its time is over
//	files/               files of customers, each sealed under a key of its own
//	anchors/             signed checkpoints of the log, outside the database
//	spill/               events on their way into the log; empty between runs
//	backup.json          changes of the standard plan of backups, see plan.go; may be missing
//	backups/data/        snapshots of every table that is not named below
//	backups/invoices/    snapshots of the invoices
//	backups/audit/       snapshots of the audit log
//	backups/files/       snapshots of files/
//	backups/secrets/     the newest snapshot of what guesses at the log's commitments can be checked with
//	backups/keys/        the newest snapshot of the customers' keys, and only that
//	backups/claims/      which process does the work of the plan at which hour
//	backups/erasures     the erasure ledger, see ledger.go
type folder string

func (f folder) database() string      { return filepath.Join(string(f), "crm.db") }
func (f folder) kek() string           { return filepath.Join(string(f), "keys", "kek.json") }
func (f folder) auditKey() string      { return filepath.Join(string(f), "keys", "audit.sealed") }
func (f folder) auditPublic() string   { return filepath.Join(string(f), "keys", "audit.pub") }
func (f folder) anchors() string       { return filepath.Join(string(f), "anchors", "audit") }
func (f folder) spill() string         { return filepath.Join(string(f), "spill") }
func (f folder) files() string         { return filepath.Join(string(f), "files") }
func (f folder) demoMarker() string    { return filepath.Join(string(f), "demo.txt") }
func (f folder) recipients() string    { return filepath.Join(string(f), "keys", "recipients") }
func (f folder) planFile() string      { return filepath.Join(string(f), "backup.json") }
func (f folder) directories() []string { return []string{"keys", "anchors", "backups"} }

// places are where backups and the keys of their epochs lie: in the folder, or better
// somewhere else.
type places struct {
	backups, epochs string
	decorate        func(backup.Store) backup.Store // nil: nothing is around the directories
}

func (p places) erasures() string { return filepath.Join(p.backups, "erasures") }
func (p places) claims() string   { return filepath.Join(p.backups, "claims") }

// places of the settings.
func (s settings) places() places {
	p := places{backups: s.backups, epochs: s.epochs, decorate: s.decorate}
	if p.backups == "" {
		p.backups = filepath.Join(s.data, "backups")
	}
	if p.epochs == "" {
		p.epochs = filepath.Join(s.data, "keys", "epochs")
	}
	return p
}

// prepare makes the folders that are missing, for their owner only.
func (f folder) prepare() error {
	if err := durable.MkdirAll(string(f), 0o700); err != nil {
		return err
	}
	for _, dir := range f.directories() {
		if err := durable.MkdirAll(filepath.Join(string(f), dir), 0o700); err != nil {
			return err
		}
	}
	return nil
}

// ownDatabase makes the database file, so that it and what SQLite puts beside it are
// for their owner only.
func (f folder) ownDatabase() error {
	file, err := os.OpenFile(f.database(), os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the database file: %w", err)
	}
	return file.Close()
}

// openKEK opens the key file. It makes one only for a folder that has no
// database yet: a database whose key file is missing needs the right one back,
// not a new one.
func (f folder) openKEK(fresh bool) (tink.AEADWithContext, error) {
	if fresh {
		return keyfile.OpenOrCreate(f.kek(), passphrase())
	}
	kek, err := keyfile.Open(f.kek(), passphrase())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the key file %s is missing, but there is data: bring the file back from where you keep its copy", f.kek())
	}
	return kek, err
}

// passphrase of the key file; without one the file's permissions are all that
// protects it.
func passphrase() []byte {
	if p := os.Getenv("CONFIDE_PASSPHRASE"); p != "" {
		return []byte(p)
	}
	return nil
}

// auditContext binds the sealed signing key to what it is.
func auditContext() []byte { return []byte("confide crm audit signing key v1") }

// openAuditKey opens the log's signing key, making it for a new folder.
func (f folder) openAuditKey(ctx context.Context, kek tink.AEADWithContext) (note.Signer, note.Verifier, error) {
	sealed, err := os.ReadFile(f.auditKey())
	if errors.Is(err, fs.ErrNotExist) {
		if sealed, err = f.makeAuditKey(ctx, kek); err != nil {
			return nil, nil, err
		}
	} else if err != nil {
		return nil, nil, fmt.Errorf("read the log's signing key: %w", err)
	}
	skey, err := kek.DecryptWithContext(ctx, sealed, auditContext())
	if err != nil {
		return nil, nil, fmt.Errorf("open the log's signing key %s: it does not belong to the key file", f.auditKey())
	}
	public, err := os.ReadFile(f.auditPublic())
	if err != nil {
		return nil, nil, fmt.Errorf("read the log's public key: %w", err)
	}
	signer, err := note.NewSigner(string(skey))
	if err != nil {
		return nil, nil, fmt.Errorf("the log's signing key is damaged: %s", f.auditKey())
	}
	verifier, err := note.NewVerifier(string(public))
	if err != nil {
		return nil, nil, fmt.Errorf("the log's public key is damaged: %s", f.auditPublic())
	}
	return signer, verifier, nil
}

// makeAuditKey writes the public key first: the sealed one decides which of two
// processes made the key, and whoever reads it then finds the public one.
func (f folder) makeAuditKey(ctx context.Context, kek tink.AEADWithContext) ([]byte, error) {
	skey, vkey, err := audit.GenerateKey("confide-crm")
	if err != nil {
		return nil, err
	}
	sealed, err := kek.EncryptWithContext(ctx, []byte(skey), auditContext())
	if err != nil {
		return nil, fmt.Errorf("seal the log's signing key: %w", err)
	}
	if err := durable.Create(f.auditPublic(), []byte(vkey), 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	} else if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists without %s: wait if another process is starting, else bring the sealed key back", f.auditPublic(), f.auditKey())
	}
	return sealed, durable.Create(f.auditKey(), sealed, 0o600)
}
