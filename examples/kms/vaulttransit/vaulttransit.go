// Package vaulttransit makes a key of the transit engine of HashiCorp Vault or OpenBao the KEK of a
// privacy.Vault. The key must be a derived one:
//
//	vault write -f transit/keys/confide type=aes256-gcm96 derived=true
//
//	client, err := api.NewClient(api.DefaultConfig())
//	kek, err := vaulttransit.New(client, vaulttransit.Config{Key: "confide"})
//	vault, err := privacy.Open(ctx, privacy.Config{KEK: kek, …})
//
// The associated data travels as the derivation context, so that each has a key of its own. For a key that is
// not derived Vault ignores the context without a word; privacy.Open finds that and refuses to start. The
// parameter associated_data is not used: a server too old for it ignores it just as silently, and what such a
// server encrypted would not open after its upgrade.
package vaulttransit

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	maxPlaintext = 4096 // bytes; the server takes more, but a keyset never is
	maxContext   = 4096 // bytes of associated data
)

// Config names the key.
type Config struct {
	Key   string // the key's name
	Mount string // where the engine is mounted; empty: transit
	// Timeout bounds one call with all its retries. 0: 10 s.
	Timeout time.Duration
}

// KEK is a tink.AEADWithContext. It is safe for concurrent use.
type KEK struct {
	client *api.Client
	cfg    Config
}

// New makes no call; privacy.Open does. The client has the address and the token, and renews it.
func New(client *api.Client, cfg Config) (*KEK, error) {
	if client == nil {
		return nil, errors.New("vaulttransit: the client is missing; pass one of api.NewClient")
	}
	if cfg.Key == "" {
		return nil, errors.New("vaulttransit: Key is missing; name a derived key of the transit engine")
	}
	if cfg.Mount == "" {
		cfg.Mount = "transit"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	return &KEK{client, cfg}, nil
}

// EncryptWithContext wraps up to 4,096 bytes. The result is Vault's text, vault:v1:….
func (k *KEK) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if len(plaintext) > maxPlaintext {
		return nil, fmt.Errorf("vaulttransit: encrypt: %d bytes are more than %d; it wraps keys, not data", len(plaintext), maxPlaintext)
	}
	text, err := k.call(ctx, "encrypt", associatedData, "plaintext", base64.StdEncoding.EncodeToString(plaintext), "ciphertext")
	if err != nil {
		return nil, err
	}
	if err := checkCiphertext(text); err != nil {
		return nil, fmt.Errorf("vaulttransit: encrypt with %s: the server's answer %w", k.name(), err)
	}
	return []byte(text), nil
}

// DecryptWithContext unwraps what EncryptWithContext made with the same associated data.
func (k *KEK) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	if err := checkCiphertext(string(ciphertext)); err != nil {
		return nil, fmt.Errorf("vaulttransit: decrypt with %s: the stored text %w", k.name(), err)
	}
	text, err := k.call(ctx, "decrypt", associatedData, "ciphertext", string(ciphertext), "plaintext")
	if err != nil {
		return nil, err
	}
	plain, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("vaulttransit: decrypt with %s: the server's answer is not base64", k.name())
	}
	return plain, nil
}

var envelope = regexp.MustCompile(`^vault:v[1-9][0-9]*:([A-Za-z0-9+/]+=*)$`)

// checkCiphertext is stricter than the server, which overlooks changes in the unused bits of base64.
func checkCiphertext(text string) error {
	m := envelope.FindStringSubmatch(text)
	if m == nil {
		return errors.New("is not of the form vault:v1:…; it was damaged or is not Vault's")
	}
	if _, err := base64.StdEncoding.Strict().DecodeString(m[1]); err != nil {
		return errors.New("holds base64 that is damaged")
	}
	return nil
}

func (k *KEK) call(ctx context.Context, what string, associatedData []byte, field, value, want string) (string, error) {
	if n := len(associatedData); n == 0 || n > maxContext {
		return "", fmt.Errorf("vaulttransit: %s: %d bytes of associated data; there must be 1 to %d", what, n, maxContext)
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	// The client retries 412, 429 and 5xx itself, twice with growing pauses (api.Config). A retry here would
	// multiply them.
	secret, err := k.client.Logical().WriteWithContext(ctx, k.cfg.Mount+"/"+what+"/"+url.PathEscape(k.cfg.Key), map[string]any{
		field: value, "context": base64.StdEncoding.EncodeToString(associatedData),
	})
	if err != nil {
		return "", k.explain(what, err)
	}
	var text string
	if secret != nil {
		text, _ = secret.Data[want].(string)
	}
	if text == "" {
		return "", fmt.Errorf("vaulttransit: %s with %s: the answer has no %s; is the address Vault's?", what, k.name(), want)
	}
	return text, nil
}

func (k *KEK) name() string { return k.cfg.Mount + "/keys/" + k.cfg.Key }

func (k *KEK) explain(what string, err error) error {
	remedy := "is the server reachable from here, and unsealed?"
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		switch answer.StatusCode {
		case http.StatusForbidden:
			remedy = "renew the token, or allow it update on the key's encrypt and decrypt paths, see README.md"
		case http.StatusNotFound:
			remedy = "is the transit engine mounted there?"
		case http.StatusBadRequest:
			remedy = "there is no such key, or the text was made under another key or with other associated data, or was damaged"
		case http.StatusTooManyRequests:
			remedy = "still throttled after the client's retries; raise the rate limit quota"
		case http.StatusServiceUnavailable:
			remedy = "unseal the server"
		}
	}
	return fmt.Errorf("vaulttransit: %s with %s: %s: %w", what, k.name(), remedy, err)
}
