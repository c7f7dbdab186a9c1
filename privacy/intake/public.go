package intake

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/privacy/internal/tuple"
)

// A Place is what a box is sealed for. All three are needed, 1 to 200 bytes each.
type Place struct {
	Form       string // a name of your own, such as "contact"
	Tenant     string // "main" where there are no tenants
	Submission string // a random id; the primary key of the form's table
}

func (p Place) check() error {
	for _, f := range []struct{ name, value string }{{"Form", p.Form}, {"Tenant", p.Tenant}, {"Submission", p.Submission}} {
		if f.value == "" || len(f.value) > 200 || !utf8.ValidString(f.value) {
			return fmt.Errorf("intake: Place.%s: it must be 1 to 200 bytes of text", f.name)
		}
	}
	return nil
}

// info is HPKE's info: everything that a box is bound to.
func (p Place) info(keyID string) []byte {
	return tuple.Encode("confide.intake", "1", keyID, p.Form, p.Tenant, p.Submission)
}

// A PublicKey seals submissions and can open none. It is safe for concurrent use.
type PublicKey struct {
	id  uint32
	raw []byte
	enc tink.HybridEncrypt
}

const publicPrefix = "confide-intake-v1"

// ParsePublicKey reads the line that String writes.
func ParsePublicKey(line string) (*PublicKey, error) {
	parts := strings.Split(strings.TrimSpace(line), ":")
	if len(parts) != 4 || parts[0] != publicPrefix {
		return nil, fmt.Errorf("%w: a public key is one line that begins with %s: and has four parts", ErrKey, publicPrefix)
	}
	if parts[3] != check(parts[1], parts[2]) {
		return nil, fmt.Errorf("%w: the public key's check sum does not fit; copy the whole line again", ErrKey)
	}
	id, err := hex.DecodeString(parts[1])
	if err != nil || len(id) != 4 {
		return nil, fmt.Errorf("%w: the public key's id is not 8 hexadecimal digits", ErrKey)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	if err != nil {
		return nil, fmt.Errorf("%w: the public key is not base64", ErrKey)
	}
	return newPublicKey(binary.BigEndian.Uint32(id), raw)
}

func check(id, key string) string {
	sum := sha256.Sum256([]byte(publicPrefix + ":" + id + ":" + key))
	return hex.EncodeToString(sum[:4])
}

func parameters() (*hpke.Parameters, error) {
	return hpke.NewParameters(hpke.ParametersOpts{
		KEMID: hpke.DHKEM_X25519_HKDF_SHA256, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES256GCM, Variant: hpke.VariantTink,
	})
}

func newPublicKey(id uint32, raw []byte) (*PublicKey, error) {
	params, err := parameters()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	key, err := hpke.NewPublicKey(raw, id, params)
	if err != nil {
		return nil, fmt.Errorf("%w: it is no X25519 public key", ErrKey)
	}
	m := keyset.NewManager()
	if _, err := m.AddKey(key); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	enc, err := hybrid.NewHybridEncrypt(h)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	// A point of low order is found by use only, and not by the first customer's.
	if _, err := enc.Encrypt(nil, nil); err != nil {
		return nil, fmt.Errorf("%w: nothing can be sealed under it", ErrKey)
	}
	return &PublicKey{id: id, raw: raw, enc: enc}, nil
}

// ID names the key in 8 hexadecimal digits.
func (k *PublicKey) ID() string { return fmt.Sprintf("%08x", k.id) }

// String is the key in one line, which is no secret.
func (k *PublicKey) String() string {
	raw := base64.StdEncoding.EncodeToString(k.raw)
	return strings.Join([]string{publicPrefix, k.ID(), raw, check(k.ID(), raw)}, ":")
}

// Seal seals at most MaxSize bytes for a place.
func (k *PublicKey) Seal(at Place, body []byte) (Box, error) {
	if err := at.check(); err != nil {
		return Box{}, err
	}
	if len(body) > MaxSize {
		return Box{}, fmt.Errorf("%w: a submission has at most %d bytes", ErrTooLarge, MaxSize)
	}
	sealed, err := k.enc.Encrypt(body, at.info(k.ID()))
	if err != nil {
		return Box{}, fmt.Errorf("intake: seal: %w", err)
	}
	return Box{append([]byte{magic0, magic1, version}, sealed...)}, nil
}
