package backup

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// A Recipient is somebody who can read what is backed up from now on, by a key
// whose private half the writer does not have.
type Recipient struct {
	Name string             // not secret; another key needs another name, as by the names a run tells whether the readers have changed
	Key  tink.HybridEncrypt // e.g. hybrid.NewHybridEncrypt of a DHKEM_X25519 public keyset
}

const (
	dataKeyVersion = 1
	dataKeyLabel   = "confide/backup/data-key-signature/v1"
	dataKeyFixed   = 1 + 16 + 8 + nameSize
	nameSize       = 16
)

// errSealed is why content cannot be opened here, though nothing is wrong with it.
var errSealed = errors.New("backup: the key of this content is not at hand")

// A dataKeyName names a data key: the run that made it and 16 random bytes, as a
// run that was killed may have made another.
type dataKeyName struct {
	run  ID
	name [nameSize]byte
}

func (n dataKeyName) key() string {
	return dataKeyPrefix + n.run.digits() + "/" + hex.EncodeToString(n.name[:])
}

func parseDataKeyName(key string) (n dataKeyName, ok bool) {
	rest, ok := strings.CutPrefix(key, dataKeyPrefix)
	if !ok {
		return n, false
	}
	digits, name, _ := strings.Cut(rest, "/")
	if n.run, ok = parseNumbered("", digits); !ok {
		return n, false
	}
	b, err := hex.DecodeString(name)
	if err != nil || len(b) != nameSize {
		return n, false
	}
	copy(n.name[:], b)
	return n, n.key() == key
}

// MarshalText implements encoding.TextMarshaler: digits, a slash, hexadecimal.
func (n dataKeyName) MarshalText() ([]byte, error) {
	return []byte(strings.TrimPrefix(n.key(), dataKeyPrefix)), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *dataKeyName) UnmarshalText(text []byte) error {
	parsed, ok := parseDataKeyName(dataKeyPrefix + string(text))
	if !ok {
		return errors.New("backup: not the name of a data key")
	}
	*n = parsed
	return nil
}

// A dataKey seals the chunks of one run. Only its object outlives the run.
type dataKey struct {
	name   dataKeyName
	aead   tink.AEAD
	object []byte
}

// dataKeyBody is the part of a data key's object that says who can open it.
type dataKeyBody struct {
	Epoch   string      `json:"epoch,omitempty"`  // under whose key the sealed keys are wrapped
	Expires time.Time   `json:"expires,omitzero"` // when that epoch's key is destroyed
	Sealed  []sealedKey `json:"sealed"`
}

type sealedKey struct {
	To  string `json:"to,omitempty"` // a recipient; empty: the KEK
	Key []byte `json:"key"`          // the keyset
}

func (k *keyring) dataKeyBinding(name dataKeyName, purpose, to string) []byte {
	return bind("confide/backup/data-key/v1", k.repo, number64(uint64(name.run)), name.name[:], []byte(purpose), []byte(to))
}

// newDataKey makes the data key of a run, sealed to whoever is to read the run.
func (r *Repository) newDataKey(ctx context.Context, ring *keyring, run ID) (*dataKey, error) {
	k := &dataKey{name: dataKeyName{run: run}}
	if _, err := rand.Read(k.name.name[:]); err != nil {
		return nil, fmt.Errorf("backup: random name of a data key: %w", err)
	}
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("backup: make data key: %w", err)
	}
	if k.aead, err = aead.New(handle); err != nil {
		return nil, fmt.Errorf("backup: make data key: %w", err)
	}
	body, err := r.sealDataKey(ctx, ring, k.name, handle)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("backup: encode data key: %w", err)
	}
	object := append([]byte{dataKeyVersion}, ring.repo...)
	object = append(object, number64(uint64(run))...)
	object = append(object, k.name.name[:]...)
	object = append(object, number32(uint32(len(text)))...)
	k.object, err = ring.sign(dataKeyLabel, append(object, text...))
	return k, err
}

func (r *Repository) sealDataKey(ctx context.Context, ring *keyring, name dataKeyName, handle *keyset.Handle) (dataKeyBody, error) {
	var body dataKeyBody
	var epoch Epoch
	if r.cfg.Epochs != nil {
		var err error
		if epoch, err = r.cfg.Epochs.Current(ctx, r.cfg.Now()); err != nil {
			return body, fmt.Errorf("backup: current key epoch: %w", err)
		}
		body.Epoch, body.Expires = epoch.ID, epoch.Expires.UTC().Round(0)
	}
	seal := func(to string, key tink.AEADWithContext) error {
		var sealed sealedKeyset
		if err := handle.WriteWithContext(ctx, &sealed, key, ring.dataKeyBinding(name, "keyset", to)); err != nil {
			return fmt.Errorf("backup: seal data key to %q: %w", to, err)
		}
		if epoch.Key != nil {
			wrapped, err := epoch.Key.EncryptWithContext(ctx, sealed.bytes, ring.dataKeyBinding(name, "epoch "+epoch.ID, to))
			if err != nil {
				return fmt.Errorf("backup: seal data key under epoch %s: %w", epoch.ID, err)
			}
			sealed.bytes = wrapped
		}
		body.Sealed = append(body.Sealed, sealedKey{To: to, Key: sealed.bytes})
		return nil
	}
	if len(r.cfg.Recipients) == 0 {
		return body, seal("", r.cfg.KEK)
	}
	for _, to := range r.cfg.Recipients {
		if err := seal(to.Name, hybridKey{public: to.Key}); err != nil {
			return body, err
		}
	}
	return body, nil
}

// hybridKey lets a keyset be written and read with public-key encryption.
type hybridKey struct {
	public  tink.HybridEncrypt
	private tink.HybridDecrypt
}

func (h hybridKey) EncryptWithContext(_ context.Context, plaintext, info []byte) ([]byte, error) {
	return h.public.Encrypt(plaintext, info)
}

func (h hybridKey) DecryptWithContext(_ context.Context, ciphertext, info []byte) ([]byte, error) {
	return h.private.Decrypt(ciphertext, info)
}

// dataKeys opens the data keys of a repository, each once.
type dataKeys struct {
	cfg Config

	mu   sync.Mutex
	open map[dataKeyName]openedDataKey
}

type openedDataKey struct {
	aead tink.AEAD
	err  error // damage, or errSealed: neither goes away
}

func (d *dataKeys) get(ctx context.Context, ring *keyring, name dataKeyName) (tink.AEAD, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.open[name]; ok {
		return k.aead, k.err
	}
	body, err := readDataKey(ctx, d.cfg.Store, ring, name)
	var k openedDataKey
	if err == nil {
		k.aead, err = d.unseal(ctx, ring, name, body)
	}
	if err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, errSealed) {
		return nil, err
	}
	k.err = err
	d.open[name] = k
	return k.aead, k.err
}

// unseal opens a data key with the KEK or the recovery key.
func (d *dataKeys) unseal(ctx context.Context, ring *keyring, name dataKeyName, body dataKeyBody) (tink.AEAD, error) {
	var epoch tink.AEADWithContext
	if body.Epoch != "" {
		if d.cfg.Epochs == nil {
			return nil, fmt.Errorf("%w: snapshot %d is sealed under key epoch %s; set Config.Epochs", errSealed, name.run, body.Epoch)
		}
		var err error
		epoch, err = d.cfg.Epochs.Open(ctx, body.Epoch)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%w: key epoch %s, under which snapshot %d was sealed, has been destroyed", errSealed, body.Epoch, name.run)
		}
		if err != nil {
			return nil, fmt.Errorf("backup: open key epoch %s: %w", body.Epoch, err)
		}
	}
	var names []string
	for _, s := range body.Sealed {
		names = append(names, s.To)
		var key tink.AEADWithContext = d.cfg.KEK
		if s.To != "" {
			key = hybridKey{private: d.cfg.Recovery}
			if d.cfg.Recovery == nil {
				continue
			}
		}
		sealed := s.Key
		if epoch != nil {
			var err error
			if sealed, err = epoch.DecryptWithContext(ctx, sealed, ring.dataKeyBinding(name, "epoch "+body.Epoch, s.To)); err != nil {
				return nil, fmt.Errorf("backup: key epoch %s does not open the data key of snapshot %d; is it the right one?", body.Epoch, name.run)
			}
		}
		handle, err := keyset.ReadWithContext(ctx, &sealedKeyset{sealed}, key, ring.dataKeyBinding(name, "keyset", s.To))
		if err == nil {
			return aead.New(handle)
		}
		if s.To == "" { // as it opened the repository's keys, this is not about the key
			return nil, fmt.Errorf("backup: open data key of snapshot %d: %w", name.run, err)
		}
	}
	return nil, fmt.Errorf("%w: snapshot %d is sealed to %s; set Config.Recovery to the private key of one of them", errSealed, name.run, strings.Join(names, ", "))
}

// readDataKey reads a data key's object and checks its signature.
func readDataKey(ctx context.Context, store Store, ring *keyring, name dataKeyName) (dataKeyBody, error) {
	object, err := required(ctx, store, name.key())
	if err != nil {
		return dataKeyBody{}, err
	}
	body, err := ring.openDataKey(name, object)
	if err != nil {
		return dataKeyBody{}, fmt.Errorf("%w: %s %w", ErrDamaged, name.key(), err)
	}
	return body, nil
}

func (k *keyring) openDataKey(name dataKeyName, object []byte) (body dataKeyBody, err error) {
	signed, err := k.checkSigned(dataKeyLabel, dataKeyVersion, dataKeyFixed, object)
	if err != nil {
		return body, err
	}
	if ID(binary.BigEndian.Uint64(signed[17:])) != name.run || !bytes.Equal(signed[25:dataKeyFixed], name.name[:]) {
		return body, errors.New("is another data key")
	}
	text, _, _ := cutSized(signed[dataKeyFixed:])
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&body); err != nil {
		return body, fmt.Errorf("is not understood: %w", err)
	}
	return body, nil
}
