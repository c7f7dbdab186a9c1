package signin

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// The second recommended option of RFC 9106, section 4 ("if much less memory is
// available"), which is above every row of OWASP's Password Storage Cheat Sheet
// (19 MiB and 2 passes is its first).
const (
	argonMemory  = 64 * 1024 // KiB
	argonPasses  = 3
	argonLanes   = 4
	argonSaltLen = 16
	argonTagLen  = 32
)

// A stored hash may be older than these constants, but it must not be able to
// ask for all the memory there is.
const (
	mostMemory = 1024 * 1024 // KiB
	mostPasses = 16
)

const (
	shortestPassword = 8    // NIST SP 800-63B-4, 3.1.1.2, with throttling
	longestPassword  = 1024 // bytes: hashing must not become a lever
)

// HashPassword returns the Argon2id hash of a password as a PHC string, with a
// salt of its own.
func HashPassword(password string) (string, error) {
	if utf8.RuneCountInString(password) < shortestPassword {
		return "", fmt.Errorf("signin: the password has fewer than %d characters; choose a longer one", shortestPassword)
	}
	if len(password) > longestPassword {
		return "", fmt.Errorf("signin: the password has more than %d bytes; choose a shorter one", longestPassword)
	}
	salt := make([]byte, argonSaltLen)
	rand.Read(salt) // never fails: crypto/rand ends the program instead
	p := phc{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: salt}
	p.tag = p.derive(password, argonTagLen)
	return p.String(), nil
}

// decoyHash is a hash that no known password fits, and that takes as long to check as a real one. Its tag is
// random instead of made from something: that costs nothing when the door is opened.
func decoyHash() string {
	p := phc{memory: argonMemory, passes: argonPasses, lanes: argonLanes, salt: make([]byte, argonSaltLen), tag: make([]byte, argonTagLen)}
	rand.Read(p.salt)
	rand.Read(p.tag)
	return p.String()
}

// verify reports whether password is the one that encoded was made of.
func verify(encoded, password string) (bool, error) {
	p, err := parsePHC(encoded)
	if err != nil {
		return false, err
	}
	if len(password) > longestPassword {
		return false, nil
	}
	return subtle.ConstantTimeCompare(p.derive(password, uint32(len(p.tag))), p.tag) == 1, nil
}

// phc is a parsed $argon2id$v=19$m=…,t=…,p=…$salt$tag.
type phc struct {
	memory, passes uint32
	lanes          uint8
	salt, tag      []byte
}

func (p phc) derive(password string, size uint32) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.passes, p.memory, p.lanes, size)
}

func (p phc) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		p.memory, p.passes, p.lanes, b64.EncodeToString(p.salt), b64.EncodeToString(p.tag))
}

// errHash never carries the hash: it would end in a log.
var errHash = errors.New("signin: the stored password hash is not an Argon2id PHC string; set the password anew")

func parsePHC(encoded string) (phc, error) {
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return phc{}, errHash
	}
	var p phc
	var err error
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.lanes); n != 3 || err != nil {
		return phc{}, errHash
	}
	if p.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil {
		return phc{}, errHash
	}
	if p.tag, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil {
		return phc{}, errHash
	}
	if p.String() != encoded || p.memory > mostMemory || p.passes == 0 || p.passes > mostPasses || p.lanes == 0 ||
		len(p.salt) < 8 || len(p.tag) < 16 || len(p.tag) > 64 {
		return phc{}, errHash
	}
	return p, nil
}
