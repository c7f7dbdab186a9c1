package keyepoch_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
	require.ErrorContains(t, err, "is of another version or empty")
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
