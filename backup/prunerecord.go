package backup

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A pruneRecord says which snapshots were removed on purpose. Each record says all
// of it; the one with the highest number counts.
type pruneRecord struct {
	Number  ID                `json:"number,omitempty"`
	Through ID                `json:"through"` // all up to this one
	Hash    chunkID           `json:"hash"`    // of the manifest numbered Through
	Removed []removedSnapshot `json:"removed,omitempty"`
	Newest  ID                `json:"newest"`            // the newest snapshot when this was written
	Checked ID                `json:"checked,omitempty"` // up to here no change froze the retention
	Time    time.Time         `json:"time"`
}

// A removedSnapshot is one after Through.
type removedSnapshot struct {
	ID    ID            `json:"id"`
	Hash  chunkID       `json:"hash"` // of its manifest
	Prev  chunkID       `json:"prev"` // of the manifest before
	At    time.Time     `json:"at"`
	Grace time.Duration `json:"grace,omitempty"` // until its objects are deleted, in nanoseconds
}

// find returns the entry of a snapshot after Through.
func (p pruneRecord) find(id ID) (removedSnapshot, bool) {
	i := slices.IndexFunc(p.Removed, func(r removedSnapshot) bool { return r.ID == id })
	if i < 0 {
		return removedSnapshot{}, false
	}
	return p.Removed[i], true
}

func (p pruneRecord) removes(id ID) bool {
	_, ok := p.find(id)
	return ok || id <= p.Through
}

// due reports whether the objects of a removed snapshot are to be deleted now.
func (p pruneRecord) due(id ID, now time.Time) (due, pending bool) {
	r, ok := p.find(id)
	if !ok {
		return id <= p.Through, false
	}
	due = !now.Before(r.At.Add(r.Grace))
	return due, !due
}

// next begins the record that follows this one.
func (p pruneRecord) next(now time.Time, newest ID) pruneRecord {
	p.Removed = slices.Clone(p.Removed)
	p.Time, p.Newest = now, max(newest, p.Newest)
	return p
}

// settle moves Through over the removed snapshots at the beginning whose grace is
// over.
func (p *pruneRecord) settle(now time.Time) {
	for {
		r, ok := p.find(p.Through + 1)
		if !ok || now.Before(r.At.Add(r.Grace)) {
			return
		}
		p.Through, p.Hash = r.ID, r.Hash
		p.Removed = slices.DeleteFunc(p.Removed, func(o removedSnapshot) bool { return o.ID == r.ID })
	}
}

// same reports whether a record removes no other snapshots than another one.
func (p pruneRecord) same(o pruneRecord) bool {
	return p.Through == o.Through && len(p.Removed) == len(o.Removed)
}

const (
	pruneVersion = 2 // version 1 removed from the beginning only
	pruneFixed   = 1 + 16 + 8
)

func pruneLabel(version byte) string {
	return fmt.Sprintf("confide/backup/prune-signature/v%d", version)
}

func (k *keyring) signPrune(p pruneRecord) ([]byte, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("backup: encode prune record: %w", err)
	}
	object := append([]byte{pruneVersion}, k.repo...)
	object = append(object, number64(uint64(p.Number))...)
	object = append(object, number32(uint32(len(body)))...)
	return k.sign(pruneLabel(pruneVersion), append(object, body...))
}

func (k *keyring) openPrune(object []byte) (pruneRecord, error) {
	version := byte(pruneVersion)
	if len(object) > 0 && object[0] == 1 {
		version = 1
	}
	signed, err := k.checkSigned(pruneLabel(version), version, pruneFixed, object)
	if err != nil {
		return pruneRecord{}, err
	}
	var p pruneRecord
	body, _, _ := cutSized(signed[pruneFixed:])
	if err := json.Unmarshal(body, &p); err != nil {
		return pruneRecord{}, fmt.Errorf("is not understood: %w", err)
	}
	if version == 1 {
		p.Number = p.Through
	}
	if p.Number != ID(binary.BigEndian.Uint64(signed[17:])) {
		return pruneRecord{}, errors.New("contradicts itself")
	}
	return p, nil
}

func (r *Repository) readPrune(ctx context.Context, ring *keyring, number ID) (pruneRecord, error) {
	key := pruneKey(number)
	object, err := required(ctx, r.cfg.Store, key)
	if err != nil {
		return pruneRecord{}, err
	}
	p, err := ring.openPrune(object)
	if err == nil && p.Number != number {
		err = fmt.Errorf("is the prune record %d", p.Number)
	}
	if err != nil {
		return pruneRecord{}, fmt.Errorf("%w: %s %w", ErrDamaged, key, err)
	}
	return p, nil
}
