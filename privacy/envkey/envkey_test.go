package envkey_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/confide-go/confide/privacy/envkey"
	"github.com/confide-go/confide/privacy/privacytest"
)

const name = "CONFIDE_TEST_ENVKEY"

func TestItFollowsTheRules(t *testing.T) {
	value, err := envkey.New()
	require.NoError(t, err)
	t.Setenv(name, value)
	kek, err := envkey.Open(name)
	require.NoError(t, err)
	privacytest.TestKEK(t, kek)

	again, err := envkey.Open(name)
	require.NoError(t, err)
	box, err := kek.EncryptWithContext(t.Context(), []byte("text"), []byte("ad"))
	require.NoError(t, err)
	got, err := again.DecryptWithContext(t.Context(), box, []byte("ad"))
	require.NoError(t, err)
	require.Equal(t, "text", string(got))
	for _, shown := range []string{fmt.Sprint(kek), fmt.Sprintf("%+v", kek), fmt.Sprintf("%q", kek)} {
		require.NotContains(t, shown, value)
	}
}

func cleartext(t *testing.T, template *tinkpb.KeyTemplate) string {
	h, err := keyset.NewHandle(template)
	require.NoError(t, err)
	var raw bytes.Buffer
	require.NoError(t, insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&raw)))
	return base64.StdEncoding.EncodeToString(raw.Bytes())
}

// Nothing but a whole key is one, and no error shows what was there.
func TestItRefusesEverythingElse(t *testing.T) {
	_, err := envkey.Open(name)
	require.ErrorIs(t, err, envkey.ErrMissing)
	require.ErrorContains(t, err, name)
	value, err := envkey.New()
	require.NoError(t, err)
	for what, bad := range map[string]string{
		"a password":       "correct horse battery staple",
		"a short key":      base64.StdEncoding.EncodeToString([]byte("0123456789abcdef")),
		"raw 32 bytes":     base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)),
		"quotes":           `"` + value + `"`,
		"half of it":       value[:len(value)/2/4*4],
		"twice":            value + value,
		"the other base64": "_" + value[1:],
		"a MAC key":        cleartext(t, mac.HMACSHA256Tag128KeyTemplate()),
		"128 bits":         cleartext(t, aead.AES128GCMKeyTemplate()),
	} {
		t.Run(what, func(t *testing.T) {
			t.Setenv(name, bad)
			_, err := envkey.Open(name)
			require.ErrorIs(t, err, envkey.ErrGarbled)
			require.ErrorContains(t, err, name)
			require.NotContains(t, err.Error(), bad[:8])
		})
	}
}
