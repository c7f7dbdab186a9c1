package backuptest_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"iter"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
)

// A liar is an honest store but for what it overrides.
type liar struct {
	*backup.Memory
	put    func(ctx context.Context, key string, data []byte) error
	get    func(ctx context.Context, key string, offset, length int64) ([]byte, error)
	stat   func(ctx context.Context, key string) (backup.Object, error)
	list   func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error]
	delete func(ctx context.Context, key string) error
}

func (l *liar) Put(ctx context.Context, key string, data []byte) error {
	if l.put != nil {
		return l.put(ctx, key, data)
	}
	return l.Memory.Put(ctx, key, data)
}

func (l *liar) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if l.get != nil {
		return l.get(ctx, key, offset, length)
	}
	return l.Memory.Get(ctx, key, offset, length)
}

func (l *liar) Stat(ctx context.Context, key string) (backup.Object, error) {
	if l.stat != nil {
		return l.stat(ctx, key)
	}
	return l.Memory.Stat(ctx, key)
}

func (l *liar) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	if l.list != nil {
		return l.list(ctx, prefix, after)
	}
	return l.Memory.List(ctx, prefix, after)
}

func (l *liar) Delete(ctx context.Context, key string) error {
	if l.delete != nil {
		return l.delete(ctx, key)
	}
	return l.Memory.Delete(ctx, key)
}

func (l *liar) has(key string) bool {
	_, err := l.Memory.Stat(context.Background(), key)
	return err == nil
}

func (l *liar) all(ctx context.Context, prefix, after string) []backup.Object {
	var objects []backup.Object
	for o, err := range l.Memory.List(ctx, prefix, after) {
		if err == nil {
			objects = append(objects, o)
		}
	}
	return objects
}

func yieldAll(objects []backup.Object) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		for _, o := range objects {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func TestAnHonestStoreBreaksNoRule(t *testing.T) {
	require.Empty(t, backuptest.BrokenRules(t.Context(), func() backup.Store { return backup.NewMemory() }))
}

// TestEveryLieIsCaught gives each liar its lie and names the rule that must break.
func TestEveryLieIsCaught(t *testing.T) {
	const (
		roundTrip  = "an object is read back as it was put"
		allKeys    = "every key that is allowed can be used"
		ifAbsent   = "a second put of a key is fs.ErrExist and changes nothing"
		large      = "a second put of a large object is fs.ErrExist and changes nothing"
		oneWinner  = "of many writers that race, exactly one succeeds"
		whole      = "an object is seen whole or not at all"
		ranges     = "a get returns the asked range and no more"
		missing    = "what is missing is fs.ErrNotExist"
		lists      = "a list is complete, ordered by bytes, and bounded by prefix and after"
		longLists  = "a list of thousands is complete and ordered"
		cancelled  = "a put after the context has ended fails and leaves nothing"
		listEnds   = "a list ends with its context"
		listStops  = "a list survives deletes meanwhile and stops when told"
		deletes    = "a delete removes, and of a missing object it is no error"
		putsAnew   = "what was deleted can be put again, once"
		everything = 15
	)
	caught := map[string]bool{}
	for _, c := range []struct {
		lie  string
		rule string
		tell func(l *liar)
	}{
		{"acknowledges a put and drops it", roundTrip, func(l *liar) {
			l.put = func(context.Context, string, []byte) error { return nil }
		}},
		{"overwrites", ifAbsent, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				return errors.Join(l.Memory.Delete(ctx, key), l.Memory.Put(ctx, key, data))
			}
		}},
		{"says that nothing was there and keeps the first", ifAbsent, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if err := l.Memory.Put(ctx, key, data); !errors.Is(err, fs.ErrExist) {
					return err
				}
				return nil
			}
		}},
		{"takes equal content twice", ifAbsent, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				old, _ := l.Memory.Get(ctx, key, 0, -1)
				if err := l.Memory.Put(ctx, key, data); err != nil && !bytes.Equal(old, data) {
					return err
				}
				return nil
			}
		}},
		{"takes an empty object for none", ifAbsent, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if o, err := l.Memory.Stat(ctx, key); err == nil && o.Size == 0 {
					l.Memory.Delete(ctx, key)
				}
				return l.Memory.Put(ctx, key, data)
			}
		}},
		{"drops the condition of a large upload", large, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if len(data) > 16<<20 {
					l.Memory.Delete(ctx, key)
				}
				return l.Memory.Put(ctx, key, data)
			}
		}},
		{"looks first and writes then", oneWinner, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if l.has(key) {
					return fs.ErrExist
				}
				for range 100 {
					runtime.Gosched()
				}
				l.Memory.Delete(ctx, key)
				if err := l.Memory.Put(ctx, key, data); !errors.Is(err, fs.ErrExist) {
					return err
				}
				return nil
			}
		}},
		{"tells all racers that they lost", oneWinner, func(l *liar) {
			var busy sync.Mutex
			l.put = func(ctx context.Context, key string, data []byte) error {
				if strings.HasPrefix(key, "race/") {
					if !busy.TryLock() {
						return fs.ErrExist
					}
					defer busy.Unlock()
				}
				err := l.Memory.Put(ctx, key, data)
				if err == nil && strings.HasPrefix(key, "race/") {
					return fs.ErrExist
				}
				return err
			}
		}},
		{"stores other bytes", roundTrip, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if len(data) > 1<<20 {
					data = bytes.Clone(data)
					data[1<<20] ^= 1
				}
				return l.Memory.Put(ctx, key, data)
			}
		}},
		{"cuts a large object", roundTrip, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				return l.Memory.Put(ctx, key, data[:min(len(data), 16<<20)])
			}
		}},
		{"keeps the caller's memory", roundTrip, func(l *liar) {
			kept := map[string][]byte{}
			var mu sync.Mutex
			l.put = func(ctx context.Context, key string, data []byte) error {
				err := l.Memory.Put(ctx, key, data)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					kept[key] = data
				}
				return err
			}
			l.get = func(ctx context.Context, key string, offset, length int64) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				if data, ok := kept[key]; ok && l.has(key) && offset == 0 && length < 0 {
					return data, nil
				}
				return l.Memory.Get(ctx, key, offset, length)
			}
		}},
		{"shows an object while it is written", whole, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if l.has(key) || len(data) < 1000 {
					return l.Memory.Put(ctx, key, data)
				}
				err := l.Memory.Put(ctx, key, data[:len(data)/2])
				for range 1000 {
					runtime.Gosched()
				}
				if err == nil {
					err = errors.Join(l.Memory.Delete(ctx, key), l.Memory.Put(ctx, key, data))
				}
				return err
			}
		}},
		{"lower-cases, or else takes some names for its own", allKeys, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if strings.HasSuffix(key, ".attrs") {
					return errors.New("reserved")
				}
				return l.Memory.Put(ctx, key, data)
			}
		}},
		{"ignores the range", ranges, func(l *liar) {
			l.get = func(ctx context.Context, key string, _, _ int64) ([]byte, error) {
				return l.Memory.Get(ctx, key, 0, -1)
			}
		}},
		{"fails on a range beyond the end", ranges, func(l *liar) {
			l.get = func(ctx context.Context, key string, offset, length int64) ([]byte, error) {
				if o, err := l.Memory.Stat(ctx, key); err == nil && offset > 0 && offset >= o.Size {
					return nil, errors.New("416 range not satisfiable")
				}
				return l.Memory.Get(ctx, key, offset, length)
			}
		}},
		{"reads a range of no bytes as all", ranges, func(l *liar) {
			l.get = func(ctx context.Context, key string, offset, length int64) ([]byte, error) {
				if length == 0 {
					length = -1
				}
				return l.Memory.Get(ctx, key, offset, length)
			}
		}},
		{"gives what is missing as empty", missing, func(l *liar) {
			l.get = func(ctx context.Context, key string, offset, length int64) ([]byte, error) {
				data, err := l.Memory.Get(ctx, key, offset, length)
				if errors.Is(err, fs.ErrNotExist) {
					return nil, nil
				}
				return data, err
			}
		}},
		{"has an error of its own for what is missing", missing, func(l *liar) {
			l.stat = func(ctx context.Context, key string) (backup.Object, error) {
				o, err := l.Memory.Stat(ctx, key)
				if errors.Is(err, fs.ErrNotExist) {
					err = errors.New("NoSuchKey " + key)
				}
				return o, err
			}
		}},
		{"lists what was there a while ago", lists, func(l *liar) {
			var stale []backup.Object
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				if prefix+after != "" || ctx.Err() != nil {
					return l.Memory.List(ctx, prefix, after)
				}
				was := stale
				stale = l.all(ctx, "", "")
				return yieldAll(was)
			}
		}},
		{"lists in the order of directories", lists, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				objects := l.all(ctx, prefix, after)
				slices.SortFunc(objects, func(a, b backup.Object) int {
					return strings.Compare(strings.ReplaceAll(a.Key, "/", "\x00"), strings.ReplaceAll(b.Key, "/", "\x00"))
				})
				return yieldAll(objects)
			}
		}},
		{"lists after as well", lists, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				return yieldAll(slices.DeleteFunc(l.all(ctx, prefix, ""), func(o backup.Object) bool { return o.Key < after }))
			}
		}},
		{"takes a prefix for a directory", lists, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				if prefix != "" && !strings.HasSuffix(prefix, "/") {
					prefix += "/"
				}
				return l.Memory.List(ctx, prefix, after)
			}
		}},
		{"lists sizes it made up", lists, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				objects := l.all(ctx, prefix, after)
				for i := range objects {
					objects[i].Size++
				}
				return yieldAll(objects)
			}
		}},
		{"lists one page", longLists, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				objects := l.all(ctx, prefix, after)
				return yieldAll(objects[:min(len(objects), 1000)])
			}
		}},
		{"repeats the last of a page", longLists, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				objects := l.all(ctx, prefix, after)
				if len(objects) > 1000 {
					objects = slices.Insert(objects, 1000, objects[999])
				}
				return yieldAll(objects)
			}
		}},
		{"puts after the context has ended", cancelled, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				return errors.Join(ctx.Err(), l.Memory.Put(context.WithoutCancel(ctx), key, data))
			}
		}},
		{"leaves half of a put that was cancelled", cancelled, func(l *liar) {
			l.put = func(ctx context.Context, key string, data []byte) error {
				if strings.HasPrefix(key, "meanwhile/") {
					<-ctx.Done()
					l.Memory.Put(context.WithoutCancel(ctx), key, data[:len(data)/2])
					return ctx.Err()
				}
				return l.Memory.Put(ctx, key, data)
			}
		}},
		{"goes on listing when the context has ended", listEnds, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				return l.Memory.List(context.WithoutCancel(ctx), prefix, after)
			}
		}},
		{"ends a list without saying that it was cancelled", listEnds, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				return func(yield func(backup.Object, error) bool) {
					for o, err := range l.Memory.List(ctx, prefix, after) {
						if err != nil || !yield(o, nil) {
							return
						}
					}
				}
			}
		}},
		{"skips what follows a deleted object", listStops, func(l *liar) {
			l.list = func(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
				return func(yield func(backup.Object, error) bool) {
					for o, err := range l.Memory.List(ctx, prefix, after) {
						if !yield(o, err) {
							return
						}
						if err == nil && !l.has(o.Key) {
							return
						}
					}
				}
			}
		}},
		{"acknowledges a delete and keeps", deletes, func(l *liar) {
			l.delete = func(context.Context, string) error { return nil }
		}},
		{"fails to delete what is missing", deletes, func(l *liar) {
			l.delete = func(ctx context.Context, key string) error {
				if !l.has(key) {
					return fs.ErrNotExist
				}
				return l.Memory.Delete(ctx, key)
			}
		}},
		{"deletes what is below a key", deletes, func(l *liar) {
			l.delete = func(ctx context.Context, key string) error {
				for _, o := range l.all(ctx, key, "") {
					l.Memory.Delete(ctx, o.Key)
				}
				return nil
			}
		}},
		{"brings an older version back", putsAnew, func(l *liar) {
			older := map[string][]byte{}
			l.delete = func(ctx context.Context, key string) error {
				if !strings.HasPrefix(key, "again") {
					return l.Memory.Delete(ctx, key)
				}
				was, _ := l.Memory.Get(ctx, key, 0, -1)
				l.Memory.Delete(ctx, key)
				if old, ok := older[key]; ok {
					return l.Memory.Put(ctx, key, old)
				}
				older[key] = was
				return nil
			}
		}},
	} {
		t.Run(c.lie, func(t *testing.T) {
			broken := backuptest.BrokenRule(t.Context(), c.rule, func() backup.Store {
				l := &liar{Memory: backup.NewMemory()}
				c.tell(l)
				return l
			})
			require.Contains(t, slices.Collect(maps.Keys(broken)), c.rule)
			require.NotEmpty(t, broken[c.rule])
			caught[c.rule] = true
		})
	}
	require.Len(t, caught, everything, "each rule has a liar that only it is known to catch")
}
