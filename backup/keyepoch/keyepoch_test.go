package keyepoch_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/keyepoch"
)

const hours = time.Hour

func open(t *testing.T, dir string) *keyepoch.Folder {
	t.Helper()
	f, err := keyepoch.Open(keyepoch.Config{Dir: dir, KEK: backuptest.NewKEK(t), Use: 24 * hours, Keep: 48 * hours})
	require.NoError(t, err)
	return f
}

func TestEpochsFollowTheClock(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	midnight := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	first, err := f.Current(t.Context(), midnight)
	require.NoError(t, err)
	require.Equal(t, midnight.Add(72*hours), first.Expires)
	sealed, err := first.Key.EncryptWithContext(t.Context(), []byte("x"), nil)
	require.NoError(t, err)
	last, err := f.Current(t.Context(), midnight.Add(24*hours-1))
	require.NoError(t, err)
	require.Equal(t, first.ID, last.ID)
	plain, err := last.Key.DecryptWithContext(t.Context(), sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "x", string(plain))
	next, err := f.Current(t.Context(), midnight.Add(24*hours))
	require.NoError(t, err)
	require.NotEqual(t, first.ID, next.ID)
	_, err = next.Key.DecryptWithContext(t.Context(), sealed, nil)
	require.Error(t, err)

	require.NoError(t, f.Destroy(t.Context(), first.ID))
	require.NoError(t, f.Destroy(t.Context(), first.ID), "again")
	_, err = f.Open(t.Context(), first.ID)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = f.Open(t.Context(), next.ID)
	require.NoError(t, err)
	_, err = f.Current(t.Context(), midnight)
	require.ErrorContains(t, err, "is destroyed already; the clock was put back", "a destroyed epoch does not get a new key")
}

func TestAKeyFileOpensUnderItsOwnNameAndKEKOnly(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	epoch, err := f.Current(t.Context(), time.Unix(1e9, 0))
	require.NoError(t, err)
	data, err := os.ReadFile(filepath.Join(dir, epoch.ID+".key"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "000000000001.key"), data, 0o600))
	_, err = f.Open(t.Context(), "000000000001")
	require.ErrorContains(t, err, "the KEK does not open the key of epoch 000000000001")
	_, err = open(t, dir).Open(t.Context(), epoch.ID)
	require.ErrorContains(t, err, "the KEK does not open")
	data[0] = 9
	require.NoError(t, os.WriteFile(filepath.Join(dir, epoch.ID+".key"), data, 0o600))
	_, err = f.Open(t.Context(), epoch.ID)
	require.ErrorContains(t, err, "has unknown version 9")
	for _, bad := range []string{"", ".", "../x", "a/b"} {
		_, err = f.Open(t.Context(), bad)
		require.ErrorContains(t, err, "not the name of an epoch")
	}
}

func TestConfigIsChecked(t *testing.T) {
	kek := backuptest.NewKEK(t)
	for text, cfg := range map[string]keyepoch.Config{
		"Config.Dir and Config.KEK are required":     {},
		"Config.Use must be at least an hour":        {Dir: t.TempDir(), KEK: kek, Use: time.Minute, Keep: hours},
		"Config.Keep must be at least Config.Use: t": {Dir: t.TempDir(), KEK: kek, Use: 2 * hours, Keep: hours},
	} {
		_, err := keyepoch.Open(cfg)
		require.ErrorContains(t, err, text)
	}
}

// A frozen key file, as some version of this package wrote it. The list is
// append-only.
type frozen struct {
	Name   string
	KEK    string // a Tink keyset in the clear, for this test alone
	ID     string // of the epoch
	File   string // <ID>.key
	Mark   string // <ID>.destroyed of another epoch
	Sealed string // "content" under the epoch's key, with associated data "ad"
}

const frozenFile = "testdata/keyfiles.json"

func TestFrozenKeyFilesAreReadable(t *testing.T) {
	if name := os.Getenv("CONFIDE_KEYEPOCH_APPEND_VECTOR"); name != "" {
		appendFrozen(t, name)
	}
	all := readFrozen(t)
	require.NotEmpty(t, all)
	for _, v := range all {
		t.Run(v.Name, func(t *testing.T) {
			f, dir := v.folder(t)
			key, err := f.Open(t.Context(), v.ID)
			require.NoError(t, err)
			plain, err := key.DecryptWithContext(t.Context(), unhex(t, v.Sealed), []byte("ad"))
			require.NoError(t, err)
			require.Equal(t, "content", string(plain))
			seconds, err := strconv.ParseInt(v.ID, 10, 64)
			require.NoError(t, err)
			current, err := f.Current(t.Context(), time.Unix(seconds, 0).Add(hours))
			require.NoError(t, err)
			require.Equal(t, v.ID, current.ID, "gone on with, not made anew")
			require.Equal(t, unhex(t, v.File), read(t, filepath.Join(dir, v.ID+".key")))
			gone := time.Unix(seconds, 0).Add(-24 * hours)
			require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%012d.destroyed", gone.Unix())), unhex(t, v.Mark), 0o600))
			_, err = f.Current(t.Context(), gone)
			require.EqualError(t, err, fmt.Sprintf("keyepoch: the key of epoch %012d is destroyed already; the clock was put back", gone.Unix()))
		})
	}
}

func TestADamagedKeyFileIsRefused(t *testing.T) {
	for _, v := range readFrozen(t) {
		f, dir := v.folder(t)
		good, path := unhex(t, v.File), filepath.Join(dir, v.ID+".key")
		refuse := func(data []byte, text string) {
			t.Helper()
			require.NoError(t, os.WriteFile(path, data, 0o600))
			_, err := f.Open(t.Context(), v.ID)
			require.EqualError(t, err, text)
			seconds, err := strconv.ParseInt(v.ID, 10, 64)
			require.NoError(t, err)
			_, err = f.Current(t.Context(), time.Unix(seconds, 0))
			require.EqualError(t, err, text, "and no new key is made in its place")
			require.Equal(t, data, read(t, path))
		}
		damaged := "keyepoch: the KEK does not open the key of epoch " + v.ID + ": it is another KEK, or " + v.ID + ".key was changed; bring back the right one, or what was sealed in this epoch is lost"
		for version := range 256 {
			if byte(version) != good[0] {
				refuse(append([]byte{byte(version)}, good[1:]...), fmt.Sprintf("keyepoch: the key file of epoch %s has unknown version %d; a newer version of this package may have written it", v.ID, version))
			}
		}
		refuse([]byte{}, "keyepoch: the key file of epoch "+v.ID+" is empty; bring it back from a copy, or what was sealed in this epoch is lost")
		for i := 1; i < len(good); i++ {
			bad := bytes.Clone(good)
			bad[i] ^= 1
			refuse(bad, damaged)
			refuse(good[:i], damaged)
		}
		refuse(append(bytes.Clone(good), 0), damaged)
	}
}

func (v frozen) folder(t *testing.T) (f *keyepoch.Folder, dir string) {
	dir = t.TempDir()
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(unhex(t, v.KEK))))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, v.ID+".key"), unhex(t, v.File), 0o600))
	f, err = keyepoch.Open(keyepoch.Config{Dir: dir, KEK: local(t, handle), Use: 24 * hours, Keep: 48 * hours})
	require.NoError(t, err)
	return f, dir
}

func local(t *testing.T, handle *keyset.Handle) tink.AEADWithContext {
	key, err := aead.New(handle)
	require.NoError(t, err)
	return contextless{key}
}

type contextless struct{ tink.AEAD }

func (c contextless) EncryptWithContext(_ context.Context, plaintext, ad []byte) ([]byte, error) {
	return c.Encrypt(plaintext, ad)
}

func (c contextless) DecryptWithContext(_ context.Context, ciphertext, ad []byte) ([]byte, error) {
	return c.Decrypt(ciphertext, ad)
}

func appendFrozen(t *testing.T, name string) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	var kek bytes.Buffer
	require.NoError(t, insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&kek)))
	dir := t.TempDir()
	f, err := keyepoch.Open(keyepoch.Config{Dir: dir, KEK: local(t, handle), Use: 24 * hours, Keep: 48 * hours})
	require.NoError(t, err)
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	epoch, err := f.Current(t.Context(), now)
	require.NoError(t, err)
	gone, err := f.Current(t.Context(), now.Add(-24*hours))
	require.NoError(t, err)
	require.NoError(t, f.Destroy(t.Context(), gone.ID))
	sealed, err := epoch.Key.EncryptWithContext(t.Context(), []byte("content"), []byte("ad"))
	require.NoError(t, err)
	v := frozen{Name: name, KEK: hex.EncodeToString(kek.Bytes()), ID: epoch.ID, Sealed: hex.EncodeToString(sealed),
		File: hex.EncodeToString(read(t, filepath.Join(dir, epoch.ID+".key"))),
		Mark: hex.EncodeToString(read(t, filepath.Join(dir, gone.ID+".destroyed")))}
	var all []frozen
	if _, err := os.Stat(frozenFile); err == nil {
		all = readFrozen(t)
	}
	data, err := json.MarshalIndent(append(all, v), "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(frozenFile), 0o755))
	require.NoError(t, os.WriteFile(frozenFile, append(data, '\n'), 0o644))
}

func readFrozen(t *testing.T) (all []frozen) {
	t.Helper()
	require.NoError(t, json.Unmarshal(read(t, frozenFile), &all))
	return all
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return data
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// A Destroy that was killed between overwriting the key and removing its file is completed by the next.
func TestAnInterruptedDestructionIsCompleted(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	epoch, err := f.Current(t.Context(), time.Unix(1e9, 0))
	require.NoError(t, err)
	path := filepath.Join(dir, epoch.ID+".key")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, make([]byte, len(data)), 0o600))
	_, err = f.Open(t.Context(), epoch.ID)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, "its destruction was interrupted; call Destroy again")
	require.NoError(t, f.Destroy(t.Context(), epoch.ID))
	require.NoFileExists(t, path)
}
