// Package gcpkms makes a symmetric Google Cloud KMS key the KEK of a privacy.Vault.
//
//	client, err := kms.NewKeyManagementClient(ctx)
//	kek, err := gcpkms.New(client, gcpkms.Config{Key: "projects/P/locations/L/keyRings/R/cryptoKeys/K"})
//	vault, err := privacy.Open(ctx, privacy.Config{KEK: kek, …})
//
// Every field of a request and of an answer is protected by a CRC32C: a bit that flips on the way is an
// error, and not a keyset that can never be opened again.
package gcpkms

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"
	"time"

	kms "cloud.google.com/go/kms/apiv1"
	"cloud.google.com/go/kms/apiv1/kmspb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	maxPlaintext = 4096 // bytes
	maxContext   = 4096 // bytes of associated data
)

// Config names the key.
type Config struct {
	// Key is projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version: the service encrypts with the
	// primary one and finds the right one to decrypt.
	Key string
	// Timeout bounds one call with all its retries. 0: 10 s.
	Timeout time.Duration
}

// KEK is a tink.AEADWithContext. It is safe for concurrent use.
type KEK struct {
	client *kms.KeyManagementClient
	cfg    Config
}

var keyName = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`)

// New makes no call; privacy.Open does.
func New(client *kms.KeyManagementClient, cfg Config) (*KEK, error) {
	if client == nil {
		return nil, errors.New("gcpkms: the client is missing; pass one of kms.NewKeyManagementClient")
	}
	if !keyName.MatchString(cfg.Key) {
		return nil, fmt.Errorf("gcpkms: Key %q is not projects/P/locations/L/keyRings/R/cryptoKeys/K, without a version", cfg.Key)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &KEK{client, cfg}, nil
}

// EncryptWithContext wraps up to 4,096 bytes.
func (k *KEK) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if len(plaintext) > maxPlaintext {
		return nil, fmt.Errorf("gcpkms: encrypt: %d bytes are more than %d; the service wraps keys, not data", len(plaintext), maxPlaintext)
	}
	if err := checkContext(associatedData); err != nil {
		return nil, fmt.Errorf("gcpkms: encrypt: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	// The client retries Unavailable with growing pauses until ctx ends, but not an exhausted quota: for that,
	// set client.CallOptions.
	out, err := k.client.Encrypt(ctx, &kmspb.EncryptRequest{
		Name: k.cfg.Key, Plaintext: plaintext, AdditionalAuthenticatedData: associatedData,
		PlaintextCrc32C: crc(plaintext), AdditionalAuthenticatedDataCrc32C: crc(associatedData),
	})
	switch {
	case err != nil:
		return nil, k.explain("encrypt", err)
	case !strings.HasPrefix(out.Name, k.cfg.Key+"/cryptoKeyVersions/"):
		return nil, fmt.Errorf("gcpkms: encrypt: the service used key %q and not %q; the answer is discarded: look for a proxy in between", out.Name, k.cfg.Key)
	case !out.VerifiedPlaintextCrc32C || !out.VerifiedAdditionalAuthenticatedDataCrc32C:
		return nil, fmt.Errorf("gcpkms: encrypt with %s: the service did not check the request's CRC32C; it was changed on the way: try again", k.cfg.Key)
	case out.CiphertextCrc32C == nil || out.CiphertextCrc32C.Value != crc(out.Ciphertext).Value:
		return nil, fmt.Errorf("gcpkms: encrypt with %s: the answer does not fit its CRC32C; it was changed on the way: try again", k.cfg.Key)
	}
	return out.Ciphertext, nil
}

// DecryptWithContext unwraps what EncryptWithContext made with the same associated data.
func (k *KEK) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	if err := checkContext(associatedData); err != nil {
		return nil, fmt.Errorf("gcpkms: decrypt: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	// The service decrypts with this key only, in any of its versions; it refuses other keys' ciphertexts.
	out, err := k.client.Decrypt(ctx, &kmspb.DecryptRequest{
		Name: k.cfg.Key, Ciphertext: ciphertext, AdditionalAuthenticatedData: associatedData,
		CiphertextCrc32C: crc(ciphertext), AdditionalAuthenticatedDataCrc32C: crc(associatedData),
	})
	switch {
	case err != nil:
		return nil, k.explain("decrypt", err)
	case out.PlaintextCrc32C == nil || out.PlaintextCrc32C.Value != crc(out.Plaintext).Value:
		return nil, fmt.Errorf("gcpkms: decrypt with %s: the answer does not fit its CRC32C; it was changed on the way: try again", k.cfg.Key)
	}
	return out.Plaintext, nil
}

func checkContext(associatedData []byte) error {
	if n := len(associatedData); n == 0 || n > maxContext {
		return fmt.Errorf("%d bytes of associated data; there must be 1 to %d", n, maxContext)
	}
	return nil
}

func crc(b []byte) *wrapperspb.Int64Value {
	return wrapperspb.Int64(int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))))
}

func (k *KEK) explain(what string, err error) error {
	remedy := "is the service reachable from here?"
	switch status.Code(err) {
	case codes.PermissionDenied, codes.Unauthenticated:
		remedy = "grant this service account roles/cloudkms.cryptoKeyEncrypterDecrypter on the key, see README.md"
	case codes.NotFound:
		remedy = "is the name right?"
	case codes.FailedPrecondition:
		remedy = "enable the key version, or restore it before its destruction is due: the data is unreadable without it"
	case codes.InvalidArgument:
		remedy = "it was made under another key or with other associated data, or was damaged"
	case codes.ResourceExhausted:
		remedy = "throttled; raise the quota of cryptographic requests of the project"
	case codes.DeadlineExceeded:
		remedy = "no answer in time; is the service reachable from here?"
	}
	return fmt.Errorf("gcpkms: %s with %s: %s: %w", what, k.cfg.Key, remedy, err)
}
