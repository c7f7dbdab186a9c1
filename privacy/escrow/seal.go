package escrow

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/privacy"
)

// A Plan says who can open an escrow.
type Plan struct {
	Recipients []Recipient // 1 to 8, each once
	// Threshold is how many of them must come together: 1 lets each of them recover alone.
	Threshold int
	// Now is when. Zero: now.
	Now time.Time
}

// Seal makes an escrow of the keys of all tenants in the database, which kek wraps. It proves of each that it
// opens before it is sealed.
func Seal(ctx context.Context, d Database, kek tink.AEADWithContext, plan Plan) (*Escrow, error) {
	h, err := d.open()
	if err != nil {
		return nil, err
	}
	if kek == nil {
		return nil, errors.New("escrow: seal: the KEK is missing; it is the one of privacy.Config")
	}
	e, err := plan.escrow()
	if err != nil {
		return nil, err
	}
	key, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("escrow: seal: make the file key: %w", err)
	}
	primitive, err := aead.New(key)
	if err != nil {
		return nil, fmt.Errorf("escrow: seal: make the file key: %w", err)
	}
	if err := e.fill(ctx, h, kek, fileKey{primitive}); err != nil {
		return nil, err
	}
	if err := e.close(plan.Recipients, key, primitive); err != nil {
		return nil, err
	}
	if _, err := Parse(e.Text()); err != nil {
		return nil, fmt.Errorf("escrow: seal: what was made cannot be read back: %w", err)
	}
	err = h.record.Record(ctx, "escrow.seal", slog.String("digest", e.Digest()), slog.Int("tenants", len(e.tenants)),
		slog.Int("threshold", e.threshold), slog.Any("recipients", e.Recipients()))
	if err != nil {
		return nil, fmt.Errorf("escrow: seal: it could not be recorded, so it is not handed out: %w", err)
	}
	return e, nil
}

// escrow checks the plan and returns an escrow without keys.
func (p Plan) escrow() (*Escrow, error) {
	n := len(p.Recipients)
	if n == 0 || n > maxRecipients {
		return nil, fmt.Errorf("escrow: plan: %d recipients; there must be 1 to %d", n, maxRecipients)
	}
	if p.Threshold < 1 || p.Threshold > n {
		return nil, fmt.Errorf("escrow: plan: threshold %d; it must be 1 to %d, the number of recipients", p.Threshold, n)
	}
	e := &Escrow{threshold: p.Threshold, sealed: p.Now.UTC().Truncate(time.Second)}
	if p.Now.IsZero() {
		e.sealed = time.Now().UTC().Truncate(time.Second)
	}
	names, keys := map[string]bool{}, map[string]bool{}
	for _, r := range p.Recipients {
		f := r.Fingerprint()
		switch {
		case len(r.public) == 0:
			return nil, errors.New("escrow: plan: a recipient has no key; use ParseRecipient or Identity.Recipient")
		case names[r.name]:
			return nil, fmt.Errorf("escrow: plan: two recipients are named %s", r.name)
		case keys[f]:
			return nil, fmt.Errorf("escrow: plan: recipient %s has the same key as another, so that one person would count twice", r.name)
		}
		names[r.name], keys[f] = true, true
		e.people = append(e.people, person{r.name, f})
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("escrow: random source: %w", err)
	}
	e.id = enc(id)
	return e, nil
}

// fill wraps the keys of the database under the file key.
func (e *Escrow) fill(ctx context.Context, h house, kek, file tink.AEADWithContext) error {
	check, err := h.load(ctx, privacy.KeyName{Purpose: purposeCheck})
	if err != nil {
		return err
	}
	if check == nil {
		return errors.New("escrow: seal: the database has no key check value; call Vault.Migrate first")
	}
	text, err := kek.DecryptWithContext(ctx, check.Wrapped, check.AssociatedData())
	if err != nil {
		return fmt.Errorf("escrow: seal: %w: the KEK does not open the key check value; is it the one this database was made with? %w", privacy.ErrKey, err)
	}
	wrapped, err := file.EncryptWithContext(ctx, text, check.AssociatedData())
	if err != nil {
		return fmt.Errorf("escrow: seal: %w", err)
	}
	e.check = entry{version: check.Version, stored: digestOf(*check), wrapped: wrapped}
	return h.tenants(ctx, func(name string, keys tenantKeys) error {
		handle, primitive, err := unwrap(ctx, keys.data, kek)
		if err != nil {
			return fmt.Errorf("escrow: seal: %w: the KEK does not open the keys of tenant %q: %w", privacy.ErrKey, name, err)
		}
		if !opens(keys.index, primitive) {
			return fmt.Errorf("escrow: seal: %w: the index keyset of tenant %q does not open; restore table confide_tenant_keys from a backup", privacy.ErrKey, name)
		}
		wrapped, err := wrap(ctx, keys.data, handle, file)
		if err != nil {
			return fmt.Errorf("escrow: seal: wrap the keys of tenant %q: %w", name, err)
		}
		e.tenants = append(e.tenants, entry{name, keys.data.Version, digestOf(keys.data), wrapped})
		return nil
	})
}

// close makes the boxes and the seal.
func (e *Escrow) close(recipients []Recipient, key *keyset.Handle, primitive tink.AEAD) error {
	var secret bytes.Buffer
	if err := insecurecleartextkeyset.Write(key, keyset.NewBinaryWriter(&secret)); err != nil {
		return fmt.Errorf("escrow: seal: %w", err)
	}
	defer clear(secret.Bytes())
	for _, members := range subsets(len(recipients), e.threshold) {
		b := box{members: members, sealed: secret.Bytes()}
		for _, m := range members {
			to, err := recipients[m].Encrypter()
			if err != nil {
				return fmt.Errorf("escrow: seal to %s: %w", recipients[m].name, err)
			}
			if b.sealed, err = to.Encrypt(b.sealed, e.info(b, m)); err != nil {
				return fmt.Errorf("escrow: seal to %s: %w", recipients[m].name, err)
			}
		}
		e.boxes = append(e.boxes, b)
	}
	seal, err := primitive.Encrypt(nil, e.body())
	e.seal = enc(seal)
	return err
}

// info is HPKE's info: it binds a layer of a box to the file's head, to the members and to the recipient.
func (e *Escrow) info(b box, recipient int) []byte {
	sum := sha256.Sum256(e.head())
	text := fmt.Appendf(nil, "%s box\n%s\n", header, hex.EncodeToString(sum[:]))
	for _, m := range b.members {
		text = fmt.Appendf(text, "%s\n", e.people[m].fingerprint)
	}
	return fmt.Appendf(text, "for %s\n", e.people[recipient].fingerprint)
}

// fileKey is a file key as a KEK.
type fileKey struct{ tink.AEAD }

func (k fileKey) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return k.Encrypt(plaintext, associatedData)
}

func (k fileKey) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return k.Decrypt(ciphertext, associatedData)
}
