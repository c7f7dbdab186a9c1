package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
)

// Config says what a repository copies, where to, and under which key.
type Config struct {
	Source  Source               // what Run copies; may be nil if Run is never called
	Store   Store                // where the repository lies; required
	KEK     tink.AEADWithContext // seals the repository's keys; required; without it nothing can be read
	DataSet string               // names what the repository holds, e.g. "crm"; required: a-z, 0-9, '-', '_'
	Record  Recorder             // told of finished work; required, Discard is the named "nobody"
	Now     func() time.Time     // nil: time.Now

	// Recipients can read the rows that are backed up from now on; nobody else can,
	// also not with the KEK. Empty: whoever has the KEK can.
	Recipients []Recipient
	// Recovery is the private key of one recipient, for Restore and for a Verify
	// that opens everything. A process that only backs up must not have it.
	Recovery tink.HybridDecrypt
	// Epochs seal rows a second time, under keys that are destroyed on a schedule.
	// Nil: nothing is forgotten but by Prune.
	Epochs Epochs

	// Retain, if above zero, is for how long nobody shall be able to delete what a
	// new snapshot consists of, also what older runs stored: each run extends the
	// retention of all of it to at least so long from then, at most a day or a 32nd longer.
	// At least a minute, and only with a store that is a Retainer.
	Retain time.Duration
}

// A Repository is the snapshots of one data set in one store. Its methods may be
// called by several goroutines and processes at once.
type Repository struct {
	cfg  Config
	data *dataKeys

	mu   sync.Mutex
	keys *keyring // nil until the repository has keys
}

// Open opens the repository in a store. It writes nothing: the keys of a new
// repository are made by the first Run.
func Open(ctx context.Context, cfg Config) (*Repository, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("backup: Config.Store is nil; use dirstore.Open or NewMemory")
	case cfg.KEK == nil:
		return nil, errors.New("backup: Config.KEK is nil; a repository without a key encryption key does not exist")
	case cfg.Record == nil:
		return nil, errors.New("backup: Config.Record is nil; pass an audit log, or backup.Discard")
	case !validDataSet(cfg.DataSet):
		return nil, errors.New("backup: Config.DataSet must be 1 to 63 of a-z, 0-9, '-' and '_'")
	}
	if err := checkRetain(cfg); err != nil {
		return nil, err
	}
	for i, to := range cfg.Recipients {
		if to.Name == "" || to.Key == nil || slices.ContainsFunc(cfg.Recipients[:i], func(r Recipient) bool { return r.Name == to.Name }) {
			return nil, fmt.Errorf("backup: Config.Recipients[%d] needs a key and a name of its own", i)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Repository{cfg: cfg, data: &dataKeys{cfg: cfg, open: map[dataKeyName]openedDataKey{}}}
	keys, err := r.loadKeys(ctx)
	if err != nil {
		return nil, err
	}
	r.keys = keys
	return r, nil
}

func checkRetain(cfg Config) error {
	if cfg.Retain == 0 {
		return nil
	}
	if cfg.Retain < time.Minute {
		return errors.New("backup: Config.Retain must be zero or at least a minute")
	}
	if _, ok := AsRetainer(cfg.Store); !ok {
		return errors.New("backup: Config.Retain is set and Config.Store cannot retain objects; use a store that can, such as s3store on a bucket with object lock, or leave Retain zero")
	}
	return nil
}

func validDataSet(name string) bool {
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return 1 <= len(name) && len(name) <= 63
}

// loadKeys opens the repository's keys from either copy; nil if the store is empty.
func (r *Repository) loadKeys(ctx context.Context) (*keyring, error) {
	ring, err := r.readKeys(ctx)
	if !errors.As(err, new(keyless)) {
		return ring, err
	}
	// Another process may be making the repository: the keys are its first object,
	// so that whatever was seen of it comes after them.
	return r.readKeys(ctx)
}

// keyless is the error of a store that has objects and no keys.
type keyless struct{ error }

func (k keyless) Unwrap() error { return k.error }

func (r *Repository) readKeys(ctx context.Context) (*keyring, error) {
	var rings []*keyring
	var failed error
	for _, key := range []string{keysFirst, keysSecond} {
		object, err := r.cfg.Store.Get(ctx, key, 0, -1)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("backup: read %s: %w", key, err)
		}
		ring, err := openKeyring(ctx, r.cfg.KEK, r.cfg.DataSet, object)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", key, err))
			continue
		}
		ring.data = r.data
		rings = append(rings, ring)
	}
	switch {
	case len(rings) == 0 && failed != nil:
		return nil, failed
	case len(rings) == 0:
		return nil, r.refuseKeyless(ctx)
	case len(rings) == 2 && !bytes.Equal(rings[0].object, rings[1].object):
		return r.chooseKeys(ctx, rings)
	}
	return rings[0], nil
}

// refuseKeyless keeps a repository whose keys are gone from looking like a new one.
func (r *Repository) refuseKeyless(ctx context.Context) error {
	for o, err := range r.cfg.Store.List(ctx, "", "") {
		if err != nil {
			return fmt.Errorf("backup: list the store: %w", err)
		}
		if strings.HasPrefix(o.Key, ProbePrefix) {
			continue
		}
		return keyless{fmt.Errorf("%w: %s and %s are missing, but there is %s; bring one of them back from another copy", ErrDamaged, keysFirst, keysSecond, o.Key)}
	}
	return nil
}

// chooseKeys decides between two sets of keys that both open: somebody put the
// keys of another repository in place. The right ones verify the manifests.
func (r *Repository) chooseKeys(ctx context.Context, rings []*keyring) (*keyring, error) {
	var codecs []*codec
	for _, ring := range rings {
		c, err := newCodec(ring)
		if err != nil {
			return nil, err
		}
		defer c.close()
		codecs = append(codecs, c)
	}
	for o, err := range r.cfg.Store.List(ctx, manifestPrefix, "") {
		if err != nil {
			return nil, fmt.Errorf("backup: list manifests: %w", err)
		}
		id, ok := parseNumbered(manifestPrefix, o.Key)
		if !ok {
			continue
		}
		for _, c := range codecs {
			if _, err := c.readManifest(ctx, r.cfg.Store, id); err == nil {
				return c.ring, nil
			}
		}
	}
	return nil, fmt.Errorf("%w: %s and %s differ and neither fits a manifest; remove the foreign one", ErrDamaged, keysFirst, keysSecond)
}

// ring returns the keys of a repository that has some.
func (r *Repository) ring(ctx context.Context) (*keyring, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		keys, err := r.loadKeys(ctx) // another process may have made them since Open
		if err != nil {
			return nil, err
		}
		r.keys = keys
	}
	return r.keys, nil
}

// ensureKeys makes the keys of a new repository and completes the second copy.
// Of several processes that race, the one whose first copy is stored wins.
func (r *Repository) ensureKeys(ctx context.Context) (*keyring, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var err error
	if r.keys == nil {
		if r.keys, err = r.loadKeys(ctx); err != nil {
			return nil, err
		}
	}
	if r.keys == nil {
		if r.keys, err = r.makeKeys(ctx); err != nil {
			return nil, err
		}
	}
	for _, key := range []string{keysFirst, keysSecond} {
		if err := r.cfg.Store.Put(ctx, key, r.keys.object); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("backup: write %s: %w", key, err)
		}
	}
	return r.keys, nil
}

func (r *Repository) makeKeys(ctx context.Context) (*keyring, error) {
	ring, err := newKeyring(ctx, r.cfg.KEK, r.cfg.DataSet)
	if err != nil {
		return nil, err
	}
	if err := r.cfg.Store.Put(ctx, keysFirst, ring.object); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("backup: write %s: %w", keysFirst, err)
	}
	stored, err := r.loadKeys(ctx)
	if err == nil && stored == nil {
		err = fmt.Errorf("backup: the store took %s and does not have it", keysFirst)
	}
	return stored, err
}
