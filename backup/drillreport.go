package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

const (
	drillVersion = 1
	drillLabel   = "confide/backup/drill-signature/v1"
	drillFixed   = 1 + 16 + 8 + 32
)

// An openedDrill is a report with its place in the chain of drills.
type openedDrill struct {
	Drill
	prev chunkID // hash of the report before, zero for the first
	hash chunkID
}

func (k *keyring) drillBinding(number ID, prev chunkID) []byte {
	return bind("confide/backup/drill/v1", k.repo, number64(uint64(number)), prev[:])
}

func (c *codec) sealDrill(prev chunkID, d Drill) ([]byte, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("backup: encode drill report: %w", err)
	}
	sealed, err := c.ring.aead.Encrypt(body, c.ring.drillBinding(d.Number, prev))
	if err != nil {
		return nil, fmt.Errorf("backup: seal drill report: %w", err)
	}
	object := append([]byte{drillVersion}, c.ring.repo...)
	object = append(object, number64(uint64(d.Number))...)
	object = append(object, prev[:]...)
	object = append(object, number32(uint32(len(sealed)))...)
	return c.ring.sign(drillLabel, append(object, sealed...))
}

func (c *codec) openDrill(object []byte) (openedDrill, error) {
	signed, err := c.ring.checkSigned(drillLabel, drillVersion, drillFixed, object)
	if err != nil {
		return openedDrill{}, err
	}
	d := openedDrill{prev: chunkID(signed[25:57]), hash: manifestHash(object)}
	number := ID(binary.BigEndian.Uint64(signed[17:]))
	sealed, _, _ := cutSized(signed[drillFixed:])
	body, err := c.ring.aead.Decrypt(sealed, c.ring.drillBinding(number, d.prev))
	if err != nil {
		return openedDrill{}, errors.New("does not open: it was changed or belongs elsewhere")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d.Drill); err != nil {
		return openedDrill{}, fmt.Errorf("is not understood: %w", err)
	}
	if d.Number != number {
		return openedDrill{}, errors.New("contradicts itself")
	}
	return d, nil
}

// readDrill reads and checks one report. A damaged one is ErrDamaged.
func (c *codec) readDrill(ctx context.Context, store Store, number ID) (openedDrill, error) {
	key := drillKey(number)
	object, err := required(ctx, store, key)
	if err != nil {
		return openedDrill{}, err
	}
	d, err := c.openDrill(object)
	if err == nil && d.Number != number {
		err = fmt.Errorf("is the report of drill %d", d.Number)
	}
	if err != nil {
		return openedDrill{}, fmt.Errorf("%w: %s %w", ErrDamaged, key, err)
	}
	return d, nil
}

// storeDrill numbers the report and puts it.
func (r *Repository) storeDrill(ctx context.Context, ring *keyring, d *Drill) (chunkID, error) {
	c, err := newCodec(ring)
	if err != nil {
		return chunkID{}, err
	}
	defer c.close()
	const tries = 5 // other drills may end at the same time
	for range tries {
		numbers, err := r.numbered(ctx, drillPrefix)
		if err != nil {
			return chunkID{}, err
		}
		var prev chunkID
		d.Number = 1
		if n := len(numbers); n > 0 {
			last, err := c.readDrill(ctx, r.cfg.Store, numbers[n-1])
			if err != nil {
				return chunkID{}, err
			}
			d.Number, prev = last.Number+1, last.hash
		}
		object, err := c.sealDrill(prev, *d)
		if err != nil {
			return chunkID{}, err
		}
		err = r.cfg.Store.Put(ctx, drillKey(d.Number), object)
		if err == nil {
			return manifestHash(object), nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return chunkID{}, fmt.Errorf("backup: write %s: %w", drillKey(d.Number), err)
		}
	}
	return chunkID{}, errors.New("backup: other drills kept taking the report's number; drill again")
}

// Drills returns the reports of all drills, oldest first, checked as Verify does.
func (r *Repository) Drills(ctx context.Context) ([]Drill, error) {
	ring, err := r.ring(ctx)
	if err != nil || ring == nil {
		return nil, err
	}
	return r.drills(ctx, ring)
}

func (r *Repository) drills(ctx context.Context, ring *keyring) ([]Drill, error) {
	c, err := newCodec(ring)
	if err != nil {
		return nil, err
	}
	defer c.close()
	numbers, err := r.numbered(ctx, drillPrefix)
	if err != nil {
		return nil, err
	}
	var out []Drill
	var prev chunkID
	for i, number := range numbers {
		if number != ID(i+1) {
			return nil, fmt.Errorf("%w: %s is missing", ErrDamaged, drillKey(ID(i+1)))
		}
		d, err := c.readDrill(ctx, r.cfg.Store, number)
		if err != nil {
			return nil, err
		}
		if d.prev != prev {
			return nil, fmt.Errorf("%w: %s does not follow the drill before it", ErrDamaged, drillKey(number))
		}
		prev = d.hash
		out = append(out, d.Drill)
	}
	return out, nil
}

// lastGoodDrill returns the newest snapshot that a drill has proven, zero if none.
func (r *Repository) lastGoodDrill(ctx context.Context, ring *keyring) (ID, error) {
	drills, err := r.drills(ctx, ring)
	var good ID
	for _, d := range drills {
		if d.OK {
			good = max(good, d.Snapshot)
		}
	}
	return good, err
}
