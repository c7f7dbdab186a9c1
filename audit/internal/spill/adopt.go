package spill

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Legacy is what a session left behind. Every function may be called again
// with the same content if the process dies before the files are gone.
type Legacy struct {
	Store  func(session string, records [][]byte) error
	Report func(session string, fault Fault) error
	Ledger func(session string, ledger []byte) error
}

// Adopt hands over what sessions of dead processes left in the directory and
// removes it. A session that fails is left as it is for the next call, and does
// not keep the others from being taken over.
func (d *Dir) Adopt(l Legacy) error {
	paths, err := filepath.Glob(filepath.Join(d.path, "*"+sessionSuffix))
	if err != nil {
		return fmt.Errorf("spill: %w", err)
	}
	var failed []error
	for _, path := range paths {
		s, err := takeOver(path)
		if err != nil {
			failed = append(failed, err)
		}
		if s == nil {
			continue
		}
		err = d.adopt(s, l)
		if err == nil {
			os.Remove(path) // under the lock, so that nobody else begins with it
		}
		s.file.Close()
		if err != nil {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func (d *Dir) adopt(s *session, l Legacy) error {
	id := hex.EncodeToString(s.id[:])
	files, err := d.segmentsOf(s)
	if err != nil {
		return err
	}
	for _, path := range files {
		number := strings.TrimSuffix(filepath.Base(path)[len(id)+1:], segmentSuffix)
		n, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			continue // not ours
		}
		bad, err := d.hand(path, place{session: s.id, segment: n},
			func(records [][]byte) error { return l.Store(id, records) }, func(f Fault) error { return l.Report(id, f) })
		if err != nil {
			return err
		}
		if bad {
			err = setAside(path)
		} else {
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("spill: remove %s: %w", filepath.Base(path), cause(err))
		}
	}
	ledger, ok := s.load(d.keys)
	if !ok {
		return l.Report(id, Fault{filepath.Base(s.path), 0, "its ledger is not what was written, or was written with another key"})
	}
	return l.Ledger(id, ledger)
}
