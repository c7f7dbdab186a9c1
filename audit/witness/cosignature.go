package witness

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
)

// cosignatureType is the signature type of an Ed25519 cosignature in a key.
const cosignatureType = 4

// NewVerifier reads the key of a witness, name+hash+key, as c2sp.org/tlog-cosignature
// has it for Ed25519. The verifier is for VerifyOptions.Witnesses and Config.
func NewVerifier(vkey string) (note.Verifier, error) {
	invalid := fmt.Errorf("%w: this is not the Ed25519 key of a witness, name+hash+key", audit.ErrInvalid)
	name, rest, _ := strings.Cut(vkey, "+")
	hash, encoded, ok := strings.Cut(rest, "+")
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if !ok || err != nil || name == "" || len(key) != 1+ed25519.PublicKeySize || key[0] != cosignatureType {
		return nil, invalid
	}
	v := cosigner{name: name, hash: keyHash(name, key), key: ed25519.PublicKey(key[1:])}
	if hash != fmt.Sprintf("%08x", v.hash) {
		return nil, invalid
	}
	return v, nil
}

func keyHash(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:])
}

type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }

// Verify implements note.Verifier: the signature begins with the time it was made.
func (c cosigner) Verify(text, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	t := binary.BigEndian.Uint64(sig)
	return t <= 1<<63-1 && ed25519.Verify(c.key, cosigned(t, text), sig[8:])
}

func cosigned(t uint64, text []byte) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(t, 10)+"\n"), text...)
}

// NewSigner makes a signer and the key for NewVerifier out of a witness's private key.
// It is for those who run a witness.
func NewSigner(name string, key ed25519.PrivateKey, now func() time.Time) (signer note.Signer, vkey string, err error) {
	if name == "" || strings.ContainsAny(name, " \t\r\n+") || len(key) != ed25519.PrivateKeySize || now == nil {
		return nil, "", fmt.Errorf("%w: a witness needs a name without spaces and plus signs, an Ed25519 key and a clock", audit.ErrInvalid)
	}
	public := append([]byte{cosignatureType}, key.Public().(ed25519.PublicKey)...)
	hash := keyHash(name, public)
	vkey = fmt.Sprintf("%s+%08x+%s", name, hash, base64.StdEncoding.EncodeToString(public))
	return cosignSigner{cosigner{name: name, hash: hash}, key, now}, vkey, nil
}

type cosignSigner struct {
	cosigner
	key ed25519.PrivateKey
	now func() time.Time
}

// Sign implements note.Signer.
func (s cosignSigner) Sign(text []byte) ([]byte, error) {
	t := uint64(s.now().Unix())
	return append(binary.BigEndian.AppendUint64(nil, t), ed25519.Sign(s.key, cosigned(t, text))...), nil
}
