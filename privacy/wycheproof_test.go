package privacy_test

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/privacy"
)

// wycheproofGCM is testvectors_v1/aes_gcm_test.json of github.com/C2SP/wycheproof (Apache 2.0).
type wycheproofGCM struct {
	TestGroups []struct {
		KeySize, IVSize, TagSize int
		Tests                    []struct {
			TcID                               int
			Comment                            string
			Flags                              []string
			Key, IV, AAD, Msg, CT, Tag, Result string
		}
	}
}

const wycheproofKeyID = 0x01020304

func keysetWith(t *testing.T, key []byte) tink.AEAD {
	t.Helper()
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{KeySizeInBytes: len(key), IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink})
	require.NoError(t, err)
	k, err := aesgcm.NewKey(secretdata.NewBytesFromData(key, insecuresecretdataaccess.Token{}), wycheproofKeyID, params)
	require.NoError(t, err)
	m := keyset.NewManager()
	id, err := m.AddKey(k)
	require.NoError(t, err)
	require.NoError(t, m.SetPrimary(id))
	h, err := m.Handle()
	require.NoError(t, err)
	a, err := aead.New(h)
	require.NoError(t, err)
	return a
}

// Every vector with the sizes of a cell goes through the cell: the valid open, the others never do.
func TestWycheproof(t *testing.T) {
	f, err := os.Open("testdata/wycheproof/aes_gcm_test.json.gz")
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var all wycheproofGCM
	require.NoError(t, json.NewDecoder(z).Decode(&all))
	var valid, invalid int
	for _, g := range all.TestGroups {
		if g.KeySize != 256 || g.IVSize != 96 || g.TagSize != 128 {
			continue
		}
		for _, v := range g.Tests {
			box := binary.BigEndian.AppendUint32([]byte{0xC0, 0xDE, 1, 1}, wycheproofKeyID)
			box = slices.Concat(box, unhex(t, v.IV), unhex(t, v.CT), unhex(t, v.Tag))
			got, err := privacy.OpenBox(keysetWith(t, unhex(t, v.Key)), box, unhex(t, v.AAD))
			if v.Result != "valid" {
				invalid++
				require.ErrorIs(t, err, privacy.ErrUnreadable, "vector %d: %s %v", v.TcID, v.Comment, v.Flags)
				continue
			}
			valid++
			require.NoError(t, err, "vector %d: %s", v.TcID, v.Comment)
			assert.Equal(t, unhex(t, v.Msg), append([]byte{}, got...), "vector %d", v.TcID)
		}
	}
	require.Greater(t, valid, 30)
	require.Greater(t, invalid, 25)
}
