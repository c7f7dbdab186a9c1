package spill

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/confide-go/confide/internal/durable"
)

// A session is the file that says whether its process lives, and holds the
// ledger: two slots that are written in turn, in place. The room for them is taken when
// the session begins, so that a full disk cannot keep a loss from being noted.
type session struct {
	id   [sessionLen]byte
	path string
	file *os.File
	turn uint64 // of the last slot that was written
}

const (
	sessionSuffix = ".session"
	slotLen       = 8 << 10
	slotHeader    = 1 + 8 + 4

	// MaxLedger bounds what the ledger can hold.
	MaxLedger = slotLen - slotHeader - macLen
)

func newSession(dir string, key []byte) (*session, error) {
	for {
		s := &session{}
		if _, err := rand.Read(s.id[:]); err != nil {
			return nil, fmt.Errorf("spill: session id: %w", err)
		}
		s.path = filepath.Join(dir, hex.EncodeToString(s.id[:])+sessionSuffix)
		content := make([]byte, 2*slotLen)
		s.turn = 1
		copy(content[slotLen:], s.slot(key, nil))
		if err := durable.Create(s.path, content, 0o600); err != nil {
			return nil, err
		}
		f, err := openLocked(s.path)
		if err == nil && same(f, s.path) {
			s.file = f
			return s, nil
		}
		if err == nil {
			f.Close()
		} else if _, there := os.Stat(s.path); there == nil && !errors.Is(err, errLocked) {
			return nil, fmt.Errorf("spill: lock a session in %s: %w", dir, cause(err))
		}
		// Somebody took the new file for one of a dead process: make another.
	}
}

// takeOver locks the session of a process that is dead; nil if it lives.
func takeOver(path string) (*session, error) {
	id, err := hex.DecodeString(strings.TrimSuffix(filepath.Base(path), sessionSuffix))
	if err != nil || len(id) != sessionLen {
		return nil, nil // not ours
	}
	f, err := openLocked(path)
	switch {
	case errors.Is(err, errLocked), errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("spill: %s: %w", path, cause(err))
	}
	if !same(f, path) { // somebody else has just finished with it
		f.Close()
		return nil, nil
	}
	return &session{id: [sessionLen]byte(id), path: path, file: f}, nil
}

func same(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}

func (s *session) slotMAC(key, slot []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("ledger"))
	h.Write(s.id[:])
	h.Write(slot)
	return h.Sum(nil)
}

// save writes the ledger into the older slot.
func (s *session) save(key, ledger []byte) error {
	if len(ledger) > MaxLedger {
		return fmt.Errorf("spill: a ledger of %d bytes; %d fit", len(ledger), MaxLedger)
	}
	s.turn++
	if _, err := s.file.WriteAt(s.slot(key, ledger), int64(s.turn%2)*slotLen); err != nil {
		return fmt.Errorf("spill: write the ledger: %w", cause(err))
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("spill: fsync the ledger: %w", cause(err))
	}
	return nil
}

func (s *session) slot(key, ledger []byte) []byte {
	b := make([]byte, 0, slotHeader+len(ledger)+macLen)
	b = binary.BigEndian.AppendUint64(append(b, version), s.turn)
	b = binary.BigEndian.AppendUint32(b, uint32(len(ledger)))
	b = append(b, ledger...)
	return append(b, s.slotMAC(key, b)...)
}

// load returns the newest ledger that is whole, false if none is.
func (s *session) load(keys [][]byte) ([]byte, bool) {
	var newest []byte
	found := false
	for i := range int64(2) {
		b := make([]byte, slotLen)
		if _, err := s.file.ReadAt(b, i*slotLen); err != nil {
			continue
		}
		n := int64(binary.BigEndian.Uint32(b[9:]))
		turn := binary.BigEndian.Uint64(b[1:])
		if b[0] != version || n > MaxLedger || turn < s.turn {
			continue
		}
		end := slotHeader + n
		if slices.ContainsFunc(keys, func(key []byte) bool { return hmac.Equal(b[end:end+macLen], s.slotMAC(key, b[:end])) }) {
			newest, found, s.turn = b[slotHeader:end], true, turn
		}
	}
	return newest, found
}

// cause drops the path of an os error, which the callers' texts name already.
func cause(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}
