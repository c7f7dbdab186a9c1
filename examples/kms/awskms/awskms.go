// Package awskms makes a symmetric AWS KMS key the KEK of a privacy.Vault.
//
//	cfg, err := config.LoadDefaultConfig(ctx)
//	kek, err := awskms.New(kms.NewFromConfig(cfg), awskms.Config{KeyARN: "arn:aws:kms:eu-central-1:111122223333:key/…"})
//	vault, err := privacy.Open(ctx, privacy.Config{KEK: kek, …})
//
// The associated data travels as the encryption context, which KMS authenticates, writes into CloudTrail and
// lets key policies ask for. It names the tenant, so tenants' names are readable in CloudTrail.
package awskms

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
)

// ContextKey is the name in the encryption context under which the associated data stands, in hexadecimal.
const ContextKey = "confide"

const (
	maxPlaintext = 4096 // bytes, the service's limit for Encrypt
	maxContext   = 2048 // bytes of associated data; the service takes 8 KiB of context in all
)

// Config names the key.
type Config struct {
	// KeyARN is the key itself, not an alias: an alias can be pointed at another key tomorrow.
	KeyARN string
	// Timeout bounds one call with all its retries. 0: 10 s.
	Timeout time.Duration
}

// API is the part of *kms.Client that is used.
type API interface {
	Encrypt(ctx context.Context, in *kms.EncryptInput, opts ...func(*kms.Options)) (*kms.EncryptOutput, error)
	Decrypt(ctx context.Context, in *kms.DecryptInput, opts ...func(*kms.Options)) (*kms.DecryptOutput, error)
}

// KEK is a tink.AEADWithContext. It is safe for concurrent use.
type KEK struct {
	api API
	cfg Config
}

var keyARN = regexp.MustCompile(`^arn:[a-z0-9-]+:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+$`)

// New makes no call; privacy.Open does.
func New(api API, cfg Config) (*KEK, error) {
	if api == nil {
		return nil, errors.New("awskms: the client is missing; pass kms.NewFromConfig(cfg)")
	}
	if !keyARN.MatchString(cfg.KeyARN) {
		return nil, fmt.Errorf("awskms: KeyARN %q is not the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/ID); an alias will not do, because it can be pointed at another key", cfg.KeyARN)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &KEK{api, cfg}, nil
}

// EncryptWithContext wraps up to 4,096 bytes.
func (k *KEK) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if len(plaintext) > maxPlaintext {
		return nil, fmt.Errorf("awskms: encrypt: %d bytes are more than the %d that KMS takes; it wraps keys, not data", len(plaintext), maxPlaintext)
	}
	encryptionContext, err := contextOf(associatedData)
	if err != nil {
		return nil, fmt.Errorf("awskms: encrypt: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	// The SDK retries throttling and network failures itself, three attempts with growing pauses, as the
	// aws.Config says. A retry here would multiply them.
	out, err := k.api.Encrypt(ctx, &kms.EncryptInput{
		KeyId: aws.String(k.cfg.KeyARN), Plaintext: plaintext, EncryptionContext: encryptionContext,
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	})
	if err != nil {
		return nil, k.explain("encrypt", err)
	}
	if err := k.sameKey(out.KeyId); err != nil {
		return nil, fmt.Errorf("awskms: encrypt: %w", err)
	}
	return out.CiphertextBlob, nil
}

// DecryptWithContext unwraps what EncryptWithContext made with the same associated data.
func (k *KEK) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	encryptionContext, err := contextOf(associatedData)
	if err != nil {
		return nil, fmt.Errorf("awskms: decrypt: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	// With KeyId, KMS refuses a ciphertext of another key; without it, whoever can write the database could
	// pass off one of a key of their own.
	out, err := k.api.Decrypt(ctx, &kms.DecryptInput{
		KeyId: aws.String(k.cfg.KeyARN), CiphertextBlob: ciphertext, EncryptionContext: encryptionContext,
		EncryptionAlgorithm: types.EncryptionAlgorithmSpecSymmetricDefault,
	})
	if err != nil {
		return nil, k.explain("decrypt", err)
	}
	if err := k.sameKey(out.KeyId); err != nil {
		return nil, fmt.Errorf("awskms: decrypt: %w", err)
	}
	return out.Plaintext, nil
}

// sameKey checks the answer: the service names the key it used by its ARN.
func (k *KEK) sameKey(used *string) error {
	if aws.ToString(used) != k.cfg.KeyARN {
		return fmt.Errorf("the service used key %q and not %q; the answer is discarded: look for a proxy in between", aws.ToString(used), k.cfg.KeyARN)
	}
	return nil
}

func contextOf(associatedData []byte) (map[string]string, error) {
	if n := len(associatedData); n == 0 || n > maxContext {
		return nil, fmt.Errorf("%d bytes of associated data; there must be 1 to %d", n, maxContext)
	}
	return map[string]string{ContextKey: hex.EncodeToString(associatedData)}, nil
}

func (k *KEK) explain(what string, err error) error {
	remedy := "is the service reachable from here?"
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "AccessDeniedException":
			remedy = "allow this role kms:Encrypt and kms:Decrypt on the key, see README.md"
		case "NotFoundException":
			remedy = "is the ARN right, and the region?"
		case "DisabledException", "KMSInvalidStateException":
			remedy = "enable the key, or cancel its deletion, now: the data is unreadable without it"
		case "InvalidCiphertextException", "IncorrectKeyException":
			remedy = "it was made under another key or with other associated data, or was damaged"
		case "ThrottlingException", "LimitExceededException":
			remedy = "still throttled after the SDK's retries; raise the request quota of the account"
		}
	}
	return fmt.Errorf("awskms: %s with %s: %s: %w", what, k.cfg.KeyARN, remedy, err)
}
