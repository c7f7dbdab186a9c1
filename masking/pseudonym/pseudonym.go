// Package pseudonym replaces personal values by keyed tokens: the same value under the same key and purpose
// always gives the same token, and nobody without the key can test a guess.
//
//	tokens, err := pseudonym.New(pseudonym.Config{Key: key, Purpose: "analytics"})
//	policy := masking.Policy{Tokens: tokens, Level: func(context.Context) masking.Level { return masking.Token }}
//
// You must supply the key and keep it; whoever has it can compute the token of every telephone number there
// is in minutes. Pseudonyms are personal data still. Purposes are separated: tokens of two purposes cannot
// be joined. New refuses a key of fewer than 32 bytes and an empty purpose.
//
// A token is kind + "-" + 26 characters of base 32 (130 bits of the MAC). The derivation is fixed:
// changing it would make old tokens useless, so it carries a version.
package pseudonym

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"hash"
	"strings"
	"unicode"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/masking/internal/fold"
)

// Config says what tokens are made with.
type Config struct {
	// Key is the secret, at least 32 random bytes.
	Key []byte
	// Purpose separates one use from another, e.g. "analytics-2026".
	Purpose string
	// Hash makes the hash of the HMAC. Nil means SHA-256; SM3 has the same shape.
	Hash func() hash.Hash
}

// Maker makes tokens. It is a masking.Tokenizer, and safe for use by many goroutines.
type Maker struct {
	key  []byte
	hash func() hash.Hash
}

// ErrConfig is returned by New for a key that is too short or a missing purpose.
var ErrConfig = errors.New("pseudonym: needs a key of at least 32 bytes and a purpose")

const (
	shortestKey = 32
	derivation  = "confide/masking/pseudonym/v1"
	tokenLength = 26
)

// New returns a maker of tokens.
func New(cfg Config) (*Maker, error) {
	if len(cfg.Key) < shortestKey || cfg.Purpose == "" {
		return nil, ErrConfig
	}
	if cfg.Hash == nil {
		cfg.Hash = sha256.New
	}
	return &Maker{sum(cfg.Hash, cfg.Key, derivation, cfg.Purpose), cfg.Hash}, nil
}

// sum is the HMAC of the parts, each preceded by its length.
func sum(h func() hash.Hash, key []byte, parts ...string) []byte {
	mac := hmac.New(h, key)
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		mac.Write(n[:])
		mac.Write([]byte(p))
	}
	return mac.Sum(nil)
}

// Token returns the pseudonym of a value. Ways of writing the same value, such as +86 138-0013-8000 and
// 13800138000, have the same token.
func (m *Maker) Token(k masking.Kind, value string) string {
	mac := sum(m.hash, m.key, string(k), plain(k, value))
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac))
	return string(k) + "-" + text[:min(tokenLength, len(text))]
}

// plain brings the ways of writing one value together.
func plain(k masking.Kind, s string) string {
	switch k {
	case masking.KindPhone:
		return national(compact(s))
	case masking.KindID, masking.KindCard, masking.KindSSN, masking.KindUSCC, masking.KindIBAN, masking.KindPassport,
		masking.KindPermit, masking.KindPlate, masking.KindMAC:
		return compact(s)
	case masking.KindEmail, masking.KindName:
		return strings.ToLower(strings.Join(strings.Fields(s), " "))
	}
	return strings.TrimSpace(s)
}

// compact keeps letters and digits, digits in plain form.
func compact(s string) string {
	var b strings.Builder
	for _, r := range s {
		if v, script := fold.Rune(r); script == fold.ASCII || script == fold.Wide {
			b.WriteByte(v)
		} else if unicode.IsLetter(r) {
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}

// national drops the mainland's country code, which people add and leave out.
func national(s string) string {
	for _, code := range [...]string{"0086", "86"} {
		if rest, ok := strings.CutPrefix(s, code); ok && len(rest) == 11 && rest[0] == '1' {
			return rest
		}
	}
	return s
}
