package quorum

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"strings"

	"github.com/confide-go/confide/backup"
)

// List implements backup.Store: what exists is in at least one of the stores that
// must answer. It may show an object that is settled only by being read.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		m := s.merge(ctx, prefix, after)
		defer m.close()
		for {
			key, found, err := m.next()
			switch {
			case err != nil:
				yield(backup.Object{}, err)
				return
			case key == "":
				return
			}
			o, err := s.choose(ctx, key, found)
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			if !yield(o, err) || err != nil {
				return
			}
		}
	}
}

// choose finds the size of an object of which the stores list several.
func (s *Store) choose(ctx context.Context, key string, found []listed) (backup.Object, error) {
	for _, l := range found {
		if l.object.Size != found[0].object.Size {
			return s.Stat(ctx, key)
		}
	}
	return found[0].object, nil
}

// A merger walks the lists of all stores side by side.
type merger struct {
	store         *Store
	ctx           context.Context
	prefix, after string
	heads         []listed
	errs          []error
}

type listed struct {
	index  int
	object backup.Object
	next   func() (backup.Object, error, bool)
	stop   func()
	done   bool // ended or failed
}

func (s *Store) merge(ctx context.Context, prefix, after string) *merger {
	m := &merger{store: s, ctx: ctx, prefix: prefix, after: after, errs: make([]error, len(s.stores))}
	for i, store := range s.stores {
		next, stop := iter.Pull2(store.List(ctx, prefix, after))
		m.heads = append(m.heads, listed{index: i, next: next, stop: stop, object: backup.Object{Key: after}})
		m.advance(i)
	}
	return m
}

func (m *merger) close() {
	for _, h := range m.heads {
		h.stop()
	}
}

// advance takes the next object of one list, which must be in order: one that is
// not would make others seem missing.
func (m *merger) advance(i int) {
	h := &m.heads[i]
	before := h.object.Key
	o, err, ok := h.next()
	switch {
	case !ok:
		h.done = true
	case err != nil:
		h.done, m.errs[i] = true, err
	case o.Key <= before || !strings.HasPrefix(o.Key, m.prefix):
		h.done, m.errs[i] = true, errors.New("its list is out of order")
		m.store.report(Divergence{Store: i, Kind: "list"})
	}
	h.object = o
}

// next returns the smallest key that is left and who lists it; none at the end.
func (m *merger) next() (string, []listed, error) {
	if err := m.ctx.Err(); err != nil {
		return "", nil, err
	}
	failed, key := 0, ""
	for i, h := range m.heads {
		if m.errs[i] != nil {
			failed++
		}
		if !h.done && (key == "" || h.object.Key < key) {
			key = h.object.Key
		}
	}
	// What exists is in Write stores, so all but Write-1 must have answered.
	if failed >= m.store.write {
		return "", nil, fmt.Errorf("quorum: list %s: %w", m.prefix, errors.Join(m.errs...))
	}
	var found []listed
	for i, h := range m.heads {
		if !h.done && h.object.Key == key {
			found = append(found, h)
			m.advance(i)
		}
	}
	return key, found, nil
}

// A Repaired is what Repair found.
type Repaired struct {
	Objects   int // that exist
	Divergent []Divergence
}

// Repair compares all objects of all stores, byte by byte, and puts each that
// exists where it is missing. Every store must be listed to its end. What cannot
// be put right, because a store holds other bytes or refuses, is among Divergent
// with the kind "differs" or "missing", and then the error is not nil.
func (s *Store) Repair(ctx context.Context) (Repaired, error) {
	var out Repaired
	told := *s
	told.report = func(d Divergence) {
		out.Divergent = append(out.Divergent, d)
		s.report(d)
	}
	m := told.merge(ctx, "", "")
	defer m.close()
	var unsettled error
	for {
		key, _, err := m.next()
		if err == nil {
			err = errors.Join(m.errs...)
		}
		if err != nil {
			return out, fmt.Errorf("quorum: repair: %w", err)
		}
		if key == "" {
			break
		}
		switch _, err := told.settle(ctx, key); {
		case err == nil:
			out.Objects++
		case !errors.Is(err, fs.ErrNotExist):
			unsettled = errors.Join(unsettled, err)
		}
	}
	wrong := 0
	for _, d := range out.Divergent {
		if d.Kind != "repaired" {
			wrong++
		}
	}
	if wrong > 0 {
		unsettled = errors.Join(unsettled, fmt.Errorf("quorum: repair: %d objects cannot be put right; Divergent names them", wrong))
	}
	return out, unsettled
}
