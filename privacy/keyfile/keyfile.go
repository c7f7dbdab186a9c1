// Package keyfile keeps a key-encryption key in a local file: the default where there is no key management
// service. The file is readable by its owner only, written durably, and can be protected by a passphrase.
//
//	kek, err := keyfile.OpenOrCreate("crm-data/kek", nil)
//
// Who has the file (and the passphrase) and the database can read everything; who loses it can read
// nothing, ever. Keep a copy somewhere else, and not in the database's backups.
//
// The file is text: a first line with the format's version, then one "name: value" a line. See FORMAT.md of
// package privacy.
package keyfile

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/internal/durable"
)

var (
	// ErrPassphrase comes from Open when the passphrase is wrong, missing or not needed.
	ErrPassphrase = errors.New("keyfile: passphrase")
	// ErrDamaged comes from Open when the file is not a key file or has been changed.
	ErrDamaged = errors.New("keyfile: damaged")
	// ErrExposed comes from Open when others than the owner could have read the file.
	ErrExposed = errors.New("keyfile: readable by others")
)

// Create makes a new key and writes it to path, which must not exist: the error wraps fs.ErrExist if it
// does. Of several processes that race, one succeeds. An empty passphrase means none: then the file alone
// is the key.
func Create(path string, passphrase []byte) (tink.AEADWithContext, error) {
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("keyfile: create %s: %w", path, err)
	}
	text, err := encode(h, passphrase)
	if err != nil {
		return nil, fmt.Errorf("keyfile: create %s: %w", path, err)
	}
	if err := durable.Create(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("keyfile: create: %w", err)
	}
	return primitive(h, path)
}

// Open reads the key in path.
func Open(path string, passphrase []byte) (tink.AEADWithContext, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("keyfile: open: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("keyfile: open %s: it is not a regular file", path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%w: %s has mode %04o; if nobody else has read it, run chmod 600 on it, else create a new key", ErrExposed, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("keyfile: open: %w", err)
	}
	h, err := decode(text, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return primitive(h, path)
}

// OpenOrCreate opens the key in path, or creates it if there is none. Processes that start at the same time
// end with the same key.
func OpenOrCreate(path string, passphrase []byte) (tink.AEADWithContext, error) {
	key, err := Open(path, passphrase)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	key, err = Create(path, passphrase)
	if errors.Is(err, fs.ErrExist) {
		return Open(path, passphrase)
	}
	return key, err
}

const (
	header   = "confide key file v1"
	nameKDF  = "kdf"
	nameSalt = "salt"
	nameKey  = "keyset"
	kdfNone  = "none"

	nameCheck = "check"
)

func encode(h *keyset.Handle, passphrase []byte) ([]byte, error) {
	var raw strings.Builder
	if err := insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&raw)); err != nil {
		return nil, err
	}
	if len(passphrase) == 0 {
		return lines(kdfNone, nil, []byte(raw.String())), nil
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	kdf := defaultKDF()
	box, err := kdf.seal(passphrase, salt, []byte(raw.String()))
	if err != nil {
		return nil, err
	}
	return lines(kdf.String(), salt, box), nil
}

func lines(kdf string, salt, key []byte) []byte {
	enc := base64.StdEncoding.EncodeToString
	body := fmt.Sprintf("%s\n%s: %s\n%s: %s\n%s: %s\n", header, nameKDF, kdf, nameSalt, enc(salt), nameKey, enc(key))
	return fmt.Appendf(nil, "%s%s: %s\n", body, nameCheck, checksum(body))
}

// checksum finds a damaged file before its key is taken for another one.
func checksum(body string) string {
	sum := sha256.Sum256([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:9])
}

func decode(text, passphrase []byte) (*keyset.Handle, error) {
	kdfText, salt, box, err := parse(string(text))
	if err != nil {
		return nil, err
	}
	raw := box
	switch {
	case kdfText == kdfNone && len(passphrase) > 0:
		return nil, fmt.Errorf("%w: the file has none, so it protects nothing; open it without, or create a new file with one", ErrPassphrase)
	case kdfText != kdfNone && len(passphrase) == 0:
		return nil, fmt.Errorf("%w: the file needs one", ErrPassphrase)
	case kdfText != kdfNone:
		k, err := parseKDF(kdfText)
		if err != nil {
			return nil, err
		}
		if raw, err = k.open(passphrase, salt, box); err != nil {
			return nil, err
		}
	}
	h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(strings.NewReader(string(raw))))
	if err != nil {
		return nil, fmt.Errorf("%w: the keyset cannot be read; restore the file from its copy", ErrDamaged)
	}
	return h, nil
}

func parse(text string) (kdf string, salt, key []byte, err error) {
	body, check, ok := strings.Cut(text, nameCheck+": ")
	rows := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
	if !ok || len(rows) != 4 || rows[0] != header {
		return "", nil, nil, fmt.Errorf("%w: this is no %s; restore it from its copy", ErrDamaged, header)
	}
	if check != checksum(body)+"\n" {
		return "", nil, nil, fmt.Errorf("%w: the checksum does not fit; restore the file from its copy", ErrDamaged)
	}
	var values [3]string
	for i, name := range []string{nameKDF, nameSalt, nameKey} {
		value, ok := strings.CutPrefix(rows[i+1], name+": ")
		if !ok {
			return "", nil, nil, fmt.Errorf("%w: line %d should be %q; restore the file from its copy", ErrDamaged, i+2, name)
		}
		values[i] = value
	}
	salt, saltErr := base64.StdEncoding.Strict().DecodeString(values[1])
	key, keyErr := base64.StdEncoding.Strict().DecodeString(values[2])
	if saltErr != nil || keyErr != nil {
		return "", nil, nil, fmt.Errorf("%w: a value is not base64; restore the file from its copy", ErrDamaged)
	}
	return values[0], salt, key, nil
}

func primitive(h *keyset.Handle, path string) (tink.AEADWithContext, error) {
	a, err := aead.New(h)
	if err != nil {
		return nil, fmt.Errorf("%w: %s holds a keyset of another kind", ErrDamaged, path)
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
