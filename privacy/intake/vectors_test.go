package intake_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"

	"github.com/confide-go/confide/privacy/intake"
)

var appendVectors = flag.Bool("append-vectors", false, "append boxes to testdata/vectors.json; never needed unless a format gets a new version")

// A vector is a box and all that it takes to open it, in hexadecimal but for the texts.
type vector struct {
	Maker      string `json:"maker"` // "go", "python": testdata/read_vectors.py --make, or "hpke-js"
	KeyID      string `json:"key_id"`
	Private    string `json:"private"`
	Public     string `json:"public"` // the line
	Form       string `json:"form"`
	Tenant     string `json:"tenant"`
	Submission string `json:"submission"`
	Body       string `json:"body"`
	Box        string `json:"box"`
}

func (v vector) keys(t testing.TB) *intake.Keys {
	t.Helper()
	id, err := strconv.ParseUint(v.KeyID, 16, 32)
	require.NoError(t, err)
	keys, err := intake.KeysFrom(uint32(id), unhex(t, v.Private))
	require.NoError(t, err)
	return keys
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// What was ever sealed, by this package or after FORMAT.md by somebody else, can be opened for ever.
func TestFrozenVectors(t *testing.T) {
	if *appendVectors {
		writeVectors(t)
	}
	makers := map[string]int{}
	for _, v := range vectors(t) {
		makers[v.Maker]++
		keys := v.keys(t)
		require.Equal(t, v.Public, keys.Public().String())
		public, err := intake.ParsePublicKey(v.Public)
		require.NoError(t, err)
		require.Equal(t, v.KeyID, public.ID())
		box, err := intake.ParseBox(unhex(t, v.Box))
		require.NoError(t, err)
		body, err := keys.OpenAt(intake.Place{Form: v.Form, Tenant: v.Tenant, Submission: v.Submission}, box)
		require.NoError(t, err)
		require.Equal(t, v.Body, hex.EncodeToString(body))
		_, err = keys.OpenAt(intake.Place{Form: v.Form, Tenant: v.Tenant, Submission: v.Submission + "0"}, box)
		require.ErrorIs(t, err, intake.ErrUnreadable)
	}
	require.Positive(t, makers["go"])
	require.Positive(t, makers["python"])
	require.Positive(t, makers["hpke-js"])
}

const vectorFile = "testdata/vectors.json"

func vectors(t testing.TB) (all []vector) {
	t.Helper()
	text, err := os.ReadFile(vectorFile)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	return all
}

func writeVectors(t *testing.T) {
	t.Helper()
	all := vectors(t)
	for _, v := range []vector{
		{Form: "contact", Tenant: "main", Submission: "s1", Body: "13800138000"},
		{Form: "联系", Tenant: "租户", Submission: "0a:b", Body: "王小明"},
		{Form: "f", Tenant: "t", Submission: "s", Body: ""},
	} {
		keys := newKeys(t)
		box := sealed(t, keys, intake.Place{Form: v.Form, Tenant: v.Tenant, Submission: v.Submission}, v.Body)
		v.Maker, v.KeyID, v.Private, v.Public = "go", keys.Public().ID(), hex.EncodeToString(keys.Raw()), keys.Public().String()
		v.Body, v.Box = hex.EncodeToString([]byte(v.Body)), hex.EncodeToString(box.Bytes())
		all = append(all, v)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(vectorFile, append(text, '\n'), 0o644))
}

// RFC 9180, A.1.1: X25519, HKDF-SHA256, AES-128-GCM, base mode. Its ciphertexts have associated data, which Tink's
// one message has not; but the key and the nonce of the message are published too, and with them the standard
// library's GCM makes the message that Tink must open.
func TestRFC9180(t *testing.T) {
	const (
		private = "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8"
		public  = "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d"
		enc     = "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"
		info    = "4f6465206f6e2061204772656369616e2055726e"
		key     = "4531685d41d65f03dc48f6b8302c05b0"
		nonce   = "56d890e5accaaf011cff4b7d"
		plain   = "4265617574792069732074727574682c20747275746820626561757479"
		aad     = "436f756e742d30"
		sealed  = "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a"
	)
	block, err := aes.NewCipher(unhex(t, key))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	require.Equal(t, sealed, hex.EncodeToString(gcm.Seal(nil, unhex(t, nonce), unhex(t, plain), unhex(t, aad))), "key and nonce are the RFC's")
	message := append(unhex(t, enc), gcm.Seal(nil, unhex(t, nonce), unhex(t, plain), nil)...)

	params, err := hpke.NewParameters(hpke.ParametersOpts{KEMID: hpke.DHKEM_X25519_HKDF_SHA256, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES128GCM, Variant: hpke.VariantNoPrefix})
	require.NoError(t, err)
	k, err := hpke.NewPrivateKey(secretdata.NewBytesFromData(unhex(t, private), insecuresecretdataaccess.Token{}), 0, params)
	require.NoError(t, err)
	m := keyset.NewManager()
	id, err := m.AddKey(k)
	require.NoError(t, err)
	require.NoError(t, m.SetPrimary(id))
	h, err := m.Handle()
	require.NoError(t, err)
	dec, err := hybrid.NewHybridDecrypt(h)
	require.NoError(t, err)
	got, err := dec.Decrypt(message, unhex(t, info))
	require.NoError(t, err)
	require.Equal(t, plain, hex.EncodeToString(got))
	half, err := k.PublicKey()
	require.NoError(t, err)
	require.Equal(t, public, hex.EncodeToString(half.(*hpke.PublicKey).PublicKeyBytes()))
}
