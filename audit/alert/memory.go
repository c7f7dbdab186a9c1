package alert

import (
	"bytes"
	"context"
	"sync"

	"github.com/confide-go/confide/audit"
)

// Memory is a Store for tests and for programs of one process that may forget.
type Memory struct {
	mu   sync.Mutex
	kept map[string]kept
}

type kept struct {
	version int64
	data    []byte
}

// NewMemory returns an empty one.
func NewMemory() *Memory { return &Memory{kept: map[string]kept{}} }

// AlertState implements Store.
func (m *Memory) AlertState(ctx context.Context, name string) (int64, []byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.kept[name]
	return k.version, bytes.Clone(k.data), ctx.Err()
}

// SetAlertState implements Store.
func (m *Memory) SetAlertState(ctx context.Context, name string, version int64, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[name].version != version {
		return audit.ErrConflict
	}
	m.kept[name] = kept{version + 1, bytes.Clone(data)}
	return nil
}
