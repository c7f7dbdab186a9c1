package quorum

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/confide-go/confide/backup"
)

// Put implements backup.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	errs := make([]error, len(s.stores))
	for i, store := range s.stores {
		errs[i] = store.Put(ctx, key, data)
		switch {
		case errs[i] == nil:
			return s.spread(ctx, key, data, i, errs)
		case errors.Is(errs[i], fs.ErrExist):
			return s.lost(ctx, key)
		case ctx.Err() != nil:
			return errs[i]
		}
	}
	return s.failed("put", key, errs)
}

// spread gives the other stores what the deciding one took. A store before it did
// not answer, and may hold the object or another.
func (s *Store) spread(ctx context.Context, key string, data []byte, decided int, errs []error) error {
	later := s.each(s.from(decided+1), func(i int) error { return s.stores[i].Put(ctx, key, data) })
	copies := 1
	for i := decided + 1; i < len(s.stores); i++ {
		errs[i] = later[i]
		if errors.Is(errs[i], fs.ErrExist) {
			errs[i] = s.same(ctx, i, key, data)
		}
		if errs[i] == nil {
			copies++
		}
	}
	if copies >= s.write {
		return nil
	}
	// Others may have come first in enough stores.
	if held, err := s.settle(ctx, key); err == nil && !bytes.Equal(held, data) {
		return exists(key)
	} else if err == nil {
		return nil
	}
	return s.failed("put", key, errs)
}

var errDiffers = errors.New("holds other bytes")

// same returns nil if a store holds just these bytes.
func (s *Store) same(ctx context.Context, i int, key string, data []byte) error {
	held, err := s.stores[i].Get(ctx, key, 0, int64(len(data))+1)
	if err == nil && !bytes.Equal(held, data) {
		return errDiffers
	}
	return err
}

func exists(key string) error { return fmt.Errorf("quorum: put %s: %w", key, fs.ErrExist) }

// lost answers a put that came second: fs.ErrExist if the first one exists, or
// can be made to.
func (s *Store) lost(ctx context.Context, key string) error {
	if _, err := s.settle(ctx, key); err != nil {
		return fmt.Errorf("quorum: put %s: the object of another writer is not settled: %w", key, err)
	}
	return exists(key)
}

// A holding is what one store says of an object.
type holding struct {
	data []byte
	err  error
}

// settleTries is how often settle asks again when a put went on meanwhile.
const settleTries = 4

// settle asks all stores and returns the object that exists. One that some stores
// hold and none contradicts is put where it is missing, and exists then.
func (s *Store) settle(ctx context.Context, key string) (data []byte, err error) {
	for range settleTries {
		var again bool
		if data, again, err = s.settleOnce(ctx, key); !again || ctx.Err() != nil {
			return data, err
		}
	}
	return nil, err
}

func (s *Store) settleOnce(ctx context.Context, key string) (data []byte, again bool, err error) {
	holds := make([]holding, len(s.stores))
	s.each(s.all(), func(i int) error {
		holds[i].data, holds[i].err = s.stores[i].Get(ctx, key, 0, -1)
		return nil
	})
	errs := make([]error, len(holds))
	for i, h := range holds {
		errs[i] = h.err
	}
	best, copies, absent := elect(holds)
	if copies == 0 && absent > len(s.stores)-s.write { // too many for it to exist anywhere
		return nil, false, fmt.Errorf("quorum: %s: %w", key, fs.ErrNotExist)
	}
	if best < 0 || copies+absent < s.write {
		return nil, false, s.failed("read", key, errs)
	}
	healed, contradicted := s.heal(ctx, key, holds, best)
	if copies+healed >= s.write && !contradicted {
		return holds[best].data, false, nil
	}
	return nil, contradicted, s.failed("settle", key, errs)
}

// elect finds the bytes that most stores hold, the earlier store's among equals.
func elect(holds []holding) (best, copies, absent int) {
	best = -1
	for i, h := range holds {
		if errors.Is(h.err, fs.ErrNotExist) {
			absent++
		}
		if h.err != nil {
			continue
		}
		n := 0
		for _, other := range holds {
			if other.err == nil && bytes.Equal(h.data, other.data) {
				n++
			}
		}
		if n > copies {
			best, copies = i, n
		}
	}
	return best, copies, absent
}

// heal puts an object where it is missing, the deciding stores first, reports what
// is wrong, and returns in how many stores it is now that it was not. It stops
// where a store has other bytes by now: a put went on meanwhile, and what was
// elected may be what one store made of it.
func (s *Store) heal(ctx context.Context, key string, holds []holding, best int) (healed int, contradicted bool) {
	for i, h := range holds {
		switch {
		case h.err == nil && !bytes.Equal(h.data, holds[best].data):
			s.report(Divergence{Store: i, Key: key, Kind: "differs"})
		case !errors.Is(h.err, fs.ErrNotExist):
		default:
			err := s.stores[i].Put(ctx, key, holds[best].data)
			if errors.Is(err, fs.ErrExist) {
				err = s.same(ctx, i, key, holds[best].data)
			}
			switch {
			case errors.Is(err, errDiffers):
				return healed, true
			case err == nil:
				healed++
				s.report(Divergence{Store: i, Key: key, Kind: "repaired"})
			default:
				s.report(Divergence{Store: i, Key: key, Kind: "missing"})
			}
		}
	}
	return healed, false
}

// Get implements backup.Store.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if offset < 0 {
		return nil, fmt.Errorf("quorum: get %s: %w: negative offset", key, fs.ErrInvalid)
	}
	parts := make([][]byte, s.write)
	errs := s.each(s.all()[:s.write], func(i int) (err error) {
		parts[i], err = s.stores[i].Get(ctx, key, offset, length)
		return err
	})
	if agree(errs, func(i int) bool { return i >= s.write || bytes.Equal(parts[i], parts[0]) }) {
		return parts[0], nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := s.settle(ctx, key)
	if err != nil {
		return nil, err
	}
	return cut(data, offset, length), nil
}

func agree(errs []error, same func(i int) bool) bool {
	for i, err := range errs {
		if err != nil || !same(i) {
			return false
		}
	}
	return true
}

func cut(data []byte, offset, length int64) []byte {
	data = data[min(offset, int64(len(data))):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return data
}

// Stat implements backup.Store.
func (s *Store) Stat(ctx context.Context, key string) (backup.Object, error) {
	objects := make([]backup.Object, s.write)
	errs := s.each(s.all()[:s.write], func(i int) (err error) {
		objects[i], err = s.stores[i].Stat(ctx, key)
		return err
	})
	if agree(errs, func(i int) bool { return i >= s.write || objects[i] == objects[0] }) {
		return objects[0], nil
	}
	if err := ctx.Err(); err != nil {
		return backup.Object{}, err
	}
	data, err := s.settle(ctx, key)
	if err != nil {
		return backup.Object{}, err
	}
	return backup.Object{Key: key, Size: int64(len(data))}, nil
}
