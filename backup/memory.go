package backup

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Memory is a Store for tests and examples. It takes every key, as an attacker's
// store would.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{objects: map[string][]byte{}} }

// Put implements Store.
func (m *Memory) Put(ctx context.Context, key string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[key]; ok {
		return fmt.Errorf("backup: put %s: %w", key, fs.ErrExist)
	}
	m.objects[key] = bytes.Clone(data)
	return nil
}

// Get implements Store.
func (m *Memory) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	switch {
	case !ok:
		return nil, fmt.Errorf("backup: get %s: %w", key, fs.ErrNotExist)
	case offset < 0:
		return nil, fmt.Errorf("backup: get %s: %w: negative offset", key, fs.ErrInvalid)
	}
	data = data[min(offset, int64(len(data))):]
	if length >= 0 {
		data = data[:min(length, int64(len(data)))]
	}
	return bytes.Clone(data), nil
}

// Stat implements Store.
func (m *Memory) Stat(ctx context.Context, key string) (Object, error) {
	if err := ctx.Err(); err != nil {
		return Object{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	data, ok := m.objects[key]
	if !ok {
		return Object{}, fmt.Errorf("backup: stat %s: %w", key, fs.ErrNotExist)
	}
	return Object{Key: key, Size: int64(len(data))}, nil
}

// List implements Store.
func (m *Memory) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for _, o := range m.snapshot(prefix, after) {
			if err := ctx.Err(); err != nil {
				yield(Object{}, err)
				return
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (m *Memory) snapshot(prefix, after string) []Object {
	m.mu.Lock()
	defer m.mu.Unlock()
	var objects []Object
	for key, data := range m.objects {
		if strings.HasPrefix(key, prefix) && key > after {
			objects = append(objects, Object{Key: key, Size: int64(len(data))})
		}
	}
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return objects
}

// Delete implements Store.
func (m *Memory) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}
