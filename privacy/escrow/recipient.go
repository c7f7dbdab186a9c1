package escrow

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"unicode"

	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/key"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/internal/durable"
)

const (
	recipientHeader = "confide-escrow-recipient-v1"
	identityHeader  = "confide escrow identity v1"
	maxName         = 64 // runes
)

// A Recipient is the public half of a recovery key.
type Recipient struct {
	name   string
	public []byte
}

// An Identity is the private half. It prints as its fingerprint.
type Identity struct {
	recipient Recipient
	private   secretdata.Bytes
}

// NewIdentity makes a key pair. The name is shown in every escrow, for people: letters, digits and - . _ @ only.
func NewIdentity(name string) (*Identity, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	private, err := secretdata.NewBytesFromRand(32)
	if err != nil {
		return nil, fmt.Errorf("escrow: random source: %w", err)
	}
	return identityOf(name, private)
}

func identityOf(name string, private secretdata.Bytes) (*Identity, error) {
	params, err := suite()
	if err != nil {
		return nil, err
	}
	k, err := hpke.NewPrivateKey(private, 0, params)
	if err != nil {
		return nil, fmt.Errorf("escrow: make the key of %s: %w", name, err)
	}
	public, err := k.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("escrow: make the key of %s: %w", name, err)
	}
	return &Identity{Recipient{name, public.(*hpke.PublicKey).PublicKeyBytes()}, private}, nil
}

func suite() (*hpke.Parameters, error) {
	return hpke.NewParameters(hpke.ParametersOpts{KEMID: hpke.X_WING, KDFID: hpke.HKDFSHA256, AEADID: hpke.AES256GCM, Variant: hpke.VariantNoPrefix})
}

func checkName(name string) error {
	if n := len([]rune(name)); n == 0 || n > maxName {
		return fmt.Errorf("escrow: a recipient's name has 1 to %d characters", maxName)
	}
	for _, r := range name {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._@", r) {
			return fmt.Errorf("escrow: %q cannot stand in a recipient's name; use letters, digits and - . _ @", r)
		}
	}
	return nil
}

// Recipient returns the public half, to be given to whoever seals.
func (i *Identity) Recipient() Recipient { return i.recipient }

// String shows the name and fingerprint, never the key.
func (i *Identity) String() string { return i.recipient.name + " " + i.recipient.Fingerprint() }

// Format is String for every verb: none may show the key.
func (i *Identity) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, i.String()) }

// Name is the recipient's name.
func (r Recipient) Name() string { return r.name }

// Fingerprint is what two people compare over the telephone: 32 hexadecimal digits of a SHA-256 over the
// public key.
func (r Recipient) Fingerprint() string {
	sum := sha256.Sum256(append([]byte(recipientHeader+"\n"), r.public...))
	return hex.EncodeToString(sum[:16])
}

// String is the line that ParseRecipient reads: header, name and public key.
func (r Recipient) String() string {
	return recipientHeader + " " + r.name + " " + base64.StdEncoding.EncodeToString(r.public)
}

// ParseRecipient reads what String wrote.
func ParseRecipient(line string) (Recipient, error) {
	parts := strings.Split(strings.TrimSuffix(line, "\n"), " ")
	if len(parts) != 3 || parts[0] != recipientHeader {
		return Recipient{}, fmt.Errorf("%w: not a line of the form %s NAME KEY", ErrDamaged, recipientHeader)
	}
	if err := checkName(parts[1]); err != nil {
		return Recipient{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	public, err := base64.StdEncoding.Strict().DecodeString(parts[2])
	r := Recipient{parts[1], public}
	if err == nil {
		_, err = r.Encrypter()
	}
	if err != nil {
		return Recipient{}, fmt.Errorf("%w: the key of recipient %s is not one", ErrDamaged, parts[1])
	}
	return r, nil
}

// Encrypter returns the public key as what Tink encrypts with, for other things that the same person shall be able
// to recover, such as the backups of a database (backup.Recipient). Give each use a context info of its own.
func (r Recipient) Encrypter() (tink.HybridEncrypt, error) {
	params, err := suite()
	if err != nil {
		return nil, err
	}
	k, err := hpke.NewPublicKey(r.public, 0, params)
	if err != nil {
		return nil, err
	}
	h, err := handleOf(k)
	if err != nil {
		return nil, err
	}
	return hybrid.NewHybridEncrypt(h)
}

// Decrypter returns the private key as what Tink decrypts with; see Recipient.Encrypter.
func (i *Identity) Decrypter() (tink.HybridDecrypt, error) {
	params, err := suite()
	if err != nil {
		return nil, err
	}
	k, err := hpke.NewPrivateKey(i.private, 0, params)
	if err != nil {
		return nil, err
	}
	h, err := handleOf(k)
	if err != nil {
		return nil, err
	}
	return hybrid.NewHybridDecrypt(h)
}

func handleOf(k key.Key) (*keyset.Handle, error) {
	m := keyset.NewManager()
	id, err := m.AddKey(k)
	if err != nil {
		return nil, err
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, err
	}
	return m.Handle()
}

// WriteIdentity writes the private key to path, which must not exist, durably and readable by its owner
// only. Who reads it counts as this recipient.
func WriteIdentity(path string, i *Identity) error {
	raw := i.private.Data(insecuresecretdataaccess.Token{})
	defer clear(raw)
	text := withSum(fmt.Appendf(nil, "%s\nname: %s\nfingerprint: %s\nprivate: %s\n", identityHeader, i.recipient.name, i.recipient.Fingerprint(), base64.StdEncoding.EncodeToString(raw)))
	defer clear(text)
	if err := durable.Create(path, text, 0o600); err != nil {
		return fmt.Errorf("escrow: write the identity: %w", err)
	}
	return nil
}

// ReadIdentity reads what WriteIdentity wrote.
func ReadIdentity(path string) (*Identity, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	defer clear(text)
	i, err := parseIdentity(text)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return i, nil
}

func parseIdentity(text []byte) (*Identity, error) {
	body, err := cutSum(text)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(string(body), "\n")
	damaged := fmt.Errorf("%w: not an identity of version 1", ErrDamaged)
	if len(lines) != 5 || lines[0] != identityHeader || lines[4] != "" {
		return nil, damaged
	}
	values := make([]string, 3)
	for n, name := range []string{"name", "fingerprint", "private"} {
		value, ok := strings.CutPrefix(lines[n+1], name+": ")
		if !ok {
			return nil, damaged
		}
		values[n] = value
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(values[2])
	defer clear(raw)
	if err != nil || len(raw) != 32 || checkName(values[0]) != nil {
		return nil, damaged
	}
	i, err := identityOf(values[0], secretdata.NewBytesFromData(bytes.Clone(raw), insecuresecretdataaccess.Token{}))
	if err == nil && i.recipient.Fingerprint() != values[1] {
		err = fmt.Errorf("%w: the fingerprint is another key's", ErrDamaged)
	}
	return i, err
}

func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("escrow: read: %w", err)
	case !info.Mode().IsRegular():
		return nil, errors.New("escrow: read " + path + ": it is not a regular file")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Errorf("%w: %s has mode %04o; if nobody else has read it, run chmod 600 on it, else make new keys and seal again", ErrExposed, path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("escrow: read: %w", err)
	}
	return text, nil
}
