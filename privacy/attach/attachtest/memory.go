// Package attachtest holds what an author of a store for sealed files needs: the rules as tests, and a store in
// memory that follows them.
package attachtest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"sync"
	"time"

	"github.com/confide-go/confide/privacy/attach"
)

// Memory is an attach.Store in memory.
type Memory struct {
	mu      sync.Mutex
	objects map[string]object
	gets    int
	now     func() time.Time
}

type object struct {
	data     []byte
	modified time.Time
}

var _ attach.Store = (*Memory)(nil)

// NewMemory returns an empty store. now dates the objects; nil means time.Now.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{objects: map[string]object{}, now: now}
}

// Gets returns how often Get was called.
func (m *Memory) Gets() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.gets
}

// Bytes returns a copy of a stored object, nil if there is none.
func (m *Memory) Bytes(id string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return bytes.Clone(m.objects[id].data)
}

// Replace puts data in the place of an object, as who can write the store's files could.
func (m *Memory) Replace(id string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.objects[id] = object{bytes.Clone(data), m.objects[id].modified}
}

// Put implements attach.Store.
func (m *Memory) Put(ctx context.Context, id string, r io.Reader) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 || strings.ToLower(id) != id {
		return errors.New("attachtest: an object id is 32 lower-case hexadecimal digits")
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("attachtest: put %s: %w", id, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[id]; ok {
		return fmt.Errorf("attachtest: put %s: %w", id, fs.ErrExist)
	}
	m.objects[id] = object{data, m.now()}
	return nil
}

// Get implements attach.Store.
func (m *Memory) Get(ctx context.Context, id string, offset, length int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.gets++
	o, ok := m.objects[id]
	switch {
	case !ok:
		return nil, fmt.Errorf("attachtest: get %s: %w", id, fs.ErrNotExist)
	case offset < 0 || length < 0:
		return nil, fmt.Errorf("attachtest: get %s: negative offset or length", id)
	}
	rest := o.data[min(offset, int64(len(o.data))):]
	return bytes.Clone(rest[:min(length, int64(len(rest)))]), nil
}

// Delete implements attach.Store.
func (m *Memory) Delete(ctx context.Context, id string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, id)
	return nil
}

// List implements attach.Store.
func (m *Memory) List(ctx context.Context) iter.Seq2[attach.Object, error] {
	return func(yield func(attach.Object, error) bool) {
		m.mu.Lock()
		var list []attach.Object
		for id, o := range m.objects {
			list = append(list, attach.Object{ID: id, Size: int64(len(o.data)), Modified: o.modified})
		}
		m.mu.Unlock()
		for _, o := range list {
			if err := ctx.Err(); err != nil {
				yield(attach.Object{}, err)
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}
