package quorum_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/quorum"
)

var errDown = errors.New("store is down")

// node is one store of several, with what can go wrong with it.
type node struct {
	*backup.Memory
	fault func(op string) (before, after error) // nil: none
	flip  bool                                  // gives other bytes
	order bool                                  // lists backwards
}

func (n *node) do(op string, operation func() error) error {
	var before, after error
	if n.fault != nil {
		before, after = n.fault(op)
	}
	if before != nil {
		return before
	}
	if err := operation(); err != nil {
		return err
	}
	return after
}

func (n *node) Put(ctx context.Context, key string, data []byte) error {
	return n.do("put", func() error { return n.Memory.Put(ctx, key, data) })
}

func (n *node) Get(ctx context.Context, key string, offset, length int64) (data []byte, err error) {
	err = n.do("get", func() (err error) { data, err = n.Memory.Get(ctx, key, offset, length); return err })
	if n.flip && len(data) > 0 {
		data[0] ^= 1
	}
	return data, err
}

func (n *node) Stat(ctx context.Context, key string) (o backup.Object, err error) {
	err = n.do("stat", func() (err error) { o, err = n.Memory.Stat(ctx, key); return err })
	return o, err
}

func (n *node) Delete(ctx context.Context, key string) error {
	return n.do("delete", func() error { return n.Memory.Delete(ctx, key) })
}

func (n *node) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		if err := n.do("list", func() error { return nil }); err != nil {
			yield(backup.Object{}, err)
			return
		}
		var objects []backup.Object
		for o, err := range n.Memory.List(ctx, prefix, after) {
			if err != nil {
				yield(o, err)
				return
			}
			objects = append(objects, o)
		}
		if n.order {
			slices.Reverse(objects)
		}
		for _, o := range objects {
			if ctx.Err() != nil {
				yield(backup.Object{}, ctx.Err())
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

func down(string) (error, error) { return errDown, nil }

type cluster struct {
	nodes  []*node
	mu     sync.Mutex
	told   []quorum.Divergence
	stores []backup.Store
}

func newCluster(n int) *cluster {
	c := &cluster{}
	for range n {
		c.nodes = append(c.nodes, &node{Memory: backup.NewMemory()})
		c.stores = append(c.stores, c.nodes[len(c.nodes)-1])
	}
	return c
}

func (c *cluster) open(t require.TestingT, write int) *quorum.Store {
	s, err := quorum.New(quorum.Config{Stores: c.stores, Write: write, Report: func(d quorum.Divergence) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.told = append(c.told, d)
	}})
	require.NoError(t, err)
	return s
}

func TestSeveralStoresAreAStore(t *testing.T) {
	for _, size := range [][2]int{{2, 2}, {3, 2}, {3, 3}, {5, 3}} {
		t.Run(fmt.Sprintf("%d of %d", size[1], size[0]), func(t *testing.T) {
			backuptest.RunStore(t, func(t *testing.T) backup.Store { return newCluster(size[0]).open(t, size[1]) })
		})
	}
}

// One store that gives other bytes is outvoted. Where it stands first it can spoil
// an object that is being put, but not one that exists.
func TestOneStoreThatGivesOtherBytesIsOutvoted(t *testing.T) {
	c := newCluster(3)
	c.nodes[0].flip = true
	s := c.open(t, 2)
	require.NoError(t, s.Put(t.Context(), "k", []byte("0123456789")))
	for _, read := range []struct {
		offset, length int64
		want           string
	}{{0, -1, "0123456789"}, {3, 4, "3456"}, {9, 5, "9"}} {
		got, err := s.Get(t.Context(), "k", read.offset, read.length)
		require.NoError(t, err)
		require.Equal(t, read.want, string(got))
	}
	require.Contains(t, c.told, quorum.Divergence{Store: 0, Key: "k", Kind: "differs"})
	for _, i := range []int{1, 2} {
		t.Run(fmt.Sprint("store ", i), func(t *testing.T) {
			backuptest.RunStore(t, func(t *testing.T) backup.Store {
				c := newCluster(3)
				c.nodes[i].flip = true
				return c.open(t, 2)
			})
		})
	}
}

// A reader that asked the first store just before a put, and a store that gives other bytes
// just after it, must not hand those bytes to the third.
func TestAReadBesideAPutDoesNotSpreadOtherBytes(t *testing.T) {
	c := newCluster(3)
	s := c.open(t, 2)
	c.nodes[2].flip = true
	require.NoError(t, c.nodes[2].Memory.Put(t.Context(), "k", []byte("right")))
	asked := 0
	c.nodes[0].fault = func(op string) (before, after error) {
		if asked++; op == "get" && asked <= 2 { // Get asks once, and once more to settle
			return fs.ErrNotExist, nil
		}
		if asked == 3 {
			require.NoError(t, c.nodes[0].Memory.Put(t.Context(), "k", []byte("right")))
		}
		return nil, nil
	}
	got, err := s.Get(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "right", string(got))
	third, err := c.nodes[1].Memory.Get(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "right", string(third))
}

func TestOneStoreMayBeDown(t *testing.T) {
	for i := range 3 {
		c := newCluster(3)
		s := c.open(t, 2)
		require.NoError(t, s.Put(t.Context(), "before", []byte("before")))
		c.nodes[i].fault = down
		require.NoError(t, s.Put(t.Context(), "k", []byte("k")), "store %d is down", i)
		require.ErrorIs(t, s.Put(t.Context(), "k", []byte("other")), fs.ErrExist)
		require.ErrorIs(t, s.Put(t.Context(), "before", []byte("other")), fs.ErrExist)
		for _, key := range []string{"before", "k"} {
			got, err := s.Get(t.Context(), key, 0, -1)
			require.NoError(t, err)
			require.Equal(t, key, string(got))
			o, err := s.Stat(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, int64(len(key)), o.Size)
		}
		_, err := s.Get(t.Context(), "none", 0, -1)
		require.ErrorIs(t, err, fs.ErrNotExist)
		require.Equal(t, []string{"before", "k"}, keys(t, s))
		require.ErrorIs(t, s.Delete(t.Context(), "k"), errDown, "what stays in one store would come back")

		c.nodes[i].fault = nil
		c.told = nil
		repaired, err := s.Repair(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, repaired.Objects, 2)
		for _, n := range c.nodes {
			require.Equal(t, keys(t, c.nodes[0]), keys(t, n), "after a repair all hold the same")
		}
	}
}

// With too few stores nothing is certain, and nothing is said to be missing.
func TestTooFewStoresGiveNoAnswer(t *testing.T) {
	for i := range 3 {
		c := newCluster(3)
		s := c.open(t, 2)
		require.NoError(t, s.Put(t.Context(), "k", []byte("k")))
		for j := range 3 {
			if j != i {
				c.nodes[j].fault = down
			}
		}
		_, err := s.Get(t.Context(), "k", 0, -1)
		require.ErrorIs(t, err, errDown)
		_, err = s.Get(t.Context(), "none", 0, -1)
		require.ErrorIs(t, err, errDown)
		require.NotErrorIs(t, err, fs.ErrNotExist)
		_, err = s.Stat(t.Context(), "none")
		require.NotErrorIs(t, err, fs.ErrNotExist)
		err = s.Put(t.Context(), "new", []byte("x"))
		require.ErrorIs(t, err, errDown)
		require.ErrorContains(t, err, "quorum: put new: fewer than 2 of 3 stores agree")
		err = s.Put(t.Context(), "k", []byte("x"))
		require.ErrorIs(t, err, errDown)
		require.NotErrorIs(t, err, fs.ErrExist, "whether it exists is not known")
		var failed error
		for _, err := range s.List(t.Context(), "", "") {
			failed = err
		}
		require.ErrorIs(t, failed, errDown)
		_, err = s.Repair(t.Context())
		require.ErrorIs(t, err, errDown)
	}
}

func TestRepairPutsRightWhatCanBeAndNamesTheRest(t *testing.T) {
	c := newCluster(3)
	s := c.open(t, 2)
	for _, key := range []string{"a", "b", "c"} {
		require.NoError(t, s.Put(t.Context(), key, []byte(key)))
	}
	require.NoError(t, c.nodes[1].Memory.Delete(t.Context(), "a"))
	require.NoError(t, c.nodes[2].Memory.Delete(t.Context(), "b"))
	require.NoError(t, c.nodes[2].Memory.Put(t.Context(), "b", []byte("B")))
	require.NoError(t, c.nodes[0].Memory.Put(t.Context(), "begun", []byte("by a writer that was killed")))
	repaired, err := s.Repair(t.Context())
	require.EqualError(t, err, "quorum: repair: 1 objects cannot be put right; Divergent names them")
	require.Equal(t, quorum.Repaired{Objects: 4, Divergent: []quorum.Divergence{
		{Store: 1, Key: "a", Kind: "repaired"}, {Store: 2, Key: "b", Kind: "differs"},
		{Store: 1, Key: "begun", Kind: "repaired"}, {Store: 2, Key: "begun", Kind: "repaired"},
	}}, repaired)
	require.Equal(t, repaired.Divergent, c.told)
	got, err := s.Get(t.Context(), "b", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "b", string(got))

	require.NoError(t, c.nodes[2].Memory.Delete(t.Context(), "b"))
	repaired, err = s.Repair(t.Context())
	require.NoError(t, err)
	require.Len(t, repaired.Divergent, 1)
	repaired, err = s.Repair(t.Context())
	require.NoError(t, err)
	require.Equal(t, quorum.Repaired{Objects: 4}, repaired)
}

// Three writers whose objects each reached one store: no one has won, no one ever
// can, and no reader is told otherwise.
func TestASplitIsAnErrorAndNeverAnAnswer(t *testing.T) {
	c := newCluster(3)
	for i, n := range c.nodes {
		require.NoError(t, n.Memory.Put(t.Context(), "k", fmt.Appendf(nil, "writer %d", i)))
	}
	s := c.open(t, 2)
	_, err := s.Get(t.Context(), "k", 0, -1)
	require.ErrorContains(t, err, "quorum: read k: fewer than 2 of 3 stores agree")
	err = s.Put(t.Context(), "k", []byte("writer 0"))
	require.ErrorContains(t, err, "not settled")
	require.NotErrorIs(t, err, fs.ErrExist)
	_, err = s.Repair(t.Context())
	require.Error(t, err)
	require.NoError(t, c.nodes[2].Memory.Delete(t.Context(), "k")) // the remedy
	got, err := s.Get(t.Context(), "k", 0, -1)
	require.NoError(t, err)
	require.Equal(t, "writer 0", string(got))
}

func TestAListOutOfOrderIsNotBelieved(t *testing.T) {
	c := newCluster(3)
	s := c.open(t, 2)
	for i := range 5 {
		require.NoError(t, s.Put(t.Context(), fmt.Sprint("k", i), nil))
	}
	c.nodes[1].order = true
	require.Equal(t, []string{"k0", "k1", "k2", "k3", "k4"}, keys(t, s))
	require.Contains(t, c.told, quorum.Divergence{Store: 1, Kind: "list"})
	c.nodes[2].order = true
	for _, err := range s.List(t.Context(), "", "") {
		if err != nil {
			require.ErrorContains(t, err, "out of order")
			return
		}
	}
	t.Fatal("two lists of three are wrong, and there was no error")
}

// TestNoTwoWritersWin lets writers race for one key while stores fail before and
// after they have done what they were told, and writers die. Whatever happens, at
// most one is told that it won, it is that one's object which everybody reads, then
// and after the stores have recovered, and who is told fs.ErrExist can read it.
func TestNoTwoWritersWin(t *testing.T) {
	rounds := 3000
	if testing.Short() {
		rounds = 300
	}
	won, unsettled := 0, 0
	for seed := range rounds {
		r := rand.New(rand.NewPCG(uint64(seed), 1))
		n := 2 + r.IntN(4)
		c := newCluster(n)
		write := n/2 + 1 + r.IntN(n-n/2)
		trouble := r.IntN(4) // of ten operations
		results := make([]error, 3)
		var group sync.WaitGroup
		for w := range results {
			faults := rand.New(rand.NewPCG(uint64(seed), uint64(w)+2))
			s := faulty(t, c, write, faults, trouble)
			group.Go(func() { results[w] = s.Put(t.Context(), "k", fmt.Appendf(nil, "writer %d", w)) })
		}
		group.Wait()
		told := ""
		for w, err := range results {
			if err == nil {
				require.Empty(t, told, "seed %d: two writers won", seed)
				told = fmt.Sprintf("writer %d", w)
			}
		}
		got, err := c.open(t, write).Get(t.Context(), "k", 0, -1) // all stores work again
		if told != "" {
			require.NoError(t, err, "seed %d", seed)
			require.Equal(t, told, string(got), "seed %d: the winner's object is not what is read", seed)
			won++
		}
		for _, lost := range results {
			if errors.Is(lost, fs.ErrExist) {
				require.NoError(t, err, "seed %d: a loser was told of an object that cannot be read", seed)
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			unsettled++
		}
	}
	require.Greater(t, won, rounds/2)
	require.Less(t, unsettled, rounds/10, "splits must be rare")
}

// faulty is one writer's view of a cluster.
func faulty(t *testing.T, c *cluster, write int, r *rand.Rand, trouble int) *quorum.Store {
	var mu sync.Mutex
	view := &cluster{}
	left := 1000
	if r.IntN(4) == 0 {
		left = r.IntN(6) // then this writer is dead
	}
	for _, n := range c.nodes {
		view.stores = append(view.stores, &node{Memory: n.Memory, fault: func(string) (error, error) {
			mu.Lock()
			defer mu.Unlock()
			left--
			switch {
			case left < 0, r.IntN(20) < trouble:
				return errDown, nil
			case r.IntN(20) < trouble:
				return nil, errDown
			}
			return nil, nil
		}})
	}
	return view.open(t, write)
}

func TestConfigIsChecked(t *testing.T) {
	stores := newCluster(4).stores
	for _, c := range []quorum.Config{
		{}, {Stores: stores[:1]}, {Stores: stores[:2], Write: 1}, {Stores: stores, Write: 2}, {Stores: stores, Write: 5}, {Stores: stores, Write: -1},
	} {
		_, err := quorum.New(c)
		require.ErrorContains(t, err, "quorum: Config.", "%d stores, Write %d", len(c.Stores), c.Write)
	}
}

func keys(t *testing.T, s backup.Store) []string {
	t.Helper()
	var keys []string
	for o, err := range s.List(t.Context(), "", "") {
		require.NoError(t, err)
		keys = append(keys, o.Key)
	}
	return keys
}
