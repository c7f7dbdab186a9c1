package keyfile_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/privacy/keyfile"
)

var ctx = context.Background()

func same(t *testing.T, a, b tink.AEADWithContext) {
	t.Helper()
	box, err := a.EncryptWithContext(ctx, []byte("text"), []byte("ad"))
	require.NoError(t, err)
	got, err := b.DecryptWithContext(ctx, box, []byte("ad"))
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
	_, err = b.DecryptWithContext(ctx, box, []byte("other"))
	require.Error(t, err)
}

func TestKeyComesBack(t *testing.T) {
	for name, pass := range map[string][]byte{"plain": nil, "passphrase": []byte("correct horse")} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kek")
			made, err := keyfile.Create(path, pass)
			require.NoError(t, err)
			opened, err := keyfile.Open(path, pass)
			require.NoError(t, err)
			same(t, made, opened)
			info, err := os.Stat(path)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
		})
	}
}

func TestCreateNeverReplacesAKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	first, err := keyfile.Create(path, nil)
	require.NoError(t, err)
	_, err = keyfile.Create(path, nil)
	require.ErrorIs(t, err, fs.ErrExist)
	still, err := keyfile.Open(path, nil)
	require.NoError(t, err)
	same(t, first, still)
}

func TestRacersEndWithOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	keys := make([]tink.AEADWithContext, 16)
	errs := make([]error, len(keys))
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() { keys[i], errs[i] = keyfile.OpenOrCreate(path, nil) })
	}
	wg.Wait()
	for i := range keys {
		require.NoError(t, errs[i])
		same(t, keys[0], keys[i])
	}
}

func TestPassphrase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	_, err := keyfile.Create(path, []byte("correct horse"))
	require.NoError(t, err)
	_, err = keyfile.Open(path, []byte("wrong horse"))
	require.ErrorIs(t, err, keyfile.ErrPassphrase)
	require.ErrorContains(t, err, path)
	require.NotContains(t, err.Error(), "horse")
	_, err = keyfile.Open(path, nil)
	require.ErrorIs(t, err, keyfile.ErrPassphrase)
	require.ErrorContains(t, err, "needs one")

	plain := filepath.Join(t.TempDir(), "kek")
	_, err = keyfile.Create(plain, nil)
	require.NoError(t, err)
	_, err = keyfile.Open(plain, []byte("believes to be protected"))
	require.ErrorIs(t, err, keyfile.ErrPassphrase)
	require.ErrorContains(t, err, "protects nothing")
}

func TestOthersMustNotReadIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	_, err := keyfile.Create(path, nil)
	require.NoError(t, err)
	for _, mode := range []fs.FileMode{0o640, 0o604, 0o660, 0o644} {
		require.NoError(t, os.Chmod(path, mode))
		_, err = keyfile.Open(path, nil)
		require.ErrorIs(t, err, keyfile.ErrExposed)
		require.ErrorContains(t, err, "chmod 600")
	}
}

// Every single changed byte of a file is found: the key is never silently another one.
func TestChangedBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kek")
	_, err := keyfile.Create(path, nil)
	require.NoError(t, err)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	secret := strings.Split(string(text), "\n")[3]
	for i := range text {
		changed := append([]byte(nil), text...)
		changed[i] ^= 1
		require.NoError(t, os.WriteFile(path, changed, 0o600))
		_, err := keyfile.Open(path, nil)
		require.ErrorIs(t, err, keyfile.ErrDamaged, "byte %d", i)
		require.NotContains(t, err.Error(), secret[12:40])
	}
}

func TestNotAKeyFile(t *testing.T) {
	dir := t.TempDir()
	_, err := keyfile.Open(filepath.Join(dir, "none"), nil)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = keyfile.Open(dir, nil)
	require.ErrorContains(t, err, "not a regular file")

	for name, text := range map[string]string{
		"empty":      "",
		"other":      "-----BEGIN PRIVATE KEY-----\n",
		"newer":      "confide key file v2\nkdf: none\nsalt: \nkeyset: AAAA\n",
		"hungry kdf": "confide key file v1\nkdf: argon2id t=3 m=999999999 p=4\nsalt: AAAA\nkeyset: AAAA\n",
		"garbage":    "confide key file v1\nkdf: none\nsalt: \nkeyset: AAAA\n",
		"no base64":  "confide key file v1\nkdf: none\nsalt: \nkeyset: ****\n",
		"order":      "confide key file v1\nsalt: \nkdf: none\nkeyset: AAAA\n",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kek")
			if strings.HasPrefix(text, "confide") {
				sum := sha256.Sum256([]byte(text))
				text += "check: " + base64.StdEncoding.EncodeToString(sum[:9]) + "\n"
			}
			require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
			pass := []byte(nil)
			if name == "hungry kdf" {
				pass = []byte("x")
			}
			_, err := keyfile.Open(path, pass)
			require.ErrorIs(t, err, keyfile.ErrDamaged)
			require.ErrorContains(t, err, "restore")
		})
	}
}
