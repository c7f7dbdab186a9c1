package escrow_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy/escrow"
)

// forge gives a changed text a fitting checksum, as somebody who means it would.
func forge(text string) string {
	body := text[:strings.LastIndex(text, "sum: ")]
	sum := sha256.Sum256([]byte(body))
	return fmt.Sprintf("%ssum: %s\n", body, base64.StdEncoding.EncodeToString(sum[:9]))
}

func TestOneFlippedByteIsFound(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	text := h.seal(t, 2).Text()
	for i := range text {
		changed := append([]byte(nil), text...)
		changed[i] ^= 1
		_, err := escrow.Parse(changed)
		require.ErrorIs(t, err, escrow.ErrDamaged, "byte %d", i)
	}
	for _, cut := range []int{0, 1, 10, len(text) / 2, len(text) - 1} {
		_, err := escrow.Parse(text[:cut])
		require.ErrorIs(t, err, escrow.ErrDamaged)
	}
	_, err := escrow.Parse(append(append([]byte(nil), text...), '\n'))
	require.ErrorIs(t, err, escrow.ErrDamaged)
}

// A change with a fitting checksum is refused when read or does not open: every line is bound.
func TestAForgedFileDoesNotOpen(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	text := string(h.seal(t, 2).Text())
	other := string(h.seal(t, 2).Text())
	ana, ben, wang := h.people[0], h.people[1], h.people[2]
	drill := func(changed string) error {
		require.NotEqual(t, text, changed)
		e, err := escrow.Parse([]byte(forge(changed)))
		if err != nil {
			return err
		}
		_, err = escrow.Drill(t.Context(), h.target, e, ana, ben, wang)
		return err
	}
	line := func(from, name string, n int) string {
		return regexp.MustCompile("(?m)^"+name+": .*\n").FindAllString(from, -1)[n]
	}
	swap := func(s, a, b string) string {
		return strings.NewReplacer(a, b, b, a).Replace(s)
	}
	mallory := identities(t, "ana")[0]
	for name, changed := range map[string]string{
		"another fingerprint":    strings.Replace(text, ana.Recipient().Fingerprint(), mallory.Recipient().Fingerprint(), 1),
		"two fingerprints":       swap(text, ana.Recipient().Fingerprint(), ben.Recipient().Fingerprint()),
		"a recipient's name":     strings.Replace(text, " ben\n", " bob\n", 1),
		"a lower threshold":      strings.Replace(text, "threshold: 2", "threshold: 1", 1),
		"a later date":           regexp.MustCompile(`sealed: 20\d\d`).ReplaceAllString(text, "sealed: 2099"),
		"another id":             strings.Replace(text, line(text, "id", 0), line(other, "id", 0), 1),
		"a tenant left out":      strings.Replace(text, line(text, "tenant", 1), "", 1),
		"another escrow's keys":  strings.Replace(text, line(text, "tenant", 0), line(other, "tenant", 0), 1),
		"tenants swapped":        swap(text, base64.StdEncoding.EncodeToString([]byte("north")), base64.StdEncoding.EncodeToString([]byte("south"))),
		"another escrow's check": strings.Replace(text, line(text, "check", 0), line(other, "check", 0), 1),
		"another escrow's box":   strings.Replace(text, line(text, "box", 0), line(other, "box", 0), 1),
		"another escrow's seal":  strings.Replace(text, line(text, "seal", 0), line(other, "seal", 0), 1),
		"a box left out":         strings.Replace(text, line(text, "box", 1), "", 1),
		"boxes in another order": swap(text, line(text, "box", 0), line(text, "box", 1)),
		"another version":        strings.Replace(text, "escrow v1", "escrow v2", 1),
		"an unknown line":        strings.Replace(text, "threshold:", "note: x\nthreshold:", 1),
		"a leading zero":         strings.Replace(text, "threshold: 2", "threshold: 02", 1),
		"Windows line ends":      strings.ReplaceAll(text, "\n", "\r\n"),
	} {
		err := drill(changed)
		if name == "another fingerprint" {
			require.ErrorIs(t, err, escrow.ErrRecipients, name)
			continue
		}
		require.ErrorIs(t, err, escrow.ErrDamaged, name)
	}
	require.ErrorIs(t, drill(strings.Replace(text, ": 1,3 ", ": 1,2 ", 1)), escrow.ErrDamaged)
}

func TestIdentityFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "ana.identity")
	ana := identities(t, "ana")[0]
	require.NoError(t, escrow.WriteIdentity(path, ana))
	require.ErrorIs(t, escrow.WriteIdentity(path, ana), os.ErrExist)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	back, err := escrow.ReadIdentity(path)
	require.NoError(t, err)
	require.Equal(t, ana.Recipient(), back.Recipient())

	text, err := os.ReadFile(path)
	require.NoError(t, err)
	private := regexp.MustCompile(`private: (.*)`).FindStringSubmatch(string(text))[1]
	raw, err := base64.StdEncoding.DecodeString(private)
	require.NoError(t, err)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d", "%b", "%c", "%U", "%t"} {
		shown := fmt.Sprintf(verb, ana)
		require.NotContains(t, shown, private)
		require.NotContains(t, shown, fmt.Sprintf("%x", raw))
		require.NotContains(t, shown, string(raw))
		require.Equal(t, ana.String(), shown, verb)
	}

	for i := range text {
		changed := append([]byte(nil), text...)
		changed[i] ^= 1
		bad := filepath.Join(dir, "bad")
		require.NoError(t, os.WriteFile(bad, changed, 0o600))
		_, err := escrow.ReadIdentity(bad)
		require.ErrorIs(t, err, escrow.ErrDamaged, "byte %d", i)
		require.NotContains(t, err.Error(), private[:20])
	}
	other := identities(t, "ana")[0].Recipient().Fingerprint()
	forged := forge(strings.Replace(string(text), ana.Recipient().Fingerprint(), other, 1))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "forged"), []byte(forged), 0o600))
	_, err = escrow.ReadIdentity(filepath.Join(dir, "forged"))
	require.ErrorContains(t, err, "the fingerprint is another key's")

	require.NoError(t, os.Chmod(path, 0o644))
	_, err = escrow.ReadIdentity(path)
	require.ErrorIs(t, err, escrow.ErrExposed)
	_, err = escrow.ReadIdentity(dir)
	require.ErrorContains(t, err, "not a regular file")
	_, err = escrow.ReadIdentity(filepath.Join(dir, "nothing"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestRecipientLines(t *testing.T) {
	ana := identities(t, "ana")[0].Recipient()
	back, err := escrow.ParseRecipient(ana.String() + "\n")
	require.NoError(t, err)
	require.Equal(t, ana, back)
	require.Len(t, ana.Fingerprint(), 32)
	for _, bad := range []string{"", "ana", ana.String() + " x", strings.Replace(ana.String(), "v1", "v2", 1), ana.String()[:200], strings.Replace(ana.String(), " ana ", " a\tna ", 1)} {
		_, err := escrow.ParseRecipient(bad)
		require.ErrorIs(t, err, escrow.ErrDamaged)
	}
	for _, name := range []string{"", "a b", "a\nb", "a:b", strings.Repeat("a", 65)} {
		_, err := escrow.NewIdentity(name)
		require.Error(t, err, name)
	}
}

func TestEscrowFilesAreForTheirOwnerOnly(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	e := h.seal(t, 1)
	path := filepath.Join(t.TempDir(), "crm.escrow")
	require.NoError(t, e.Write(path))
	require.ErrorIs(t, e.Write(path), os.ErrExist)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.EqualValues(t, 0o600, info.Mode().Perm())
	require.NoError(t, os.Chmod(path, 0o640))
	_, err = escrow.Read(path)
	require.ErrorIs(t, err, escrow.ErrExposed)
}

func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.escrow")
	require.NoError(f, err)
	require.NotEmpty(f, seeds)
	for _, path := range seeds {
		text, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := escrow.Parse([]byte(text))
		if err != nil {
			require.ErrorIs(t, err, escrow.ErrDamaged)
			e, err = escrow.Parse([]byte(forged(text)))
		}
		if err == nil {
			require.Equal(t, e.Digest(), digest(e.Text()))
			require.LessOrEqual(t, e.Threshold(), len(e.Recipients()))
		}
	})
}

func forged(text string) string {
	if !strings.Contains(text, "sum: ") {
		text += "sum: "
	}
	return forge(text)
}

func digest(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
