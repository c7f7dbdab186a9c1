package awskms_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/examples/kms/awskms"
	"github.com/confide-go/confide/examples/kms/internal/kmstest"
)

const (
	first  = "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	second = "arn:aws:kms:eu-central-1:111122223333:key/9999abcd-12ab-34cd-56ef-1234567890ab"
)

// server plays AWS KMS over its JSON protocol: it really encrypts, enforces the encryption context and the key
// id, and asks for a signature. Its key policy is the one of README.md.
type server struct {
	kmstest.Troubles
	keys     map[string]*kmstest.Key
	mu       sync.Mutex
	disabled bool
	lie      string // the key it says it used
	contexts []map[string]string
}

type request struct {
	KeyId                     string
	Plaintext, CiphertextBlob []byte
	EncryptionContext         map[string]string
	EncryptionAlgorithm       string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch s.Next(r.Context().Done()) {
	case kmstest.IsDown:
		panic(http.ErrAbortHandler) // the connection breaks
	case kmstest.IsThrottled:
		fail(w, "ThrottlingException", "Rate exceeded")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var in request
	body, _ := io.ReadAll(r.Body)
	if err := json.Unmarshal(body, &in); err != nil {
		fail(w, "SerializationException", err.Error())
		return
	}
	key := s.keys[in.KeyId]
	switch {
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "):
		fail(w, "MissingAuthenticationTokenException", "not signed")
	case key == nil:
		fail(w, "NotFoundException", "Key does not exist")
	case s.disabled:
		fail(w, "DisabledException", in.KeyId+" is disabled.")
	case len(in.EncryptionContext) != 1 || in.EncryptionContext[awskms.ContextKey] == "":
		fail(w, "AccessDeniedException", "no identity-based policy allows the action")
	case in.EncryptionAlgorithm != "SYMMETRIC_DEFAULT":
		fail(w, "ValidationException", "algorithm")
	default:
		s.contexts = append(s.contexts, in.EncryptionContext)
		s.answer(w, strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService."), key, in)
	}
}

func (s *server) answer(w http.ResponseWriter, operation string, key *kmstest.Key, in request) {
	out := map[string]any{"KeyId": in.KeyId, "EncryptionAlgorithm": in.EncryptionAlgorithm}
	if s.lie != "" {
		out["KeyId"] = s.lie
	}
	ad, _ := json.Marshal(in.EncryptionContext)
	switch operation {
	case "Encrypt":
		if len(in.Plaintext) > 4096 {
			fail(w, "ValidationException", "plaintext")
			return
		}
		out["CiphertextBlob"] = key.Seal(in.Plaintext, ad)
	case "Decrypt":
		plain, err := key.Open(in.CiphertextBlob, ad)
		if err != nil {
			fail(w, "InvalidCiphertextException", "")
			return
		}
		out["Plaintext"] = plain
	default:
		fail(w, "UnknownOperationException", operation)
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(out)
}

func fail(w http.ResponseWriter, kind, message string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": kind, "message": message})
}

type house struct {
	*server
	url string
}

func newHouse(t *testing.T) house {
	s := &server{keys: map[string]*kmstest.Key{first: kmstest.NewKey("1"), second: kmstest.NewKey("2")}}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return house{s, web.URL}
}

func (h house) kek(t *testing.T, arn string, timeout time.Duration) *awskms.KEK {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := kms.New(kms.Options{
		Region: "eu-central-1", BaseEndpoint: aws.String(h.url), HTTPClient: &http.Client{Transport: transport},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKID", SecretAccessKey: "not a secret"}, nil
		}),
	})
	kek, err := awskms.New(client, awskms.Config{KeyARN: arn, Timeout: timeout})
	require.NoError(t, err)
	return kek
}

func service(h house) kmstest.Service {
	return kmstest.Service{
		Client: func(t *testing.T, other bool, timeout time.Duration) tink.AEADWithContext {
			if other {
				return h.kek(t, second, timeout)
			}
			return h.kek(t, first, timeout)
		},
		Faults: h.server,
	}
}

func TestAWS(t *testing.T) { kmstest.Run(t, service(newHouse(t))) }

func TestAWSInTrouble(t *testing.T) { kmstest.RunFaults(t, service(newHouse(t))) }

func TestTheContextIsTheAssociatedData(t *testing.T) {
	h := newHouse(t)
	_, err := h.kek(t, first, time.Minute).EncryptWithContext(t.Context(), []byte("k"), []byte{0, 0xff, 'a'})
	require.NoError(t, err)
	require.Equal(t, []map[string]string{{"confide": hex.EncodeToString([]byte{0, 0xff, 'a'})}}, h.contexts)
}

func TestAnAnswerFromAnotherKeyIsDiscarded(t *testing.T) {
	h := newHouse(t)
	kek := h.kek(t, first, time.Minute)
	box, err := kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.NoError(t, err)
	h.lie = second
	_, err = kek.DecryptWithContext(t.Context(), box, []byte("ad"))
	require.ErrorContains(t, err, "the service used key")
	_, err = kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.ErrorContains(t, err, "the answer is discarded")
}

func TestErrorsSayWhatToDo(t *testing.T) {
	h := newHouse(t)
	_, err := awskms.New(nil, awskms.Config{KeyARN: first})
	require.ErrorContains(t, err, "kms.NewFromConfig")
	for _, name := range []string{"", "alias/confide", "arn:aws:kms:eu-central-1:111122223333:alias/confide", "1234abcd-12ab-34cd-56ef-1234567890ab"} {
		_, err := awskms.New(kms.New(kms.Options{}), awskms.Config{KeyARN: name})
		require.ErrorContains(t, err, "an alias will not do", name)
	}
	unknown := h.kek(t, strings.Replace(first, "1234abcd", "00000000", 1), time.Minute)
	_, err = unknown.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.ErrorContains(t, err, "is the ARN right, and the region?")
	h.disabled = true
	_, err = h.kek(t, first, time.Minute).EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.ErrorContains(t, err, "enable the key")
	h.disabled = false
	h.Throttle(1000)
	_, err = h.kek(t, first, time.Minute).EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.ErrorContains(t, err, "still throttled after the SDK's retries")
}
