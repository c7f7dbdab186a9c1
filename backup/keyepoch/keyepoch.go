// Package keyepoch keeps key encryption keys that live for a fixed time in a
// folder, and destroys them.
//
// Time is divided into epochs of equal length. A backup that is made in one is
// sealed under its key, which is destroyed a fixed time after the epoch's end: it
// is known on which day a backup will have become unreadable, wherever it lies.
//
// A folder serves one repository. It must not be backed up itself, and must be on a disk that forgets
// what is overwritten or is encrypted under a key that can be replaced. Where
// that is not so, implement backup.Epochs over a KMS that destroys keys.
package keyepoch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/internal/durable"
)

// Config says where keys lie and how long they live.
type Config struct {
	Dir  string               // made if it does not exist
	KEK  tink.AEADWithContext // seals the keys in the folder
	Use  time.Duration        // length of an epoch; at least an hour
	Keep time.Duration        // how long after its end a key is kept; at least Use, so that there is always a readable backup
}

// A Folder is a backup.Epochs.
type Folder struct{ cfg Config }

var (
	_ backup.Epochs  = (*Folder)(nil)
	_ backup.Expirer = (*Folder)(nil)
)

// Open returns the epochs in a folder.
func Open(cfg Config) (*Folder, error) {
	switch {
	case cfg.Dir == "" || cfg.KEK == nil:
		return nil, errors.New("keyepoch: Config.Dir and Config.KEK are required")
	case cfg.Use < time.Hour:
		return nil, errors.New("keyepoch: Config.Use must be at least an hour")
	case cfg.Keep < cfg.Use:
		return nil, errors.New("keyepoch: Config.Keep must be at least Config.Use: the next epoch needs a backup before this one's key is destroyed")
	}
	if err := durable.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("keyepoch: make folder: %w", err)
	}
	return &Folder{cfg: cfg}, nil
}

// name is that of the epoch that a moment belongs to: when it begins, in seconds
// since 1970.
func (f *Folder) name(now time.Time) (id string, ends time.Time) {
	start := now.Truncate(f.cfg.Use)
	return fmt.Sprintf("%012d", start.Unix()), start.Add(f.cfg.Use)
}

// Expires returns by when the key is destroyed that is in use at a moment: what was
// deleted from the source then is in no backup that can be read afterwards.
func (f *Folder) Expires(at time.Time) time.Time {
	_, ends := f.name(at)
	return ends.Add(f.cfg.Keep)
}

// Expired implements backup.Expirer.
func (f *Folder) Expired(_ context.Context, now time.Time) ([]string, error) {
	entries, err := os.ReadDir(f.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("keyepoch: list keys: %w", err)
	}
	var ids []string
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), ".key")
		start, err := strconv.ParseInt(id, 10, 64)
		if ok && err == nil && !now.Before(time.Unix(start, 0).Add(f.cfg.Use+f.cfg.Keep)) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (f *Folder) path(id string) string      { return filepath.Join(f.cfg.Dir, id+".key") }
func (f *Folder) destroyed(id string) string { return filepath.Join(f.cfg.Dir, id+".destroyed") }

// Current implements backup.Epochs. The key of a new epoch is made by the first
// call in it.
func (f *Folder) Current(ctx context.Context, now time.Time) (backup.Epoch, error) {
	id, ends := f.name(now)
	if _, err := os.Stat(f.destroyed(id)); err == nil {
		return backup.Epoch{}, fmt.Errorf("keyepoch: the key of epoch %s is destroyed already; the clock was put back", id)
	}
	key, err := f.Open(ctx, id)
	if errors.Is(err, fs.ErrNotExist) {
		if err := f.make(ctx, id); err != nil && !errors.Is(err, fs.ErrExist) {
			return backup.Epoch{}, err
		}
		key, err = f.Open(ctx, id)
	}
	return backup.Epoch{ID: id, Key: key, Expires: ends.Add(f.cfg.Keep)}, err
}

const version = 1 // of both kinds of files; backup/FORMAT.md describes them

func binding(id string) []byte { return []byte("confide/backup/key-epoch/v1/" + id) }

func (f *Folder) make(ctx context.Context, id string) error {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return fmt.Errorf("keyepoch: make key: %w", err)
	}
	var sealed ciphertext
	if err := handle.WriteWithContext(ctx, &sealed, f.cfg.KEK, binding(id)); err != nil {
		return fmt.Errorf("keyepoch: seal key of epoch %s: %w", id, err)
	}
	if err := durable.Create(f.path(id), append([]byte{version}, sealed...), 0o600); err != nil {
		return fmt.Errorf("keyepoch: store key of epoch %s: %w", id, err)
	}
	return nil
}

// Open implements backup.Epochs.
func (f *Folder) Open(ctx context.Context, id string) (tink.AEADWithContext, error) {
	if id != filepath.Base(id) || id == "" || id == "." {
		return nil, errors.New("keyepoch: not the name of an epoch")
	}
	data, err := os.ReadFile(f.path(id))
	if err != nil {
		return nil, fmt.Errorf("keyepoch: key of epoch %s: %w", id, err)
	}
	switch {
	case len(data) == 0:
		return nil, fmt.Errorf("keyepoch: the key file of epoch %s is empty; bring it back from a copy, or what was sealed in this epoch is lost", id)
	case len(bytes.Trim(data, "\x00")) == 0:
		return nil, fmt.Errorf("keyepoch: the key of epoch %s is overwritten, its destruction was interrupted; call Destroy again: %w", id, fs.ErrNotExist)
	case data[0] != version:
		return nil, fmt.Errorf("keyepoch: the key file of epoch %s has unknown version %d; a newer version of this package may have written it", id, data[0])
	}
	sealed := ciphertext(data[1:])
	handle, err := keyset.ReadWithContext(ctx, &sealed, f.cfg.KEK, binding(id))
	if err != nil {
		return nil, fmt.Errorf("keyepoch: the KEK does not open the key of epoch %s: it is another KEK, or %[1]s.key was changed; bring back the right one, or what was sealed in this epoch is lost", id)
	}
	key, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("keyepoch: key of epoch %s: %w", id, err)
	}
	return withContext{key}, nil
}

// Destroy implements backup.Epochs: it overwrites the file, then removes it.
func (f *Folder) Destroy(_ context.Context, id string) error {
	if err := durable.Create(f.destroyed(id), []byte{version}, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keyepoch: mark epoch %s: %w", id, err)
	}
	file, err := os.OpenFile(f.path(id), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("keyepoch: destroy key of epoch %s: %w", id, err)
	}
	info, err := file.Stat()
	if err == nil {
		_, err = file.Write(bytes.Repeat([]byte{0}, int(info.Size())))
	}
	if err := errors.Join(err, file.Sync(), file.Close(), durable.Remove(f.path(id))); err != nil {
		return fmt.Errorf("keyepoch: destroy key of epoch %s: %w", id, err)
	}
	return nil
}

// withContext is a local key as one that could be remote.
type withContext struct{ local tink.AEAD }

func (k withContext) EncryptWithContext(_ context.Context, plaintext, ad []byte) ([]byte, error) {
	return k.local.Encrypt(plaintext, ad)
}

func (k withContext) DecryptWithContext(_ context.Context, sealed, ad []byte) ([]byte, error) {
	return k.local.Decrypt(sealed, ad)
}

// ciphertext lets Tink read and write the ciphertext alone.
type ciphertext []byte

func (c *ciphertext) WriteEncrypted(k *tinkpb.EncryptedKeyset) error {
	*c = bytes.Clone(k.GetEncryptedKeyset())
	return nil
}

func (c *ciphertext) ReadEncrypted() (*tinkpb.EncryptedKeyset, error) {
	return &tinkpb.EncryptedKeyset{EncryptedKeyset: *c}, nil
}

func (c *ciphertext) Write(*tinkpb.Keyset) error {
	return errors.New("keyepoch: refusing to write a keyset in the clear")
}

func (c *ciphertext) Read() (*tinkpb.Keyset, error) {
	return nil, errors.New("keyepoch: refusing to read a keyset in the clear")
}
