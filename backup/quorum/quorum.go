// Package quorum keeps one repository in several stores at once, so that it
// survives the loss of some of them, and what one of them makes of its objects.
//
// # What it does
//
// An object exists when at least Write stores hold the same bytes of it. Write is
// more than half, so that no two objects of one key can both exist. A read asks
// Write stores and believes what so many agree on; if they do not, all are asked,
// the object that exists is put where it is missing, and what differs is reported.
//
// A put asks the stores one after the other until one answers: that one decides
// between writers that race. The others then get the object that won, also when
// it is another writer's, so that what a killed writer began is finished by the
// next one who comes across it. Nothing is ever replaced: a store that holds other
// bytes under a key stays wrong until somebody deletes them there.
//
// # The three calls you need
//
//	store, err := quorum.New(quorum.Config{Stores: []backup.Store{near, far, third}, Report: func(d quorum.Divergence) { ... }})
//	repo, err := backup.Open(ctx, backup.Config{Store: store, ...})
//	report, err := store.Repair(ctx)  // now and then: brings every store up to date
//
// # What you must supply
//
// Stores that fail independently, always in the same order: of two writers with
// different orders neither might win. Three with Write two go on when one is down;
// two need both.
//
// # What is NOT protected
//
// An object that is being put, from a store that lies about what it took: put the
// most trusted one first, and probe each. Lies that Write stores agree on; the repository's own signatures catch those.
// Writers of equal bytes may both be told that they won. A read costs Write times
// the traffic.
//
// # How it fails
//
// When too few stores answer, with all their errors. Delete needs every store,
// because what was deleted in some of them only would be put back. Retaining
// (backup.AsRetainer) needs Write stores that can, and answer; what the others hold
// of a retained object may be deleted there, and is put back when it is read.
package quorum

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/confide-go/confide/backup"
)

// Config says which stores and how many must agree.
type Config struct {
	Stores []backup.Store   // at least two, in the same order for every writer
	Write  int              // how many must hold an object; more than half; 0: the smallest that is
	Report func(Divergence) // told of every store found wrong, from any goroutine; may be nil
}

// A Divergence is one store that does not hold what the others do.
type Divergence struct {
	Store int    // its position in Config.Stores
	Key   string // empty for a list that is out of order
	Kind  string // "missing", "repaired" (was missing), "differs" or "list"
}

func (d Divergence) String() string {
	return fmt.Sprintf("store %d: %s: %s", d.Store, d.Key, d.Kind)
}

// A Store is a backup.Store over several.
type Store struct {
	stores []backup.Store
	write  int
	report func(Divergence)
}

var _ backup.Store = (*Store)(nil)

// New returns a store over several.
func New(cfg Config) (*Store, error) {
	n := len(cfg.Stores)
	if cfg.Write == 0 {
		cfg.Write = n/2 + 1
	}
	switch {
	case n < 2:
		return nil, errors.New("quorum: Config.Stores needs at least two")
	case 2*cfg.Write <= n || cfg.Write > n:
		return nil, fmt.Errorf("quorum: Config.Write of %d stores must be %d to %d", n, n/2+1, n)
	case cfg.Report == nil:
		cfg.Report = func(Divergence) {}
	}
	return &Store{stores: cfg.Stores, write: cfg.Write, report: cfg.Report}, nil
}

// each runs an operation on the stores at once and returns their errors.
func (s *Store) each(which []int, operation func(i int) error) []error {
	errs := make([]error, len(s.stores))
	var group sync.WaitGroup
	for _, i := range which {
		group.Go(func() { errs[i] = operation(i) })
	}
	group.Wait()
	return errs
}

func (s *Store) all() []int { return s.from(0) }

func (s *Store) from(first int) []int {
	var which []int
	for i := first; i < len(s.stores); i++ {
		which = append(which, i)
	}
	return which
}

// failed joins what the stores said into one error. Refused by some, it is
// fs.ErrPermission; missing in some, it is not fs.ErrNotExist.
func (s *Store) failed(op, key string, errs []error) error {
	out := fmt.Errorf("quorum: %s %s: fewer than %d of %d stores agree", op, key, s.write, len(s.stores))
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrExist):
			out = fmt.Errorf("%w; store %d: %s", out, i, err)
		default:
			out = fmt.Errorf("%w; store %d: %w", out, i, err)
		}
	}
	return out
}

// Delete implements backup.Store. All stores are asked, and all must succeed.
func (s *Store) Delete(ctx context.Context, key string) error {
	errs := s.each(s.all(), func(i int) error { return s.stores[i].Delete(ctx, key) })
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("quorum: delete %s: store %d: %w", key, i, errors.Join(errs...))
		}
	}
	return nil
}
