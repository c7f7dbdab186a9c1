package intake_test

import (
	"bytes"
	"crypto/ecdh"
	stdhpke "crypto/hpke"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy/intake"
)

var at = intake.Place{Form: "contact", Tenant: "main", Submission: "s1"}

func newKeys(t testing.TB) *intake.Keys {
	t.Helper()
	k, err := intake.NewKeys()
	require.NoError(t, err)
	return k
}

func sealed(t testing.TB, k *intake.Keys, at intake.Place, body string) intake.Box {
	t.Helper()
	b, err := k.Public().Seal(at, []byte(body))
	require.NoError(t, err)
	return b
}

func TestBoxesOpenWhereTheyBelong(t *testing.T) {
	keys := newKeys(t)
	for _, body := range []string{"", "x", "王小明 13800138000", strings.Repeat("x", intake.MaxSize)} {
		box := sealed(t, keys, at, body)
		require.Len(t, box.Bytes(), len(body)+intake.Overhead)
		require.NotEqual(t, box, sealed(t, keys, at, body))
		got, err := keys.OpenAt(at, box)
		require.NoError(t, err)
		require.Equal(t, body, string(got))
	}
	box := sealed(t, keys, at, "x")
	for _, other := range []intake.Place{
		{Form: "Contact", Tenant: "main", Submission: "s1"}, {Form: "contact", Tenant: "other", Submission: "s1"},
		{Form: "contact", Tenant: "main", Submission: "s2"}, {Form: "contactm", Tenant: "ain", Submission: "s1"},
	} {
		_, err := keys.OpenAt(other, box)
		require.ErrorIs(t, err, intake.ErrUnreadable, "%v", other)
		require.EqualError(t, err, "intake: box cannot be opened: it was damaged, or sealed for another form, tenant or submission")
	}
	_, err := newKeys(t).OpenAt(at, box)
	require.ErrorIs(t, err, intake.ErrKey)
	require.ErrorContains(t, err, "sealed under key "+box.KeyID()+", which is not among these")
}

// The same key id on another key does not open.
func TestKeyIDIsNoProof(t *testing.T) {
	a, err := intake.KeysFrom(7, newKeys(t).Raw())
	require.NoError(t, err)
	b, err := intake.KeysFrom(7, newKeys(t).Raw())
	require.NoError(t, err)
	_, err = b.OpenAt(at, sealed(t, a, at, "x"))
	require.ErrorIs(t, err, intake.ErrUnreadable)
	// Nor does the same key under another id.
	c, err := intake.KeysFrom(8, a.Raw())
	require.NoError(t, err)
	raw := sealed(t, a, at, "x").Bytes()
	raw[7] = 8
	moved, err := intake.ParseBox(raw)
	require.NoError(t, err)
	_, err = c.OpenAt(at, moved)
	require.ErrorIs(t, err, intake.ErrUnreadable)
}

func TestNoChangedByteOpens(t *testing.T) {
	keys := newKeys(t)
	raw := sealed(t, keys, at, "王小明").Bytes()
	for i := range raw {
		for bit := range 8 {
			changed := bytes.Clone(raw)
			changed[i] ^= 1 << bit
			box, err := intake.ParseBox(changed)
			if err == nil {
				_, err = keys.OpenAt(at, box)
			}
			if i >= 8 && i < 40 && err == nil {
				// X25519 ignores the highest bit of a point, but HPKE binds the bytes as they came.
				t.Errorf("byte %d of the encapsulated key is not bound", i)
			}
			require.Error(t, err, "byte %d bit %d", i, bit)
		}
	}
	for n := range raw {
		box, err := intake.ParseBox(raw[:n])
		if err == nil {
			_, err = keys.OpenAt(at, box)
		}
		require.Error(t, err, "cut to %d", n)
	}
	box, err := intake.ParseBox(append(bytes.Clone(raw), 0))
	require.NoError(t, err)
	_, err = keys.OpenAt(at, box)
	require.ErrorIs(t, err, intake.ErrUnreadable)
}

func TestShapeIsChecked(t *testing.T) {
	raw := sealed(t, newKeys(t), at, "x").Bytes()
	change := func(i int, c byte) []byte { b := bytes.Clone(raw); b[i] = c; return b }
	for _, c := range []struct {
		raw  []byte
		err  error
		text string
	}{
		{nil, intake.ErrBox, "do not begin like one"}, {[]byte("13800138000"), intake.ErrBox, "do not begin like one"},
		{change(2, 2), intake.ErrBox, "format version 2 is none that this program knows"}, {change(3, 0), intake.ErrBox, "key's prefix"},
		{raw[:intake.Overhead-1], intake.ErrBox, "cut short"}, {append(bytes.Clone(raw), make([]byte, intake.MaxSize)...), intake.ErrTooLarge, "at most"},
	} {
		_, err := intake.ParseBox(c.raw)
		require.ErrorIs(t, err, c.err)
		require.ErrorContains(t, err, c.text)
		require.NotContains(t, err.Error(), "1380013")
	}
	_, err := newKeys(t).Public().Seal(at, make([]byte, intake.MaxSize+1))
	require.ErrorIs(t, err, intake.ErrTooLarge)
	for _, bad := range []intake.Place{{}, {Form: "f", Tenant: "t"}, {Form: "f", Submission: "s"}, {Tenant: "t", Submission: "s"}, {Form: strings.Repeat("f", 201), Tenant: "t", Submission: "s"}, {Form: "\xff", Tenant: "t", Submission: "s"}} {
		_, err := newKeys(t).Public().Seal(bad, nil)
		require.ErrorContains(t, err, "intake: Place.")
	}
}

func TestBoxIsNeverPrinted(t *testing.T) {
	box := sealed(t, newKeys(t), at, "13800138000")
	var out strings.Builder
	for _, v := range []any{box, &box, struct{ B intake.Box }{box}, []intake.Box{box}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		b, err := json.Marshal(v)
		require.NoError(t, err)
		out.Write(b)
		require.Error(t, gob.NewEncoder(&out).Encode(v))
	}
	raw := box.Bytes()[10:20]
	for _, bad := range []string{string(raw), hex.EncodeToString(raw), strings.Trim(fmt.Sprint(raw), "[]"), base64.StdEncoding.EncodeToString(box.Bytes())[16:24]} {
		require.NotContains(t, out.String(), bad)
	}
	require.Equal(t, "[sealed]", fmt.Sprint(box))
	require.Equal(t, "", fmt.Sprint(intake.Box{}))
	b, err := json.Marshal(box)
	require.NoError(t, err)
	require.Error(t, json.Unmarshal(b, &box), "a mask came back as a box")
}

func TestBoxFromJSON(t *testing.T) {
	box := sealed(t, newKeys(t), at, "x")
	b, err := json.Marshal(base64.StdEncoding.EncodeToString(box.Bytes()))
	require.NoError(t, err)
	var got intake.Box
	require.NoError(t, json.Unmarshal(b, &got))
	require.Equal(t, box, got)
	require.NoError(t, json.Unmarshal([]byte("null"), &got))
	require.True(t, got.IsZero())
	for _, bad := range []string{`"13800138000"`, `"%%"`, `5`, `{}`} {
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &got), intake.ErrBox, bad)
	}
}

// The standard library's HPKE and Tink's understand each other, and FORMAT.md says all that it takes.
func TestStandardLibraryInterop(t *testing.T) {
	keys := newKeys(t)
	curve, err := ecdh.X25519().NewPrivateKey(keys.Raw())
	require.NoError(t, err)
	private, err := stdhpke.NewDHKEMPrivateKey(curve)
	require.NoError(t, err)
	public, err := stdhpke.NewDHKEMPublicKey(curve.PublicKey())
	require.NoError(t, err)
	info := at.Info(keys.Public().ID())

	box := sealed(t, keys, at, "ours")
	body, err := stdhpke.Open(private, stdhpke.HKDFSHA256(), stdhpke.AES256GCM(), info, box.Bytes()[8:])
	require.NoError(t, err)
	require.Equal(t, "ours", string(body))

	theirs, err := stdhpke.Seal(public, stdhpke.HKDFSHA256(), stdhpke.AES256GCM(), info, []byte("theirs"))
	require.NoError(t, err)
	parsed, err := intake.ParseBox(append(box.Bytes()[:8:8], theirs...))
	require.NoError(t, err)
	body, err = keys.OpenAt(at, parsed)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(body))
}

// The box is a frozen one: each process of a fuzzing run would seal another.
func FuzzBox(f *testing.F) {
	v := vectors(f)[0]
	keys, good := v.keys(f), unhex(f, v.Box)
	at := intake.Place{Form: v.Form, Tenant: v.Tenant, Submission: v.Submission}
	f.Add(good)
	f.Add(good[:intake.Overhead])
	f.Add([]byte("plain text of a customer"))
	f.Fuzz(func(t *testing.T, b []byte) {
		box, err := intake.ParseBox(b)
		if err != nil {
			require.True(t, box.IsZero())
			return
		}
		require.Equal(t, b, box.Bytes())
		_, err = keys.OpenAt(at, box)
		require.Equal(t, bytes.Equal(b, good), err == nil)
	})
}
