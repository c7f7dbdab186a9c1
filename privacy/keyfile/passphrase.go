package keyfile

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// A kdf makes a key of a passphrase with Argon2id. Its costs stand in the file, so that later files can
// have higher ones; they are bounded when read, because a changed file must not exhaust the machine before
// it is found out.
type kdf struct {
	time    uint32
	memory  uint32 // KiB
	threads uint8
}

// defaultKDF is the second recommendation of RFC 9106.
func defaultKDF() kdf { return kdf{time: 3, memory: 64 * 1024, threads: 4} }

func (k kdf) String() string {
	return fmt.Sprintf("argon2id t=%d m=%d p=%d", k.time, k.memory, k.threads)
}

func parseKDF(s string) (kdf, error) {
	var k kdf
	n, err := fmt.Sscanf(s, "argon2id t=%d m=%d p=%d", &k.time, &k.memory, &k.threads)
	if err != nil || n != 3 || k.String() != s || k.time < 1 || k.time > 64 || k.memory < 8*1024 || k.memory > 4*1024*1024 || k.threads < 1 {
		return kdf{}, fmt.Errorf("%w: the key derivation is none that this program knows; restore the file from its copy", ErrDamaged)
	}
	return k, nil
}

func (k kdf) gcm(passphrase, salt []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(argon2.IDKey(passphrase, salt, k.time, k.memory, k.threads, 32))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal returns nonce and ciphertext. The costs are authenticated along.
func (k kdf) seal(passphrase, salt, raw []byte) ([]byte, error) {
	gcm, err := k.gcm(passphrase, salt)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		return nil, err
	}
	return gcm.Seal(nonce, nonce, raw, []byte(header+"\n"+k.String())), nil
}

func (k kdf) open(passphrase, salt, box []byte) ([]byte, error) {
	gcm, err := k.gcm(passphrase, salt)
	if err != nil {
		return nil, err
	}
	if len(box) < gcm.NonceSize() {
		return nil, fmt.Errorf("%w: the keyset is cut short; restore the file from its copy", ErrDamaged)
	}
	raw, err := gcm.Open(nil, box[:gcm.NonceSize()], box[gcm.NonceSize():], []byte(header+"\n"+k.String()))
	if err != nil {
		return nil, fmt.Errorf("%w: it is wrong, or the file was changed", ErrPassphrase)
	}
	return raw, nil
}
