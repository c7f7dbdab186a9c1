package intake

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/internal/durable"
	"github.com/confide-go/confide/privacy/internal/tuple"
)

// Keys are the private keys of the back office: the newest, whose public half seals, and older ones. They never
// change; Rotate and Drop return others.
type Keys struct {
	handle *keyset.Handle
	dec    tink.HybridDecrypt
	public *PublicKey
}

// NewKeys makes a first key.
func NewKeys() (*Keys, error) { return add(keyset.NewManager()) }

// Rotate returns the keys with a new one that seals from now on. Save them before you give Public to a form.
func (k *Keys) Rotate() (*Keys, error) { return add(keyset.NewManagerFromHandle(k.handle)) }

func add(m *keyset.Manager) (*Keys, error) {
	params, err := parameters()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	id, err := m.AddNewKeyFromParameters(params)
	if err != nil {
		return nil, fmt.Errorf("%w: make it: %w", ErrKey, err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return fromManager(m)
}

func fromManager(m *keyset.Manager) (*Keys, error) {
	h, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return fromHandle(h)
}

func fromHandle(h *keyset.Handle) (*Keys, error) {
	dec, err := hybrid.NewHybridDecrypt(h)
	if err != nil {
		return nil, fmt.Errorf("%w: the keyset is of another kind", ErrKey)
	}
	primary, err := h.Primary()
	if err != nil {
		return nil, fmt.Errorf("%w: none of the keys is the newest", ErrKey)
	}
	private, ok := primary.Key().(*hpke.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: the keyset is of another kind", ErrKey)
	}
	half, err := private.PublicKey()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	want, err := parameters()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	point, ok := half.(*hpke.PublicKey)
	if !ok || !point.Parameters().Equal(want) {
		return nil, fmt.Errorf("%w: the keyset is of another kind", ErrKey)
	}
	public, err := newPublicKey(primary.KeyID(), point.PublicKeyBytes())
	if err != nil {
		return nil, err
	}
	return &Keys{handle: h, dec: dec, public: public}, nil
}

// Public is the half that forms get.
func (k *Keys) Public() *PublicKey { return k.public }

// IDs names all keys, the newest first.
func (k *Keys) IDs() []string {
	ids := []string{k.public.ID()}
	for i := range k.handle.Len() {
		if e, err := k.handle.Entry(i); err == nil && !e.IsPrimary() {
			ids = append(ids, fmt.Sprintf("%08x", e.KeyID()))
		}
	}
	return ids
}

// Drop returns the keys without an old one. Boxes that it sealed can never be opened again: see Box.KeyID for
// whether there are any.
func (k *Keys) Drop(id string) (*Keys, error) {
	switch {
	case !slices.Contains(k.IDs(), id):
		return nil, fmt.Errorf("%w: there is none named %q", ErrKey, id)
	case id == k.public.ID():
		return nil, fmt.Errorf("%w: %s is the newest, which forms seal with; Rotate first", ErrKey, id)
	}
	n, err := strconv.ParseUint(id, 16, 32)
	if err != nil {
		return nil, fmt.Errorf("%w: there is none named %q", ErrKey, id)
	}
	m := keyset.NewManagerFromHandle(k.handle)
	if err := m.Delete(uint32(n)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return fromManager(m)
}

// String names the newest key.
func (k *Keys) String() string { return "intake.Keys(" + strings.Join(k.IDs(), ", ") + ")" }

const fileHeader = "confide intake keys v1\n"

// Save writes the keys to a file of mode 0600, wrapped by the KEK, durably, in the place of what is there.
func (k *Keys) Save(ctx context.Context, path string, kek tink.AEADWithContext) error {
	var wrapped bytes.Buffer
	if err := k.handle.WriteWithContext(ctx, keyset.NewBinaryWriter(&wrapped), kek, tuple.Encode("confide.intake.keys")); err != nil {
		return fmt.Errorf("intake: save %s: wrap the keys: %w", path, err)
	}
	text := fileHeader + base64.StdEncoding.EncodeToString(wrapped.Bytes()) + "\n"
	if err := durable.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("intake: save: %w", err)
	}
	return nil
}

// Load reads the keys that Save wrote. The error wraps fs.ErrNotExist if there is no file.
func Load(ctx context.Context, path string, kek tink.AEADWithContext) (*Keys, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("intake: load: %w", err)
	}
	body, ok := strings.CutPrefix(string(text), fileHeader)
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(body, "\n"))
	if !ok || err != nil {
		return nil, fmt.Errorf("%w: %s is no file of intake keys of version 1; restore it from its copy", ErrKey, path)
	}
	h, err := keyset.ReadWithContext(ctx, keyset.NewBinaryReader(bytes.NewReader(raw)), kek, tuple.Encode("confide.intake.keys"))
	if err != nil {
		return nil, fmt.Errorf("%w: the KEK does not open %s; use the one it was saved with, or restore the file from its copy", ErrKey, path)
	}
	return fromHandle(h)
}

// open opens a box without asking anybody.
func (k *Keys) open(at Place, b Box) ([]byte, error) {
	if err := at.check(); err != nil {
		return nil, err
	}
	if err := checkShape(b.b); err != nil {
		return nil, err
	}
	if !slices.Contains(k.IDs(), b.KeyID()) {
		return nil, fmt.Errorf("%w: the box was sealed under key %s, which is not among these", ErrKey, b.KeyID())
	}
	body, err := k.dec.Decrypt(b.b[3:], at.info(b.KeyID()))
	if err != nil {
		return nil, fmt.Errorf("%w: it was damaged, or sealed for another form, tenant or submission", ErrUnreadable)
	}
	return body, nil
}
