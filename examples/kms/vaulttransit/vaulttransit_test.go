package vaulttransit_test

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/examples/kms/internal/kmstest"
	"github.com/confide-go/confide/examples/kms/vaulttransit"
	"github.com/confide-go/confide/privacy"
)

// server plays the transit engine over HTTP, as its documentation and its habits are: a derived key needs a
// context and derives a key from it, any other key ignores the context, parameters it does not know are
// ignored, and what does not decrypt is a 400.
type server struct {
	kmstest.Troubles
	keys map[string]transitKey

	mu     sync.Mutex
	sealed bool
	broken bool // answers without data
	seen   []map[string]string
}

type transitKey struct {
	derived bool
	raw     []byte
}

func (k transitKey) at(context []byte) *kmstest.Key {
	raw := k.raw
	if k.derived {
		raw, _ = hkdf.Key(sha256.New, k.raw, nil, string(context), 32)
	}
	return kmstest.KeyFrom("", raw)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch s.Next(r.Context().Done()) {
	case kmstest.IsDown:
		panic(http.ErrAbortHandler)
	case kmstest.IsThrottled:
		fail(w, http.StatusTooManyRequests, "request path \"transit/\": rate limit quota exceeded")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	operation, name := path.Split(strings.TrimPrefix(r.URL.Path, "/v1/"))
	var in map[string]string
	key, known := s.keys[name]
	switch {
	case s.sealed:
		fail(w, http.StatusServiceUnavailable, "Vault is sealed")
	case r.Header.Get("X-Vault-Token") != "app":
		fail(w, http.StatusForbidden, "permission denied")
	case operation != "transit/encrypt/" && operation != "transit/decrypt/":
		fail(w, http.StatusNotFound, "no handler for route \""+operation+"\". route entry not found.")
	case json.NewDecoder(r.Body).Decode(&in) != nil:
		fail(w, http.StatusBadRequest, "failed to parse JSON input")
	case !known:
		fail(w, http.StatusBadRequest, "encryption key not found")
	case key.derived && in["context"] == "":
		fail(w, http.StatusBadRequest, "missing 'context' for key derivation; the key was created using a derived key, which means additional, per-request information must be included in order to perform operations with the key")
	case s.broken:
		_, _ = w.Write([]byte(`{"data":{}}`))
	default:
		s.seen = append(s.seen, in)
		s.answer(w, operation, key, in)
	}
}

func (s *server) answer(w http.ResponseWriter, operation string, key transitKey, in map[string]string) {
	context, err := base64.StdEncoding.DecodeString(in["context"])
	if err != nil {
		fail(w, http.StatusBadRequest, "failed to base64-decode context")
		return
	}
	data := map[string]any{}
	if operation == "transit/encrypt/" {
		plain, err := base64.StdEncoding.DecodeString(in["plaintext"])
		if err != nil {
			fail(w, http.StatusBadRequest, "failed to base64-decode plaintext")
			return
		}
		data["key_version"] = 1
		data["ciphertext"] = "vault:v1:" + base64.StdEncoding.EncodeToString(key.at(context).Seal(plain, nil)[1:])
	} else {
		text, ok := strings.CutPrefix(in["ciphertext"], "vault:v1:")
		box, err := base64.StdEncoding.DecodeString(text)
		plain, openErr := key.at(context).Open(append([]byte{0}, box...), nil)
		if !ok || err != nil || openErr != nil {
			fail(w, http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		data["plaintext"] = base64.StdEncoding.EncodeToString(plain)
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"request_id": "1", "data": data})
}

func fail(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []string{message}})
}

type house struct {
	*server
	url string
}

func newHouse(t *testing.T) house {
	s := &server{keys: map[string]transitKey{
		"confide": {true, []byte(strings.Repeat("1", 32))},
		"other":   {true, []byte(strings.Repeat("2", 32))},
		"plain":   {false, []byte(strings.Repeat("3", 32))},
	}}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return house{s, web.URL}
}

func (h house) client(t *testing.T) *api.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	cfg := api.DefaultConfig()
	require.NoError(t, cfg.Error)
	cfg.Address, cfg.HttpClient = h.url, &http.Client{Transport: transport}
	cfg.MinRetryWait, cfg.MaxRetryWait = time.Millisecond, 10*time.Millisecond
	client, err := api.NewClient(cfg)
	require.NoError(t, err)
	client.SetToken("app")
	return client
}

func (h house) kek(t *testing.T, key string, timeout time.Duration) *vaulttransit.KEK {
	kek, err := vaulttransit.New(h.client(t), vaulttransit.Config{Key: key, Timeout: timeout})
	require.NoError(t, err)
	return kek
}

func service(h house) kmstest.Service {
	return kmstest.Service{
		Client: func(t *testing.T, other bool, timeout time.Duration) tink.AEADWithContext {
			if other {
				return h.kek(t, "other", timeout)
			}
			return h.kek(t, "confide", timeout)
		},
		Faults: h.server,
	}
}

func TestVault(t *testing.T) { kmstest.Run(t, service(newHouse(t))) }

func TestVaultInTrouble(t *testing.T) { kmstest.RunFaults(t, service(newHouse(t))) }

// For a key that is not derived Vault ignores the context and says nothing. The vault does.
func TestAKeyThatIsNotDerivedIsRefusedAtStart(t *testing.T) {
	h := newHouse(t)
	kek := h.kek(t, "plain", time.Minute)
	box, err := kek.EncryptWithContext(t.Context(), []byte("k"), []byte("tenant a"))
	require.NoError(t, err)
	_, err = kek.DecryptWithContext(t.Context(), box, []byte("tenant b"))
	require.NoError(t, err, "the server must play Vault's silence")

	_, err = privacy.Open(t.Context(), privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard})
	require.ErrorIs(t, err, privacy.ErrKey)
	require.ErrorContains(t, err, "ignores associated data")
	require.ErrorContains(t, err, "Vault transit: a derived key")
}

func TestTheAssociatedDataIsTheContext(t *testing.T) {
	h := newHouse(t)
	_, err := h.kek(t, "confide", time.Minute).EncryptWithContext(t.Context(), []byte("k"), []byte{0, 0xff})
	require.NoError(t, err)
	require.Equal(t, []map[string]string{{"plaintext": "aw==", "context": "AP8="}}, h.seen)
}

// The server decodes base64 loosely, so that two texts mean the same bytes; the recipe takes one only.
func TestASecondSpellingOfACiphertextIsRefused(t *testing.T) {
	h := newHouse(t)
	kek := h.kek(t, "confide", time.Minute)
	box, err := kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.NoError(t, err)
	for plain := "k"; !strings.HasSuffix(string(box), "=="); plain += "k" {
		box, err = kek.EncryptWithContext(t.Context(), []byte(plain), []byte("ad"))
		require.NoError(t, err)
	}
	// Of the last letter before == only two bits count.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	loose := bytes.Clone(box)
	loose[len(loose)-3] = alphabet[strings.IndexByte(alphabet, loose[len(loose)-3])+1]
	for _, other := range []string{
		string(loose), string(box) + "\n", strings.Replace(string(box), "v1:", "v1:\n", 1), strings.Replace(string(box), "v1:", "v01:", 1), "vault:v1:", "vault:v0:QUJD", "",
	} {
		_, err := kek.DecryptWithContext(t.Context(), []byte(other), []byte("ad"))
		require.Error(t, err, fmt.Sprintf("%q", other))
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	h := newHouse(t)
	_, err := vaulttransit.New(nil, vaulttransit.Config{Key: "confide"})
	require.ErrorContains(t, err, "api.NewClient")
	_, err = vaulttransit.New(h.client(t), vaulttransit.Config{})
	require.ErrorContains(t, err, "Key is missing")
	encrypt := func(client *api.Client, cfg vaulttransit.Config) error {
		kek, err := vaulttransit.New(client, cfg)
		require.NoError(t, err)
		_, err = kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
		return err
	}
	require.ErrorContains(t, encrypt(h.client(t), vaulttransit.Config{Key: "nobody"}), "there is no such key")
	require.ErrorContains(t, encrypt(h.client(t), vaulttransit.Config{Key: "confide", Mount: "elsewhere"}), "mounted there")
	stranger := h.client(t)
	stranger.SetToken("stolen-token")
	err = encrypt(stranger, vaulttransit.Config{Key: "confide"})
	require.ErrorContains(t, err, "renew the token")
	require.NotContains(t, err.Error(), "stolen-token")
	h.Throttle(1000)
	require.ErrorContains(t, encrypt(h.client(t), vaulttransit.Config{Key: "confide"}), "raise the rate limit quota")
	h.Throttle(0)
	h.broken = true
	require.ErrorContains(t, encrypt(h.client(t), vaulttransit.Config{Key: "confide"}), "the answer has no ciphertext")
	h.broken, h.sealed = false, true
	require.ErrorContains(t, encrypt(h.client(t), vaulttransit.Config{Key: "confide"}), "unseal the server")
}
