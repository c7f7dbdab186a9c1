package backup

import (
	"context"
	"errors"
	"time"
)

// A Snapshot describes one stored snapshot.
type Snapshot struct {
	ID      ID
	Kind    Kind
	Hash    string // of its manifest, which also fixes everything before it
	Time    time.Time
	DataSet string
	Engine  string
	Tables  []TableInfo
	Omitted []Omission
	Rows    int64
	Stored  int64    // bytes of its chunks in the store
	Missed  []Missed // changes that the source's tracking had not reported: have them looked into
	Work    Work     // what Run did for it; List does not know
}

// Work is what a run did.
type Work struct {
	Read   int64 // rows read from the source
	Stored int64 // bytes put into the store as chunks
	Chunks int64 // put into the store
	Reused int64 // shared with earlier snapshots, or left by a run that was killed
}

// TableInfo describes one table of a snapshot.
type TableInfo struct {
	Name   string
	Rows   int64
	Bytes  int64 // of the rows, uncompressed
	Chunks int
}

// A Head is the number and hash of a snapshot, as kept outside the repository.
type Head struct {
	ID   ID
	Hash string
}

func (m *openedManifest) snapshot() Snapshot {
	s := Snapshot{ID: m.id, Kind: m.Kind, Missed: m.Missed, Hash: m.hash.String(), Time: m.Time, DataSet: m.DataSet, Engine: m.Schema.Engine, Omitted: m.Schema.Omitted}
	for i, t := range m.Tables {
		s.Tables = append(s.Tables, TableInfo{Name: m.Schema.Tables[i].Name, Rows: t.Rows, Bytes: t.Bytes, Chunks: len(t.Chunks)})
		s.Rows += t.Rows
		for _, c := range t.Chunks {
			s.Stored += c.Stored
		}
	}
	return s
}

// List returns the snapshots, oldest first. If some cannot be read it returns
// the others with an error that names the damaged objects.
func (r *Repository) List(ctx context.Context) ([]Snapshot, error) {
	ring, err := r.ring(ctx)
	if err != nil || ring == nil {
		return nil, err
	}
	h, err := r.loadHistory(ctx, ring)
	if err != nil {
		return nil, err
	}
	c, err := newCodec(ring)
	if err != nil {
		return nil, err
	}
	defer c.close()
	failed := h.complete()
	var list []Snapshot
	for _, id := range h.ids {
		m, err := c.readManifest(ctx, r.cfg.Store, id)
		if errors.Is(err, ErrDamaged) {
			failed = errors.Join(failed, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, m.snapshot())
	}
	return list, failed
}
