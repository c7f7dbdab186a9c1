package probe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/confide-go/confide/backup"
)

func (p *probe) putIfAbsent() {
	p.find(PutIfAbsent, p.tryReplace(p.prefix+"first", "first"), "a second put was refused and the object is the first")
}

// tryReplace returns an objection unless another put of a key is refused and
// changes nothing.
func (p *probe) tryReplace(key, content string) error {
	for _, other := range []string{"second", content, ""} {
		err := p.store.Put(p.ctx, key, []byte(other))
		if err == nil {
			return errors.New("a second put of a key was acknowledged")
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("a second put of a key failed in another way: %w", err)
		}
	}
	return p.holds(key, content)
}

func (p *probe) holds(key, content string) error {
	got, err := p.store.Get(p.ctx, key, 0, -1)
	if err != nil {
		return fmt.Errorf("an object cannot be read: %w", err)
	}
	if string(got) != content {
		return fmt.Errorf("an object came back with %d bytes that are not the %d that were put", len(got), len(content))
	}
	return nil
}

func (p *probe) oneWinner() {
	var objection error
	for round := 0; round < p.cfg.Rounds && objection == nil; round++ {
		objection = p.race(p.key(fmt.Sprintf("race-%d", round)))
	}
	p.find(OneWinner, objection, "%d races of %d writers, each with one winner", p.cfg.Rounds, p.cfg.Writers)
}

func (p *probe) race(key string) error {
	results := make([]error, p.cfg.Writers)
	var start, done sync.WaitGroup
	start.Add(1)
	for w := range results {
		done.Go(func() {
			start.Wait()
			results[w] = p.store.Put(p.ctx, key, fmt.Appendf(nil, "writer %d", w))
		})
	}
	start.Done()
	done.Wait()
	var winners []int
	for w, err := range results {
		switch {
		case err == nil:
			winners = append(winners, w)
		case !errors.Is(err, fs.ErrExist):
			return fmt.Errorf("a writer failed in another way than by losing: %w", err)
		}
	}
	if len(winners) != 1 {
		return fmt.Errorf("%d of %d racing writers were told that they won", len(winners), len(results))
	}
	return p.holds(key, fmt.Sprintf("writer %d", winners[0]))
}

func (p *probe) readAfterWrite() {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MiB
	key := p.key("ranges")
	objection := p.store.Put(p.ctx, key, content)
	if objection == nil {
		objection = p.ranges(key, content)
	}
	p.find(ReadAfterWrite, objection, "1 MiB came back as it was put, and so did its ranges")
}

func (p *probe) ranges(key string, content []byte) error {
	o, err := p.store.Stat(p.ctx, key)
	if err != nil {
		return fmt.Errorf("stat right after a put: %w", err)
	}
	if o.Size != int64(len(content)) {
		return fmt.Errorf("stat gives %d bytes instead of %d", o.Size, len(content))
	}
	size := int64(len(content))
	for _, r := range [][2]int64{{0, -1}, {0, 7}, {size - 5, 5}, {size - 5, 50}, {1000, 100_000}, {size, 1}, {size + 9, -1}, {3, 0}} {
		from := min(r[0], size)
		to := size
		if r[1] >= 0 {
			to = min(size, from+r[1])
		}
		got, err := p.store.Get(p.ctx, key, r[0], r[1])
		if err != nil {
			return fmt.Errorf("offset %d, length %d: %w", r[0], r[1], err)
		}
		if !bytes.Equal(got, content[from:to]) {
			return fmt.Errorf("offset %d, length %d: other bytes came back, %d instead of %d", r[0], r[1], len(got), to-from)
		}
	}
	return nil
}

func (p *probe) listAfterWrite() {
	var objection error
	for i := 0; i < 8 && objection == nil; i++ {
		// Not in their order, and with what sorts around a slash.
		key := p.key([]string{"list/b", "list/a", "list-a", "list/c/x", "list.a", "list0", "list/c-", "list/0"}[i])
		p.list = append(p.list, key)
		if objection = p.store.Put(p.ctx, key, []byte("x")); objection == nil {
			objection = p.listed()
		}
	}
	p.find(ListAfterWrite, objection, "after each of 8 puts a list was complete and in order; pages of many objects were not tested")
}

func (p *probe) listed() error {
	want := slices.Sorted(slices.Values(p.list))
	got, err := p.names("list", "")
	if err == nil && !slices.Equal(want, got) {
		return fmt.Errorf("a list right after a put gave %d objects, not the %d that are there in order", len(got), len(want))
	}
	if err != nil {
		return err
	}
	after, err := p.names("list", want[0])
	if err == nil && !slices.Equal(want[1:], after) {
		return fmt.Errorf("a list from its second object on gave %d objects, not the %d that are there in order", len(after), len(want)-1)
	}
	return err
}

func (p *probe) names(prefix, after string) ([]string, error) {
	var keys []string
	for o, err := range p.store.List(p.ctx, p.prefix+prefix, after) {
		if err != nil {
			return nil, fmt.Errorf("a list failed: %w", err)
		}
		keys = append(keys, o.Key)
	}
	return keys, nil
}

func (p *probe) missing() {
	key := p.prefix + "never-put"
	_, objection := p.store.Get(p.ctx, key, 0, -1)
	if errors.Is(objection, fs.ErrNotExist) {
		_, objection = p.store.Stat(p.ctx, key)
	}
	switch {
	case errors.Is(objection, fs.ErrNotExist):
		objection = nil
	case objection == nil:
		objection = errors.New("an object that was never put was found")
	default:
		objection = fmt.Errorf("an object that was never put gives another error: %w", objection)
	}
	p.find(Missing, objection, "an object that was never put is fs.ErrNotExist")
}

// deletes tells credentials that can delete from those that cannot; neither is
// wrong, but a store that says one and does the other proves nothing.
func (p *probe) deletes() {
	key := p.key("delete")
	if err := p.store.Put(p.ctx, key, []byte("kept")); err != nil {
		p.find(Deletes, err, "")
		p.find(RefusesDelete, err, "")
		return
	}
	err := p.store.Delete(p.ctx, key)
	held := p.holds(key, "kept")
	gone := errors.Is(held, fs.ErrNotExist)
	var can, cannot error
	switch {
	case err == nil && gone:
		cannot = errors.New("an object was deleted")
	case err == nil:
		can = errors.New("a delete was acknowledged and the object is still there")
		cannot = can
	case gone:
		can = fmt.Errorf("a delete failed and the object is gone: %w", err)
		cannot = can
	case held != nil:
		can, cannot = held, held
	case errors.Is(err, fs.ErrPermission):
		can = errors.New("a delete was refused")
	default:
		can = fmt.Errorf("a delete failed in another way than by refusal: %w", err)
		cannot = can
	}
	p.find(Deletes, can, "an object was deleted and is gone")
	p.find(RefusesDelete, cannot, "a delete was refused and the object is still there")
}

func (p *probe) lock() {
	retainer, ok := backup.AsRetainer(p.store)
	switch {
	case !ok:
		p.skip(LockHolds, "this kind of store has no retention")
		p.skip(LockGrows, "this kind of store has no retention")
		return
	case p.cfg.Lock < time.Minute:
		p.skip(LockHolds, "not asked for; set Config.Lock to a minute or more")
		p.skip(LockGrows, "not asked for; set Config.Lock to a minute or more")
		return
	}
	key, until := p.key("locked"), time.Now().Add(p.cfg.Lock).Truncate(time.Second)
	err := p.store.Put(p.ctx, key, []byte("locked"))
	if err == nil {
		err = p.holdsLock(retainer, key, until)
	}
	p.find(LockHolds, err, "under a retention of %s a delete and a put were refused and the object is whole", p.cfg.Lock)
	p.find(LockGrows, p.growsOnly(retainer, key, until), "it was extended, and a shorter one was refused or changed nothing")
}

func (p *probe) holdsLock(r backup.Retainer, key string, until time.Time) error {
	if err := p.extend(r, key, until); err != nil {
		return err
	}
	switch err := p.store.Delete(p.ctx, key); {
	case err == nil:
		return errors.New("a delete of an object under retention was acknowledged")
	case !errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("a delete failed in another way than by refusal: %w", err)
	}
	return p.tryReplace(key, "locked")
}

// extend retains, and looks whether it did. The store may have retained for
// longer already.
func (p *probe) extend(r backup.Retainer, key string, until time.Time) error {
	had, err := r.RetainedUntil(p.ctx, key)
	if err != nil {
		return fmt.Errorf("the retention of a new object cannot be read: %w", err)
	}
	if had.Before(until) {
		if err := r.Retain(p.ctx, key, until); err != nil {
			return fmt.Errorf("an object cannot be retained: %w", err)
		}
	}
	has, err := r.RetainedUntil(p.ctx, key)
	if err != nil {
		return fmt.Errorf("the retention of an object cannot be read: %w", err)
	}
	if has.Before(until) {
		return fmt.Errorf("an object that was retained until %s is retained until %s", until.UTC().Format(time.RFC3339), has.UTC().Format(time.RFC3339))
	}
	return nil
}

func (p *probe) growsOnly(r backup.Retainer, key string, until time.Time) error {
	later := until.Add(time.Minute)
	if err := p.extend(r, key, later); err != nil {
		return err
	}
	shorten := r.Retain(p.ctx, key, time.Now().Add(time.Second))
	has, err := r.RetainedUntil(p.ctx, key)
	switch {
	case err != nil:
		return fmt.Errorf("the retention of an object cannot be read: %w", err)
	case has.Before(later):
		return errors.New("a retention was shortened")
	case shorten == nil:
		return nil // acknowledged, and it changed nothing
	case errors.Is(shorten, fs.ErrPermission):
		return nil
	}
	return fmt.Errorf("a shorter retention failed in another way than by refusal: %w", shorten)
}

// tidy deletes what may be deleted; what may not is below backup.ProbePrefix.
func (p *probe) tidy() {
	if p.report.Of(Deletes) != Proven {
		return
	}
	for _, key := range p.keys {
		p.store.Delete(p.ctx, key)
	}
}
