package privacy_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/privacy"
)

func newAEAD(t testing.TB) (*keyset.Handle, tink.AEAD) {
	t.Helper()
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	a, err := aead.New(h)
	require.NoError(t, err)
	return h, a
}

func wrap(t testing.TB, h *keyset.Handle, with tink.AEAD, ad []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	require.NoError(t, h.WriteWithAssociatedData(keyset.NewBinaryWriter(&buf), with, ad))
	return buf.Bytes()
}

// What is written by hand is what Tink writes, byte for byte, so that either reads the other's keysets.
func TestPersonKeysAreTinkKeysets(t *testing.T) {
	_, tenant := newAEAD(t)
	ad, other := []byte("right"), []byte("wrong")
	for range 200 {
		made, wrapped, err := privacy.MakePersonKey(tenant, ad)
		require.NoError(t, err)
		h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), tenant, ad)
		require.NoError(t, err)
		require.Equal(t, 1, h.Len())
		theirs, err := aead.New(h)
		require.NoError(t, err)
		box, err := made.Encrypt([]byte("value"), other)
		require.NoError(t, err)
		value, err := theirs.Decrypt(box, other)
		require.NoError(t, err)
		require.Equal(t, "value", string(value))

		plain, err := tenant.Decrypt(wrapped[3:], ad)
		require.NoError(t, err)
		again, err := tenant.Decrypt(wrap(t, h, tenant, ad)[3:], ad)
		require.NoError(t, err)
		require.Equal(t, again, plain)
		require.True(t, privacy.IsPlainPersonKey(plain), "the quick reader knows what Tink writes")

		_, err = privacy.ReadPersonKey(wrapped, tenant, other)
		require.Error(t, err)
	}
}

// A keyset of any other shape is read by Tink, and means what Tink says it means.
func TestPersonKeysOfOtherShapes(t *testing.T) {
	_, tenant := newAEAD(t)
	ad := []byte("ad")
	h, old := newAEAD(t)
	box, err := old.Encrypt([]byte("value"), nil)
	require.NoError(t, err)

	m := keyset.NewManagerFromHandle(h)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	require.NoError(t, m.SetPrimary(id))
	two, err := m.Handle()
	require.NoError(t, err)
	a, err := privacy.ReadPersonKey(wrap(t, two, tenant, ad), tenant, ad)
	require.NoError(t, err)
	value, err := a.Decrypt(box, nil)
	require.NoError(t, err)
	require.Equal(t, "value", string(value))

	require.NoError(t, m.Disable(h.KeysetInfo().GetPrimaryKeyId()))
	one, err := m.Handle()
	require.NoError(t, err)
	a, err = privacy.ReadPersonKey(wrap(t, one, tenant, ad), tenant, ad)
	require.NoError(t, err)
	_, err = a.Decrypt(box, nil)
	require.Error(t, err, "a disabled key opens nothing")

	x, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	require.NoError(t, err)
	theirs, err := aead.New(x)
	require.NoError(t, err)
	box, err = theirs.Encrypt([]byte("value"), nil)
	require.NoError(t, err)
	a, err = privacy.ReadPersonKey(wrap(t, x, tenant, ad), tenant, ad)
	require.NoError(t, err)
	value, err = a.Decrypt(box, nil)
	require.NoError(t, err)
	require.Equal(t, "value", string(value))
}

// No changed byte of a wrapped key gives a key, and no changed keyset passes for the one shape.
func TestPersonKeysThatWereChanged(t *testing.T) {
	_, tenant := newAEAD(t)
	ad := []byte("ad")
	key, wrapped, err := privacy.MakePersonKey(tenant, ad)
	require.NoError(t, err)
	box, err := key.Encrypt([]byte("value"), nil)
	require.NoError(t, err)
	for i := range wrapped {
		for _, bit := range []byte{1, 0x80} {
			changed := bytes.Clone(wrapped)
			changed[i] ^= bit
			a, err := privacy.ReadPersonKey(changed, tenant, ad)
			if err != nil {
				continue
			}
			// Another way to write the same protocol buffer, such as a longer length, would be no harm.
			value, err := a.Decrypt(box, nil)
			require.NoError(t, err)
			require.Equal(t, "value", string(value))
		}
	}
	for n := range wrapped {
		_, err := privacy.ReadPersonKey(wrapped[:n], tenant, ad)
		require.Error(t, err, "cut after %d bytes", n)
	}
	plain, err := tenant.Decrypt(wrapped[3:], ad)
	require.NoError(t, err)
	for i := range plain {
		changed := bytes.Clone(plain)
		changed[i] ^= 1
		if privacy.IsPlainPersonKey(changed) {
			box, err := tenant.Encrypt(changed, ad)
			require.NoError(t, err)
			_, err = keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(append(bytes.Clone(wrapped[:3]), box...))), tenant, ad)
			require.NoError(t, err, "only the key's own bytes may differ (byte %d)", i)
		}
	}
	for _, junk := range [][]byte{nil, {0}, {8}, {8, 0x80}, {0x12}, {0x12, 0x80}, {0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, bytes.Repeat([]byte{0xff}, 200)} {
		_, err := privacy.ReadPersonKey(junk, tenant, ad)
		require.Error(t, err)
		require.False(t, privacy.IsPlainPersonKey(junk))
	}
}
