package privacy

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// A person's keyset has always the same shape: one enabled AES-256-GCM key with Tink's prefix. There is one
// per person, so a page of a list reads a hundred, and Tink's handles, registries and protocol buffers would
// cost twenty times the decryption. Keysets of this shape are written and read here, byte for byte as Tink
// does, and made into Tink's primitive. Every other shape goes through Tink's reader.

const (
	personKeyBytes = 32
	keyTypeURL     = "type.googleapis.com/google.crypto.tink.AesGcmKey"
)

// makePersonKey returns a new random key and its stored form.
func makePersonKey(with tink.AEAD, aad []byte) (tink.AEAD, []byte, error) {
	var raw [personKeyBytes]byte
	var id [4]byte
	defer clear(raw[:])
	for binary.BigEndian.Uint32(id[:]) == 0 {
		if _, err := rand.Read(id[:]); err != nil {
			return nil, nil, err
		}
	}
	if _, err := rand.Read(raw[:]); err != nil {
		return nil, nil, err
	}
	primitive, err := personPrimitive(raw[:], binary.BigEndian.Uint32(id[:]))
	if err != nil {
		return nil, nil, err
	}
	plain := appendKeyset(nil, raw[:], binary.BigEndian.Uint32(id[:]))
	defer clear(plain)
	sealed, err := with.Encrypt(plain, aad)
	if err != nil {
		return nil, nil, err
	}
	return primitive, appendBytesField(nil, 2, sealed), nil
}

// readPersonKey opens what makePersonKey or Tink wrote.
func readPersonKey(wrapped []byte, with tink.AEAD, aad []byte) (tink.AEAD, error) {
	sealed, ok := cutEncryptedKeyset(wrapped)
	if !ok {
		return readKeyset(wrapped, with, aad)
	}
	plain, err := with.Decrypt(sealed, aad)
	if err != nil {
		return nil, err
	}
	defer clear(plain)
	raw, id, ok := cutKeyset(plain)
	if !ok {
		return readKeyset(wrapped, with, aad)
	}
	return personPrimitive(raw, id)
}

func readKeyset(wrapped []byte, with tink.AEAD, aad []byte) (tink.AEAD, error) {
	h, err := keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), with, aad)
	if err != nil {
		return nil, err
	}
	return aead.New(h)
}

func personPrimitive(raw []byte, id uint32) (tink.AEAD, error) {
	p, err := aesgcm.NewParameters(aesgcm.ParametersOpts{KeySizeInBytes: personKeyBytes, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink})
	if err != nil {
		return nil, err
	}
	key, err := aesgcm.NewKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), id, p)
	if err != nil {
		return nil, fmt.Errorf("privacy: key: %w", err)
	}
	return aesgcm.NewAEAD(key)
}

// The protocol buffers google.crypto.tink.Keyset and EncryptedKeyset, as Tink writes them. All lengths but
// that of the key id are constants.

const (
	fieldVarint = 0
	fieldBytes  = 2

	keyStatusEnabled = 1
	keyPrefixTink    = 1
	keyTypeSymmetric = 1
)

func appendVarintField(b []byte, field byte, v uint64) []byte {
	return binary.AppendUvarint(append(b, field<<3|fieldVarint), v)
}

func appendBytesField(b []byte, field byte, v []byte) []byte {
	return append(binary.AppendUvarint(append(b, field<<3|fieldBytes), uint64(len(v))), v...)
}

func appendKeyset(b, raw []byte, id uint32) []byte {
	value := appendBytesField(make([]byte, 0, 40), 3, raw)
	defer clear(value)
	data := appendBytesField(make([]byte, 0, 120), 1, []byte(keyTypeURL))
	data = appendBytesField(data, 2, value)
	data = appendVarintField(data, 3, keyTypeSymmetric)
	defer clear(data)
	key := appendBytesField(make([]byte, 0, 140), 1, data)
	key = appendVarintField(key, 2, keyStatusEnabled)
	key = appendVarintField(key, 3, uint64(id))
	key = appendVarintField(key, 4, keyPrefixTink)
	defer clear(key)
	return appendBytesField(appendVarintField(b, 1, uint64(id)), 2, key)
}

// cutKeyset returns the key in b and its id if b is exactly appendKeyset of them.
func cutKeyset(b []byte) (raw []byte, id uint32, ok bool) {
	if len(b) < 2 || b[0] != 1<<3|fieldVarint {
		return nil, 0, false
	}
	v, n := binary.Uvarint(b[1:])
	if n <= 0 || v > 1<<32-1 {
		return nil, 0, false
	}
	// Behind the key stand its kind, its status, its id again and the kind of prefix.
	end := len(b) - 2 - 2 - (1 + n) - 2
	if end < personKeyBytes {
		return nil, 0, false
	}
	raw, id = b[end-personKeyBytes:end], uint32(v)
	again := appendKeyset(nil, raw, id)
	defer clear(again)
	return raw, id, bytes.Equal(b, again)
}

// cutEncryptedKeyset returns the ciphertext in b if there is nothing else in it.
func cutEncryptedKeyset(b []byte) (sealed []byte, ok bool) {
	if len(b) < 2 || b[0] != 2<<3|fieldBytes {
		return nil, false
	}
	size, n := binary.Uvarint(b[1:])
	if n <= 0 || size != uint64(len(b)-1-n) {
		return nil, false
	}
	return b[1+n:], true
}
