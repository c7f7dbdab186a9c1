package privacy

import (
	"context"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// For the tests of the stored formats.

func Normalise(name, region, s string) (string, error) {
	n, err := findNormaliser(name)
	if err != nil {
		return "", err
	}
	return n.apply(s, region), nil
}

func Candidates(name, region, s string) []string {
	n, err := findNormaliser(name)
	if err != nil {
		return nil
	}
	return n.candidates(s, region)
}

// InnerOf returns what stands inside the cell of a value that is not saved yet.
func InnerOf(v any) ([]byte, error) { return v.(holder).sealedCell().open() }

// CheckForm reports whether b is the one encoding of a value of the type of v.
func CheckForm(v any, b []byte) error { return v.(holder).form().check(b) }

func Pad(value []byte, n int) []byte { return pad(value, n) }

func Unpad(b []byte) ([]byte, error) { return unpad(b) }

func Encode(parts ...string) []byte { return encode(parts...) }

func CellAAD(tenant, field, row, subject string) []byte { return cellAAD(tenant, field, row, subject) }

func KeyAAD(name KeyName, version int) []byte { return keyAAD(name, version) }

// Stack opens cells and computes indexes with nothing but a KEK and stored keys.
type Stack struct {
	ring keyRing
}

func NewStack(kek tink.AEADWithContext, store KeyStore) *Stack {
	s := &Stack{}
	s.ring.kek, s.ring.store = kek, store
	return s
}

func (s *Stack) at(tenant, field, row, subject string) place {
	return place{tenant: tenant, row: row, subject: subject, field: &sealedField{logical: field}}
}

func (s *Stack) Open(ctx context.Context, tenant, field, row, subject string, box []byte) ([]byte, error) {
	keys, err := s.ring.subjectKeys(ctx, nil, tenant, []string{subject}, false)
	if err != nil {
		return nil, err
	}
	return keys[subject].open(box, s.at(tenant, field, row, subject))
}

func (s *Stack) Seal(ctx context.Context, tenant, field, row, subject string, value []byte) ([]byte, error) {
	return s.SealPadded(ctx, tenant, field, row, subject, 0, value)
}

func (s *Stack) SealPadded(ctx context.Context, tenant, field, row, subject string, pad int, value []byte) ([]byte, error) {
	_, keys, err := s.ring.sealingKeys(ctx, nil, tenant, []string{subject}, false)
	if err != nil {
		return nil, err
	}
	at := s.at(tenant, field, row, subject)
	at.field.pad = pad
	return keys[subject].seal(value, at)
}

func (s *Stack) Index(ctx context.Context, tenant, field, norm, region, value string) (Index, error) {
	keys, err := s.ring.tenantKeys(ctx, nil, tenant, false)
	if err != nil {
		return nil, err
	}
	n, err := findNormaliser(norm)
	if err != nil {
		return nil, err
	}
	return keys.blind(tenant, &indexField{of: &sealedField{logical: field}, norm: n}, region, []byte(value))
}

// OpenBox opens a cell under a primitive and associated data of the caller's.
func OpenBox(primitive tink.AEAD, box, aad []byte) ([]byte, error) {
	k := &subjectKey{aead: primitive}
	return k.decrypt(box, aad)
}

func MakePersonKey(with tink.AEAD, ad []byte) (tink.AEAD, []byte, error) {
	return makePersonKey(with, ad)
}

func ReadPersonKey(wrapped []byte, with tink.AEAD, ad []byte) (tink.AEAD, error) {
	return readPersonKey(wrapped, with, ad)
}

// IsPlainPersonKey reports whether b is read without Tink's reader.
func IsPlainPersonKey(b []byte) bool {
	_, _, ok := cutKeyset(b)
	return ok
}
