package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Config says what a Log is made of. The first five fields are required.
type Config struct {
	Store Store // audit/gormstore, or NewMemory for tests

	// Signer signs checkpoints, Verifier checks them. See GenerateKey. The
	// signer must be deterministic, as Ed25519 is, and the same in all
	// processes that share the store.
	Signer   note.Signer
	Verifier note.Verifier

	// Keys are further keys of this log: the next one, which is announced before
	// it becomes Signer, and previous ones. See Key and doc.go about rotation.
	Keys Keys

	// Actor tells who acts. It may return the zero Actor for nobody.
	Actor func(ctx context.Context) Actor

	// Anchor takes every new checkpoint to a place the database's
	// administrator cannot reach. Unanchored is the named "none".
	Anchor Anchor

	Interval time.Duration    // how often Run seals; 0 is 250 ms
	Now      func() time.Time // nil is time.Now
	Logger   *slog.Logger     // where background work reports failures; nil is slog.Default

	// Keep is how long events are kept before Prune may remove them; 0 keeps
	// them for ever. It may not be shorter than any of Floors, nil being
	// DefaultFloors.
	Keep   time.Duration
	Floors []Floor

	// Class tells how important the events of an action are; nil and a zero result
	// mean the defaults that Class describes.
	Class func(action string) Class

	// SeenWindow is how long Seen counts repetitions of the same reading instead of
	// recording each; 0 records each.
	SeenWindow time.Duration

	// DataType tells what kind of data a field of a resource is: "contact",
	// "identity", ... or "" for none. Query.DataType finds events by it.
	DataType func(resource, field string) string

	// Spill is a directory on a local disk for events that the database does not
	// take; "" is none. Processes may share it. SpillLimit is how many bytes it may
	// hold; 0 is 256 MiB.
	Spill      string
	SpillLimit int64

	OnFull   OnFull        // what happens to events that find the queue in memory full
	BlockFor time.Duration // how long Block waits; 0 is one second

	// CloseWait is how long Close, and the end of Run, wait for a database that does
	// not answer; 0 is ten seconds.
	CloseWait time.Duration

	// Ignore names tables the GORM plugin does not record, such as sessions.
	// Those of this library are never recorded.
	Ignore []string

	// Diff makes events say what changed, and not only where. nil: they do not.
	Diff *Diff

	// MostRows is how many rows of one update or delete are read, locked and
	// named; a statement that changes more becomes one event with their number
	// and a fingerprint of its conditions. 0 is 1000.
	MostRows int

	// Raw says what becomes of SQL text that writes to recorded tables, RawReasons
	// which reasons of AllowRaw let it pass.
	Raw        RawMode
	RawReasons []string

	// Triggers makes the plugin mark its statements, so that triggers (see
	// gormstore) can tell them from those that went past it.
	Triggers bool
}

// A Log records events and seals them. It is safe for concurrent use, and
// several processes may have one on the same store.
type Log struct {
	cfg    Config
	keys   Keys // all that are accepted, Config.Verifier first
	macKey []byte
	oldMAC [][]byte // of Config.Keys that have a Signer
	macs   sync.Pool
	rules  sync.Map // *schema.Schema to *rules
	queue  *queue
	sights sights

	sealing  sync.Mutex // one pass at a time in this process
	sealed   int64      // size of the top log this process has seen
	anchored int64      // size of the top log that the anchor has
}

// Open checks the configuration and returns a log on it. It starts nothing in
// the background: call Run for that, or Seal when it suits you.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Interval <= 0 {
		cfg.Interval = 250 * time.Millisecond
	}
	if cfg.BlockFor <= 0 {
		cfg.BlockFor = time.Second
	}
	if cfg.CloseWait <= 0 {
		cfg.CloseWait = 10 * time.Second
	}
	if cfg.MostRows <= 0 {
		cfg.MostRows = 1000
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	key, err := deriveMACKey(cfg.Signer, cfg.Verifier)
	if err != nil {
		return nil, err
	}
	l := &Log{cfg: cfg, macKey: key, keys: cfg.allKeys()}
	if l.oldMAC, err = cfg.Keys.macKeys(); err != nil {
		return nil, err
	}
	l.macs.New = func() any { return hmac.New(sha256.New, key) }
	if _, err := cfg.Store.Heads(ctx, topLog); err != nil {
		return nil, fmt.Errorf("audit: open the store: %w", err)
	}
	if l.queue, err = l.openQueue(); err != nil {
		return nil, err
	}
	return l, nil
}

func (c *Config) check() error {
	missing := func(field, remedy string) error {
		return fmt.Errorf("%w: Config.%s is nil; %s", ErrInvalid, field, remedy)
	}
	switch {
	case c.Store == nil:
		return missing("Store", "use gormstore.Open, or NewMemory in tests")
	case c.Signer == nil:
		return missing("Signer", "make a key with GenerateKey and give note.NewSigner(skey)")
	case c.Verifier == nil:
		return missing("Verifier", "give note.NewVerifier(vkey) of the signer's key")
	case c.Actor == nil:
		return missing("Actor", "give a function that tells who acts in a context")
	case c.Anchor == nil:
		return missing("Anchor", "use fileanchor.Open, or Unanchored to go without on purpose")
	case c.Signer.Name() != c.Verifier.Name() || c.Signer.KeyHash() != c.Verifier.KeyHash():
		return fmt.Errorf("%w: Config.Verifier does not belong to Config.Signer; both must come from one GenerateKey", ErrInvalid)
	case c.Diff != nil && !keepsSecrets(c.Store):
		return fmt.Errorf("%w: Config.Diff needs a Store that is a SecretStore, to keep the secrets of commitments", ErrInvalid)
	}
	if err := c.allKeys().check(); err != nil {
		return err
	}
	return c.checkKeep()
}

func (c *Config) allKeys() Keys { return append(KeysOf(c.Verifier), c.Keys...) }

// deriveMACKey makes the key that protects events between commit and seal out of
// the signing key, so that every process with the signer has it and the
// database has not. The signed text has two lines and thus cannot be a checkpoint.
func deriveMACKey(signer note.Signer, verifier note.Verifier) ([]byte, error) {
	text := []byte("confide audit pending key v1\n" + signer.Name() + "\n")
	first, err := signer.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("audit: the signer does not sign: %w", err)
	}
	second, err := signer.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("audit: the signer does not sign: %w", err)
	}
	if !verifier.Verify(text, first) {
		return nil, fmt.Errorf("%w: Config.Verifier does not accept Config.Signer's signature", ErrInvalid)
	}
	if string(first) != string(second) {
		return nil, fmt.Errorf("%w: the signer is not deterministic; use an Ed25519 key", ErrInvalid)
	}
	key := sha256.Sum256(first)
	return key[:], nil
}

func (l *Log) mac(data []byte) []byte {
	h := l.macs.Get().(hash.Hash)
	defer l.macs.Put(h)
	h.Reset()
	h.Write(data)
	return h.Sum(nil)
}

// Flush waits until the events given to RecordApart are in the database. Do not
// call it inside a transaction: it would wait for your own lock, so it refuses.
func (l *Log) Flush(ctx context.Context) error {
	if _, ok := Tx(ctx); ok {
		return fmt.Errorf("%w: Flush inside a transaction waits for itself; call it after the commit", ErrInvalid)
	}
	return errors.Join(l.keepAll(ctx, l.sights.endAll()), l.queue.flush(ctx))
}

// Close writes what is still queued and refuses further events. If the database
// does not answer in time, what waits goes to Config.Spill, or is counted as lost
// and returned as an error. Close does not stop Run: cancel its context first.
func (l *Log) Close() error {
	if l.queue.isEnded() {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), l.cfg.CloseWait)
	defer cancel()
	counted := l.sights.endAll()
	if !l.queue.isClosed() {
		if err := l.keepAll(ctx, counted); err != nil {
			l.cfg.Logger.Error("audit: close: repeated readings are not recorded", "error", err)
		}
	}
	l.queue.close()
	err := l.queue.flush(ctx)
	if err != nil {
		err = fmt.Errorf("audit: close: %w", err)
		l.queue.abandon()
	}
	return errors.Join(err, l.queue.end())
}
