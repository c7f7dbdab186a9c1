package gcpkms_test

import (
	"context"
	"hash/crc32"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	kms "cloud.google.com/go/kms/apiv1"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/confide-go/confide/examples/kms/gcpkms"
	"github.com/confide-go/confide/examples/kms/internal/kmstest"
)

const (
	first  = "projects/p/locations/europe-west3/keyRings/crm/cryptoKeys/kek"
	second = "projects/p/locations/europe-west3/keyRings/crm/cryptoKeys/other"
)

// server plays Cloud KMS: it really encrypts with the additional data, checks the request's CRCs and gives
// its own. On the wire it is the SDK's own gRPC.
type server struct {
	kmspb.UnimplementedKeyManagementServiceServer
	kmstest.Troubles
	keys map[string]*kmstest.Key

	mu     sync.Mutex
	answer codes.Code // every request gets it
	deaf   string     // what it does not look at: plaintext or data
	flip   bool       // flips a bit of each answer
	lie    string     // the key it says it used
}

func castagnoli(b []byte) int64 {
	return int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

func (s *server) key(ctx context.Context, name string) (*kmstest.Key, error) {
	switch s.Next(ctx.Done()) {
	case kmstest.IsDown, kmstest.IsThrottled:
		return nil, status.Error(codes.Unavailable, "try again")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answer != codes.OK {
		return nil, status.Error(s.answer, "no")
	}
	if s.keys[name] == nil {
		return nil, status.Error(codes.NotFound, "CryptoKey not found.")
	}
	return s.keys[name], nil
}

func (s *server) fits(field string, b []byte, crc *wrapperspb.Int64Value) (bool, error) {
	if s.deaf == field || crc == nil {
		return false, nil
	}
	if crc.Value != castagnoli(b) {
		return false, status.Error(codes.InvalidArgument, "checksum mismatch")
	}
	return true, nil
}

// bytes returns an answer's bytes and CRC.
func (s *server) bytes(b []byte) ([]byte, *wrapperspb.Int64Value) {
	crc := wrapperspb.Int64(castagnoli(b))
	if s.flip {
		b[len(b)-1] ^= 1
	}
	return b, crc
}

func (s *server) Encrypt(ctx context.Context, in *kmspb.EncryptRequest) (*kmspb.EncryptResponse, error) {
	key, err := s.key(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	plainFits, err := s.fits("plaintext", in.Plaintext, in.PlaintextCrc32C)
	if err != nil {
		return nil, err
	}
	adFits, err := s.fits("data", in.AdditionalAuthenticatedData, in.AdditionalAuthenticatedDataCrc32C)
	if err != nil {
		return nil, err
	}
	out := &kmspb.EncryptResponse{
		Name: in.Name + "/cryptoKeyVersions/1", VerifiedPlaintextCrc32C: plainFits, VerifiedAdditionalAuthenticatedDataCrc32C: adFits,
	}
	if s.lie != "" {
		out.Name = s.lie
	}
	out.Ciphertext, out.CiphertextCrc32C = s.bytes(key.Seal(in.Plaintext, in.AdditionalAuthenticatedData))
	return out, nil
}

func (s *server) Decrypt(ctx context.Context, in *kmspb.DecryptRequest) (*kmspb.DecryptResponse, error) {
	key, err := s.key(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if _, err := s.fits("ciphertext", in.Ciphertext, in.CiphertextCrc32C); err != nil {
		return nil, err
	}
	plain, err := key.Open(in.Ciphertext, in.AdditionalAuthenticatedData)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "Decryption failed: verify that 'name' refers to the correct CryptoKey.")
	}
	out := &kmspb.DecryptResponse{UsedPrimary: true}
	out.Plaintext, out.PlaintextCrc32C = s.bytes(plain)
	return out, nil
}

type house struct {
	*server
	address string
}

func newHouse(t *testing.T) house {
	s := &server{keys: map[string]*kmstest.Key{first: kmstest.NewKey("1"), second: kmstest.NewKey("2")}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := grpc.NewServer()
	kmspb.RegisterKeyManagementServiceServer(g, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(listener) }()
	t.Cleanup(func() { g.Stop(); <-done })
	return house{s, listener.Addr().String()}
}

func (h house) kek(t *testing.T, key string, timeout time.Duration) *gcpkms.KEK {
	client, err := kms.NewKeyManagementClient(t.Context(), option.WithEndpoint(h.address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	kek, err := gcpkms.New(client, gcpkms.Config{Key: key, Timeout: timeout})
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

func TestGCP(t *testing.T) { kmstest.Run(t, service(newHouse(t))) }

func TestGCPInTrouble(t *testing.T) { kmstest.RunFaults(t, service(newHouse(t))) }

func TestWhatChangedOnTheWayIsFound(t *testing.T) {
	h := newHouse(t)
	kek := h.kek(t, first, time.Minute)
	box, err := kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.NoError(t, err)

	h.flip = true
	_, err = kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.ErrorContains(t, err, "the answer does not fit its CRC32C")
	_, err = kek.DecryptWithContext(t.Context(), box, []byte("ad"))
	require.ErrorContains(t, err, "the answer does not fit its CRC32C")

	h.flip = false
	for _, h.deaf = range []string{"plaintext", "data"} {
		_, err = kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
		require.ErrorContains(t, err, "did not check the request's CRC32C")
	}

	h.deaf, h.lie = "", second+"/cryptoKeyVersions/1"
	_, err = kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.ErrorContains(t, err, "the service used key")
}

func TestErrorsSayWhatToDo(t *testing.T) {
	h := newHouse(t)
	_, err := gcpkms.New(nil, gcpkms.Config{Key: first})
	require.ErrorContains(t, err, "kms.NewKeyManagementClient")
	for _, name := range []string{"", "kek", first + "/cryptoKeyVersions/1", strings.TrimPrefix(first, "projects/")} {
		_, err := gcpkms.New(&kms.KeyManagementClient{}, gcpkms.Config{Key: name})
		require.ErrorContains(t, err, "without a version", name)
	}
	for code, remedy := range map[codes.Code]string{
		codes.PermissionDenied:   "grant this service account",
		codes.NotFound:           "is the name right?",
		codes.FailedPrecondition: "enable the key version",
		codes.ResourceExhausted:  "raise the quota",
	} {
		h.answer = code
		_, err := h.kek(t, first, time.Minute).EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
		require.ErrorContains(t, err, remedy)
		require.Equal(t, code, status.Code(err), "the cause stays visible")
	}
}
