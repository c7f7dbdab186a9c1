package intake_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy/insecurekey"
	"github.com/confide-go/confide/privacy/intake"
)

func TestPublicKeyIsOneLine(t *testing.T) {
	keys := newKeys(t)
	line := keys.Public().String()
	k, err := intake.ParsePublicKey(" " + line + "\n")
	require.NoError(t, err)
	require.Equal(t, line, k.String())
	box, err := k.Seal(at, []byte("x"))
	require.NoError(t, err)
	_, err = keys.OpenAt(at, box)
	require.NoError(t, err)
	require.Equal(t, k.ID(), box.KeyID())

	// A line that was damaged on its way would take in data that nobody can open.
	for i := range line {
		for _, c := range []byte{line[i] ^ 1, line[i] ^ 0x20} {
			_, err := intake.ParsePublicKey(line[:i] + string(c) + line[i+1:])
			require.ErrorIs(t, err, intake.ErrKey, "character %d", i)
		}
	}
	for _, bad := range []string{"", line[:len(line)-1], line + ":", line + "0", strings.ReplaceAll(line, "v1", "v2")} {
		_, err := intake.ParsePublicKey(bad)
		require.ErrorIs(t, err, intake.ErrKey, bad)
	}
	_, err = intake.ParsePublicKey("confide-intake-v1:00000001:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:" + zeroCheck)
	require.ErrorIs(t, err, intake.ErrKey)
	require.ErrorContains(t, err, "nothing can be sealed under it")
}

const zeroCheck = "254fd692"

func TestKeysRotate(t *testing.T) {
	first := newKeys(t)
	old := sealed(t, first, at, "old")
	second, err := first.Rotate()
	require.NoError(t, err)
	require.NotEqual(t, first.Public().ID(), second.Public().ID())
	require.Equal(t, []string{second.Public().ID(), first.Public().ID()}, second.IDs())
	fresh := sealed(t, second, at, "new")
	for _, b := range []intake.Box{old, fresh} {
		_, err := second.OpenAt(at, b)
		require.NoError(t, err)
	}
	_, err = first.OpenAt(at, fresh)
	require.ErrorIs(t, err, intake.ErrKey, "the keys before Rotate are unchanged")

	_, err = second.Drop(second.Public().ID())
	require.ErrorContains(t, err, "is the newest, which forms seal with; Rotate first")
	_, err = second.Drop("00000000x")
	require.ErrorIs(t, err, intake.ErrKey)
	third, err := second.Drop(first.Public().ID())
	require.NoError(t, err)
	_, err = third.OpenAt(at, old)
	require.ErrorIs(t, err, intake.ErrKey)
	_, err = third.OpenAt(at, fresh)
	require.NoError(t, err)
}

func TestKeysAreSavedWrapped(t *testing.T) {
	kek, err := insecurekey.New()
	require.NoError(t, err)
	other, err := insecurekey.New()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "intake")
	_, err = intake.Load(t.Context(), path, kek)
	require.ErrorIs(t, err, fs.ErrNotExist)

	keys := newKeys(t)
	box := sealed(t, keys, at, "x")
	keys, err = keys.Rotate()
	require.NoError(t, err)
	require.NoError(t, keys.Save(t.Context(), path, kek))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(text), string(keys.Raw()))

	loaded, err := intake.Load(t.Context(), path, kek)
	require.NoError(t, err)
	require.Equal(t, keys.IDs(), loaded.IDs())
	_, err = loaded.OpenAt(at, box)
	require.NoError(t, err)

	_, err = intake.Load(t.Context(), path, other)
	require.ErrorIs(t, err, intake.ErrKey)
	for _, bad := range []string{"", "x", string(text[:len(text)/2]), strings.Replace(string(text), "v1", "v2", 1)} {
		require.NoError(t, os.WriteFile(path, []byte(bad), 0o600))
		_, err := intake.Load(t.Context(), path, kek)
		require.ErrorIs(t, err, intake.ErrKey, "%q", bad)
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	keys := newKeys(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		text := fmt.Sprintf(verb, keys)
		require.NotContains(t, text, string(keys.Raw()))
		require.NotContains(t, text, strings.Trim(fmt.Sprint(keys.Raw()), "[]"))
	}
	require.Equal(t, "intake.Keys("+keys.Public().ID()+")", fmt.Sprint(keys))
}
