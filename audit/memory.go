package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

var (
	_ NodeStore    = (*Memory)(nil)
	_ OnceEnqueuer = (*Memory)(nil)
	_ SecretStore  = (*Memory)(nil)
)

// Memory is a Store for tests and for checking exports. It cannot join a
// database transaction and says so.
type Memory struct {
	mu        sync.Mutex
	lastID    int64
	pending   []Pending
	waits     map[string]bool    // events of pending
	revisions map[Revision]int64 // key has Rev 0
	heads     map[string]Head
	entries   map[string][]Stored
	events    map[string]bool
	nodes     map[string]map[[2]int64][]byte // log; level and index
	secrets   []Secret
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	return &Memory{revisions: map[Revision]int64{}, heads: map[string]Head{}, entries: map[string][]Stored{}, events: map[string]bool{}, waits: map[string]bool{}, nodes: map[string]map[[2]int64][]byte{}}
}

func refuseTx(ctx context.Context) error {
	if _, ok := Tx(ctx); ok {
		return fmt.Errorf("%w: the memory store cannot join a database transaction; use audit/gormstore", ErrInvalid)
	}
	return ctx.Err()
}

// Enqueue implements Store.
func (m *Memory) Enqueue(ctx context.Context, events []Pending) error {
	if err := refuseTx(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range events {
		if m.waits[string(p.Event)] {
			return errors.New("audit: an event of this id waits already")
		}
	}
	for _, p := range events {
		m.enqueue(p)
	}
	return nil
}

func (m *Memory) enqueue(p Pending) {
	m.lastID++
	p.ID = m.lastID
	m.pending = append(m.pending, p)
	m.waits[string(p.Event)] = true
}

// EnqueueOnce implements OnceEnqueuer.
func (m *Memory) EnqueueOnce(ctx context.Context, events []Pending) error {
	if err := refuseTx(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range events {
		if !m.waits[string(p.Event)] && !m.events[string(p.Event)] {
			m.enqueue(p)
		}
	}
	return nil
}

// Revise implements Store.
func (m *Memory) Revise(ctx context.Context, log, resource string, rows []string) ([]int64, error) {
	if err := refuseTx(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	revs := make([]int64, len(rows))
	for i, row := range rows {
		key := Revision{Log: log, Resource: resource, Row: row}
		m.revisions[key]++
		revs[i] = m.revisions[key]
	}
	return revs, nil
}

// Revisions implements Store.
func (m *Memory) Revisions(ctx context.Context, after Revision, limit int) ([]Revision, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Revision
	after.Rev = 0
	for key, rev := range m.revisions {
		if compareRevisions(key, after) > 0 {
			key.Rev = rev
			list = append(list, key)
		}
	}
	slices.SortFunc(list, compareRevisions)
	return list[:min(limit, len(list))], ctx.Err()
}

func compareRevisions(a, b Revision) int {
	return cmp.Or(cmp.Compare(a.Log, b.Log), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Row, b.Row))
}

// Pending implements Store.
func (m *Memory) Pending(ctx context.Context, after int64, limit int) ([]Pending, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Pending
	for _, p := range m.pending {
		if p.ID > after && len(list) < limit {
			p.Sealed = m.events[string(p.Event)]
			list = append(list, p)
		}
	}
	return list, ctx.Err()
}

// Heads implements Store.
func (m *Memory) Heads(ctx context.Context, logs ...string) ([]Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(logs) == 0 {
		logs = slices.Collect(maps.Keys(m.heads))
		for log := range m.entries {
			if _, ok := m.heads[log]; !ok {
				logs = append(logs, log)
			}
		}
		slices.Sort(logs)
		heads := make([]Head, len(logs))
		for i, log := range logs {
			heads[i] = m.heads[log]
			heads[i].Log = log
		}
		return heads, ctx.Err()
	}
	var heads []Head
	for _, log := range logs {
		if h, ok := m.heads[log]; ok {
			heads = append(heads, h)
		}
	}
	return heads, ctx.Err()
}

// Entries implements Store.
func (m *Memory) Entries(ctx context.Context, s Selection) ([]Stored, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.entries[s.Log] // ordered by Seq
	var list []Stored
	take := func(e Stored) bool {
		if s.matches(e) {
			list = append(list, e)
		}
		return len(list) < s.Limit
	}
	if s.Descending {
		for _, e := range slices.Backward(all) {
			if !take(e) {
				break
			}
		}
		return list, ctx.Err()
	}
	from, _ := slices.BinarySearchFunc(all, s.MinSeq, func(e Stored, seq int64) int { return cmp.Compare(e.Seq, seq) })
	for _, e := range all[from:] {
		if !take(e) {
			break
		}
	}
	return list, ctx.Err()
}

func (s Selection) matches(e Stored) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	x := e.Index
	return e.Seq >= s.MinSeq && e.Seq <= s.MaxSeq &&
		(s.Since == 0 || x.At >= s.Since) && (s.Until == 0 || x.At < s.Until) &&
		is(s.Actor, x.Actor) && is(s.Action, x.Action) && is(s.Resource, x.Resource) && is(s.Result, x.Result) &&
		is(s.Channel, x.Channel) && is(s.Subject, x.Subject) && is(s.Purpose, x.Purpose) &&
		(s.Row == "" || slices.Contains(x.Rows, s.Row)) && (s.DataType == "" || slices.Contains(x.DataTypes, s.DataType))
}

// Commit implements Store.
func (m *Memory) Commit(ctx context.Context, b Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.possible(b) {
		return ErrConflict
	}
	for _, h := range b.Heads {
		h.Was = 0
		m.heads[h.Log] = h
	}
	for _, e := range b.Entries {
		m.insert(e)
	}
	m.addNodes(b.Nodes)
	m.pending = slices.DeleteFunc(m.pending, func(p Pending) bool {
		sealed := slices.Contains(b.Sealed, p.ID)
		if sealed {
			delete(m.waits, string(p.Event))
		}
		return sealed
	})
	return nil
}

func (m *Memory) possible(b Batch) bool {
	for _, h := range b.Heads {
		if m.heads[h.Log].Size != h.Was {
			return false
		}
	}
	seen := map[string]bool{}
	for _, e := range b.Entries {
		event := string(e.Index.Event)
		if _, taken := m.find(e.Log, e.Seq); taken || m.events[event] || seen[event] {
			return false
		}
		seen[event] = true
	}
	for _, id := range b.Sealed {
		if !slices.ContainsFunc(m.pending, func(p Pending) bool { return p.ID == id }) {
			return false
		}
	}
	return true
}

func (m *Memory) find(log string, seq int64) (int, bool) {
	return slices.BinarySearchFunc(m.entries[log], seq, func(e Stored, seq int64) int { return cmp.Compare(e.Seq, seq) })
}

func (m *Memory) insert(e Stored) {
	at, _ := m.find(e.Log, e.Seq)
	e.Data, e.Hash = bytes.Clone(e.Data), bytes.Clone(e.Hash)
	m.entries[e.Log] = slices.Insert(m.entries[e.Log], at, e)
	m.events[string(e.Index.Event)] = true
}

// AddNodes implements NodeStore.
func (m *Memory) AddNodes(ctx context.Context, nodes []Node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addNodes(slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool {
		return m.nodes[n.Log][[2]int64{int64(n.Level), n.Index}] != nil
	}))
	return ctx.Err()
}

func (m *Memory) addNodes(nodes []Node) {
	for _, n := range nodes {
		if m.nodes[n.Log] == nil {
			m.nodes[n.Log] = map[[2]int64][]byte{}
		}
		m.nodes[n.Log][[2]int64{int64(n.Level), n.Index}] = n.Hash
	}
}

// Nodes implements NodeStore.
func (m *Memory) Nodes(ctx context.Context, log string, level int, first, last int64) ([]Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Node
	for i := first; i <= last; i++ {
		hash := m.nodes[log][[2]int64{int64(level), i}]
		if at, ok := m.find(log, i); level == 0 && ok {
			hash = m.entries[log][at].Hash
		}
		if hash != nil {
			list = append(list, Node{Log: log, Level: level, Index: i, Hash: hash})
		}
	}
	return list, ctx.Err()
}

var _ Pruner = (*Memory)(nil)

// Prune implements Pruner.
func (m *Memory) Prune(ctx context.Context, log string, through int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, e := range m.entries[log] {
		if e.Seq <= through {
			m.entries[log][i] = Stored{Log: e.Log, Seq: e.Seq, Hash: e.Hash, Index: Index{Event: e.Index.Event}}
			m.secrets = slices.DeleteFunc(m.secrets, func(s Secret) bool { return s.Log == log && bytes.Equal(s.Event, e.Index.Event) })
		}
	}
	return ctx.Err()
}

// Keep implements SecretStore.
func (m *Memory) Keep(ctx context.Context, secrets []Secret) error {
	if err := refuseTx(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secrets = append(m.secrets, secrets...)
	return nil
}

// Secrets implements SecretStore.
func (m *Memory) Secrets(ctx context.Context, log string, events ...[]byte) ([]Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Secret
	for _, s := range m.secrets {
		if s.Log == log && slices.ContainsFunc(events, func(e []byte) bool { return bytes.Equal(e, s.Event) }) {
			list = append(list, s)
		}
	}
	return list, ctx.Err()
}

// Destroy implements SecretStore.
func (m *Memory) Destroy(ctx context.Context, log, subject string) (n int64, err error) {
	if err := refuseTx(ctx); err != nil {
		return 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.secrets {
		s := &m.secrets[i]
		if s.Log != log || s.Subject != subject {
			continue
		}
		s.Key = nil
		if m.events[string(s.Event)] || m.waits[string(s.Event)] {
			n++
		}
	}
	return n, nil
}

// Destroyed implements SecretStore.
func (m *Memory) Destroyed(ctx context.Context, after Secret, limit int) ([]Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Secret
	for _, s := range m.secrets {
		if s.Key == nil && compareSecrets(s, after) > 0 {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, compareSecrets)
	return list[:min(limit, len(list))], ctx.Err()
}

func compareSecrets(a, b Secret) int {
	return cmp.Or(cmp.Compare(a.Log, b.Log), bytes.Compare(a.Event, b.Event), cmp.Compare(a.Row, b.Row))
}
