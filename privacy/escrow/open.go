package escrow

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
)

// open returns the file key, after checking that the escrow is as it was sealed, and who opened it.
func (e *Escrow) open(identities []*Identity) (fileKey, []string, error) {
	mine := map[int]*Identity{}
	for _, i := range identities {
		n := slices.IndexFunc(e.people, func(p person) bool { return p.fingerprint == i.recipient.Fingerprint() })
		if n < 0 {
			return fileKey{}, nil, fmt.Errorf("%w: the escrow was not sealed to %s; it was to %s", ErrRecipients, i, strings.Join(e.Recipients(), ", "))
		}
		mine[n] = i // the same one twice counts once
	}
	if len(mine) < e.threshold {
		return fileKey{}, nil, fmt.Errorf("%w: %d of the %d that are needed; the escrow was sealed to %s", ErrRecipients, len(mine), e.threshold, strings.Join(e.Recipients(), ", "))
	}
	for _, b := range e.boxes {
		if slices.ContainsFunc(b.members, func(m int) bool { return mine[m] == nil }) {
			continue
		}
		key, err := e.openBox(b, mine)
		if err != nil {
			return fileKey{}, nil, err
		}
		var by []string
		for _, m := range b.members {
			by = append(by, mine[m].String())
		}
		return key, by, nil
	}
	return fileKey{}, nil, fmt.Errorf("%w: the escrow has no box for these recipients", ErrDamaged)
}

func (e *Escrow) openBox(b box, mine map[int]*Identity) (fileKey, error) {
	changed := fmt.Errorf("%w: the escrow was changed after it was sealed; take another copy", ErrDamaged)
	raw := b.sealed
	for _, m := range slices.Backward(b.members) {
		with, err := mine[m].Decrypter()
		if err != nil {
			return fileKey{}, fmt.Errorf("escrow: open with %s: %w", mine[m], err)
		}
		if raw, err = with.Decrypt(raw, e.info(b, m)); err != nil {
			return fileKey{}, changed
		}
	}
	defer clear(raw)
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(raw)))
	if err != nil {
		return fileKey{}, changed
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return fileKey{}, changed
	}
	seal, err := dec(e.seal)
	if err != nil {
		return fileKey{}, changed
	}
	if _, err := primitive.Decrypt(seal, e.body()); err != nil {
		return fileKey{}, changed
	}
	return fileKey{primitive}, nil
}
