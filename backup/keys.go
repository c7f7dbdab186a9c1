package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/signature"
	"github.com/tink-crypto/tink-go/v2/tink"
)

const keysVersion = 1

// keyring is a repository's keys, opened, with the object they came from.
type keyring struct {
	object []byte // as stored under keysFirst and keysSecond
	repo   []byte // 16 random bytes: the repository's name in all bindings
	epoch  uint32

	aead     tink.AEAD
	hash     *prf.Set
	signer   tink.Signer
	verifier tink.Verifier
	data     *dataKeys
	boundary []byte // HMAC key of chunk boundaries
	rows     []byte // HMAC key of row sets
}

// roles are the keysets of a repository, in the order in which they are stored.
func roles() []string { return []string{"chunk", "hash", "sign"} }

func template(role string) *tinkpb.KeyTemplate {
	switch role {
	case "chunk":
		return aead.AES256GCMKeyTemplate()
	case "hash":
		return prf.HMACSHA256PRFKeyTemplate()
	}
	return signature.ED25519KeyTemplate()
}

func keysBinding(repo []byte, epoch uint32, dataSet, role string) []byte {
	return bind("confide/backup/keys/v1", repo, number32(epoch), []byte(dataSet), []byte(role))
}

// newKeyring makes the keys of a new repository and seals them.
func newKeyring(ctx context.Context, kek tink.AEADWithContext, dataSet string) (*keyring, error) {
	if err := probe(ctx, kek); err != nil {
		return nil, err
	}
	repo := make([]byte, 16)
	if _, err := rand.Read(repo); err != nil {
		return nil, fmt.Errorf("backup: random repository name: %w", err)
	}
	const epoch = 1
	object := append([]byte{keysVersion}, repo...)
	object = append(object, number32(epoch)...)
	object = append(object, byte(len(dataSet)))
	object = append(object, dataSet...)
	for _, role := range roles() {
		handle, err := keyset.NewHandle(template(role))
		if err != nil {
			return nil, fmt.Errorf("backup: make %s key: %w", role, err)
		}
		var sealed sealedKeyset
		if err := handle.WriteWithContext(ctx, &sealed, kek, keysBinding(repo, epoch, dataSet, role)); err != nil {
			return nil, fmt.Errorf("backup: seal %s key: %w", role, err)
		}
		object = append(object, number32(uint32(len(sealed.bytes)))...)
		object = append(object, sealed.bytes...)
	}
	return openKeyring(ctx, kek, dataSet, object)
}

// probe refuses a KEK that does not check associated data: with such a one the
// keys of one repository could be passed off as those of another.
func probe(ctx context.Context, kek tink.AEADWithContext) error {
	sealed, err := kek.EncryptWithContext(ctx, []byte("probe"), []byte("confide/backup/probe/a"))
	if err != nil {
		return fmt.Errorf("backup: the key encryption key cannot seal: %w", err)
	}
	plain, err := kek.DecryptWithContext(ctx, sealed, []byte("confide/backup/probe/a"))
	if err != nil || string(plain) != "probe" {
		return errors.New("backup: the key encryption key does not open what it sealed")
	}
	if _, err := kek.DecryptWithContext(ctx, sealed, []byte("confide/backup/probe/b")); err == nil {
		return errors.New("backup: the key encryption key ignores associated data; use another one")
	}
	return nil
}

// openKeyring parses a key object and opens its keysets.
func openKeyring(ctx context.Context, kek tink.AEADWithContext, dataSet string, object []byte) (*keyring, error) {
	head, sealed, err := parseKeys(object)
	if err != nil {
		return nil, err
	}
	if head.dataSet != dataSet {
		return nil, fmt.Errorf("backup: the repository holds data set %q, not %q; set Config.DataSet or use another store", head.dataSet, dataSet)
	}
	k := &keyring{object: object, repo: head.repo, epoch: head.epoch}
	for i, role := range roles() {
		handle, err := keyset.ReadWithContext(ctx, &sealedKeyset{sealed[i]}, kek, keysBinding(k.repo, k.epoch, dataSet, role))
		if err != nil {
			return nil, fmt.Errorf("%w: %s key: %w", ErrWrongKEK, role, err)
		}
		if err := k.use(role, handle); err != nil {
			return nil, fmt.Errorf("backup: %s key: %w", role, err)
		}
	}
	if k.boundary, err = k.prf("confide/backup/boundary-key/v1", nil, 32); err != nil {
		return nil, err
	}
	k.rows, err = k.prf("confide/backup/row-key/v1", nil, 32)
	return k, err
}

func (k *keyring) use(role string, handle *keyset.Handle) (err error) {
	switch role {
	case "chunk":
		k.aead, err = aead.New(handle)
	case "hash":
		k.hash, err = prf.NewPRFSet(handle)
	default:
		var public *keyset.Handle
		if public, err = handle.Public(); err != nil {
			return err
		}
		if k.verifier, err = signature.NewVerifier(public); err != nil {
			return err
		}
		k.signer, err = signature.NewSigner(handle)
	}
	return err
}

// prf is the keyed hash of this repository, for one purpose.
func (k *keyring) prf(purpose string, input []byte, size uint32) ([]byte, error) {
	out, err := k.hash.ComputePrimaryPRF(append(bind(purpose), input...), size)
	if err != nil {
		return nil, fmt.Errorf("backup: keyed hash: %w", err)
	}
	return out, nil
}

type keysHead struct {
	repo    []byte
	epoch   uint32
	dataSet string
}

func parseKeys(object []byte) (keysHead, [][]byte, error) {
	malformed := fmt.Errorf("%w: key object is malformed", ErrDamaged)
	if len(object) < 22 {
		return keysHead{}, nil, malformed
	}
	if object[0] != keysVersion {
		return keysHead{}, nil, fmt.Errorf("%w: key object has unknown version %d", ErrDamaged, object[0])
	}
	head := keysHead{repo: object[1:17], epoch: binary.BigEndian.Uint32(object[17:21])}
	n, rest := int(object[21]), object[22:]
	if len(rest) < n {
		return keysHead{}, nil, malformed
	}
	head.dataSet, rest = string(rest[:n]), rest[n:]
	var sealed [][]byte
	for range roles() {
		part, after, ok := cutSized(rest)
		if !ok {
			return keysHead{}, nil, malformed
		}
		sealed, rest = append(sealed, part), after
	}
	if len(rest) != 0 {
		return keysHead{}, nil, malformed
	}
	return head, sealed, nil
}

// cutSized splits off a field that is preceded by its length in four bytes.
func cutSized(b []byte) (field, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-4) {
		return nil, nil, false
	}
	return b[4 : 4+n], b[4+n:], true
}

// sealedKeyset lets Tink read and write the ciphertext alone: Tink's own
// container adds a description of the keys that nothing authenticates.
type sealedKeyset struct{ bytes []byte }

func (s *sealedKeyset) WriteEncrypted(k *tinkpb.EncryptedKeyset) error {
	s.bytes = bytes.Clone(k.GetEncryptedKeyset())
	return nil
}

func (s *sealedKeyset) ReadEncrypted() (*tinkpb.EncryptedKeyset, error) {
	return &tinkpb.EncryptedKeyset{EncryptedKeyset: s.bytes}, nil
}

func (s *sealedKeyset) Write(*tinkpb.Keyset) error {
	return errors.New("backup: refusing to write a keyset in the clear")
}

func (s *sealedKeyset) Read() (*tinkpb.Keyset, error) {
	return nil, errors.New("backup: refusing to read a keyset in the clear")
}
