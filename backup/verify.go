package backup

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
)

// VerifyOptions says how thorough to be.
type VerifyOptions struct {
	// Sample is the share of chunks to read, chosen at random, e.g. 0.05. Zero
	// means all, and then leftovers are read as well. Whether every object is
	// there and has its size is always checked. Report.Detects says how likely it is
	// that damage was found.
	Sample float64
	// Parts divides the chunks into so many parts, of which this Verify reads number
	// Part, from 1 on. Whoever has read all parts, in any order and over as many days
	// as it takes, has read every chunk that was there all the time. An attacker can
	// tell which chunks are in which part, and not which ones a Sample reads.
	Part, Parts int
	// Heads are snapshots known from elsewhere, such as the audit log that
	// Config.Record wrote. Without one, a store that shows an older, complete state
	// of the repository cannot be told from an honest one.
	Heads    []Head
	Progress func(Progress) // may be nil
}

// Verify checks the whole chain of manifests and the rows of one snapshot, the
// Newest or Every one, without restoring. It names every object that is missing,
// changed, truncated, swapped or foreign. If there is any, the report comes with
// an error that wraps ErrDamaged; other errors mean that it could not look.
func (r *Repository) Verify(ctx context.Context, id ID, opts VerifyOptions) (Report, error) {
	if opts.Parts < 0 || opts.Parts > 0 && (opts.Part < 1 || opts.Part > opts.Parts) {
		return Report{}, errors.New("backup: VerifyOptions.Part must be from 1 to Parts")
	}
	ring, err := r.ring(ctx)
	if err != nil {
		return Report{}, err
	}
	v := &verification{repo: r, ring: ring, opts: opts, objects: map[string]int64{}, decided: map[string]bool{}}
	if ring != nil {
		if v.codec, err = newCodec(ring); err != nil {
			return Report{}, err
		}
		defer v.codec.close()
	}
	for _, step := range []func(context.Context) error{v.inventory, v.keys, v.prunes, v.chain, v.dataKeys, v.drillReports} {
		if err := step(ctx); err != nil {
			return v.report, err
		}
	}
	chosen, err := v.choose(id)
	if err != nil {
		// Damage explains better than its consequence.
		if damaged := v.report.close(); damaged != nil {
			return v.report, damaged
		}
		return v.report, err
	}
	if err := v.snapshots(ctx, chosen); err != nil {
		return v.report, err
	}
	if err := v.leftovers(ctx); err != nil {
		return v.report, err
	}
	return v.report, v.report.close()
}

// A verification is one run of Verify.
type verification struct {
	repo  *Repository
	ring  *keyring
	codec *codec
	opts  VerifyOptions

	objects   map[string]int64 // what the store lists and nothing has accounted for yet
	numbers   []ID             // of the manifests listed
	records   []ID             // of the prune records listed
	drills    []ID             // of the drill reports listed
	prune     pruneRecord
	manifests []*openedManifest // that verify, ascending
	newest    ID
	decided   map[string]bool // which chunks are read
	report    Report
}

// inventory lists the store.
func (v *verification) inventory(ctx context.Context) error {
	for o, err := range v.repo.cfg.Store.List(ctx, "", "") {
		if err != nil {
			return fmt.Errorf("backup: list the store: %w", err)
		}
		if strings.HasPrefix(o.Key, ProbePrefix) {
			continue
		}
		v.objects[o.Key] = o.Size
		if v.ring == nil {
			continue // then the store was empty a moment ago, and all this is foreign
		}
		if id, ok := parseNumbered(manifestPrefix, o.Key); ok {
			v.numbers = append(v.numbers, id)
		} else if id, ok := parseNumbered(prunePrefix, o.Key); ok {
			v.records = append(v.records, id)
		} else if id, ok := parseNumbered(drillPrefix, o.Key); ok {
			v.drills = append(v.drills, id)
		}
	}
	return nil
}

func (v *verification) keys(ctx context.Context) error {
	if v.ring == nil {
		return nil
	}
	for _, key := range []string{keysFirst, keysSecond} {
		if _, ok := v.objects[key]; !ok {
			if key == keysFirst || len(v.numbers) > 0 { // the first run writes the second copy later
				v.report.damage(key, "missing", "one of the two copies of the repository's keys")
			}
			continue
		}
		delete(v.objects, key)
		object, err := v.read(ctx, key)
		if err != nil {
			return err
		}
		if !bytes.Equal(object, v.ring.object) {
			v.report.damage(key, "damaged", "differs from the copy of the keys that this repository uses")
		}
	}
	return nil
}

func (v *verification) read(ctx context.Context, key string) ([]byte, error) {
	object, err := v.repo.cfg.Store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("backup: read %s, which is listed: %w", key, err)
	}
	v.report.Objects++
	v.report.Bytes += int64(len(object))
	return object, nil
}

// prunes checks the prune records; the newest good one tells where the chain begins.
func (v *verification) prunes(ctx context.Context) error {
	for _, through := range v.records {
		p, err := v.repo.readPrune(ctx, v.ring, through)
		if err := v.note(pruneKey(through), err); err != nil {
			return err
		}
		if err == nil {
			v.prune = p
		}
	}
	return nil
}

// note books an object that was read; it passes on errors that are not damage.
func (v *verification) note(key string, err error) error {
	v.report.Objects++
	v.report.Bytes += v.objects[key]
	delete(v.objects, key)
	if errors.Is(err, ErrDamaged) {
		v.report.damage(key, "damaged", "%s", trim(err))
		return nil
	}
	return err
}

// trim drops the sentinel's own words, which a report need not repeat.
func trim(err error) string {
	text, prefix := err.Error(), ErrDamaged.Error()+": "
	if len(text) > len(prefix) && text[:len(prefix)] == prefix {
		return text[len(prefix):]
	}
	return text
}

// choose resolves the caller's number.
func (v *verification) choose(id ID) ([]*openedManifest, error) {
	switch {
	case id == Every:
		return v.manifests, nil
	case len(v.manifests) == 0:
		return nil, fmt.Errorf("%w: there is none yet", ErrNoSnapshot)
	case id == Newest:
		return v.manifests[len(v.manifests)-1:], nil
	}
	for _, m := range v.manifests {
		if m.id == id {
			return []*openedManifest{m}, nil
		}
	}
	return nil, fmt.Errorf("%w: %d; List says which there are", ErrNoSnapshot, id)
}

// dataKeys checks the data keys of all manifests, and those of unfinished runs.
func (v *verification) dataKeys(ctx context.Context) error {
	used := map[dataKeyName]bool{}
	for _, m := range v.manifests {
		for _, name := range m.DataKeys {
			used[name] = true
		}
	}
	for name := range used {
		if _, ok := v.objects[name.key()]; !ok {
			v.report.damage(name.key(), "missing", "the data key of a snapshot")
		}
	}
	for key := range v.objects {
		name, ok := parseDataKeyName(key)
		if !ok || v.ring == nil {
			continue
		}
		_, err := readDataKey(ctx, v.repo.cfg.Store, v.ring, name)
		if err := v.note(key, err); err != nil {
			return err
		}
		if err == nil && !used[name] {
			v.report.Leftover++
		}
	}
	return nil
}

// snapshots checks that every chunk of every manifest is there, and reads those
// of the chosen ones.
func (v *verification) snapshots(ctx context.Context, chosen []*openedManifest) error {
	missing := map[*chunkRef]bool{}
	for _, m := range v.manifests {
		for _, t := range m.Tables {
			for _, ref := range t.Chunks {
				missing[ref] = v.present(ref)
			}
		}
	}
	for _, m := range v.manifests { // only now, as snapshots may share chunks
		for _, t := range m.Tables {
			for _, ref := range t.Chunks {
				delete(v.objects, ref.key())
			}
		}
	}
	var total int64
	for _, m := range chosen {
		total += m.snapshot().Rows
	}
	meter := newMeter(v.opts.Progress, "verify", total)
	for _, m := range chosen {
		v.report.Snapshots = append(v.report.Snapshots, m.id)
		for i, t := range m.Tables {
			meter.table(m.Schema.Tables[i].Name)
			if err := v.table(ctx, m.Schema.Tables[i], t, missing, meter); err != nil {
				return err
			}
		}
	}
	meter.flush()
	return nil
}

// present reports damage and returns true if a chunk is not in the store with its size.
func (v *verification) present(ref *chunkRef) (absent bool) {
	size, ok := v.objects[ref.key()]
	switch {
	case !ok:
		v.report.damage(ref.key(), "missing", "a chunk of a snapshot")
	case size != ref.Stored:
		v.report.damage(ref.key(), "damaged", "has %d bytes instead of %d", size, ref.Stored)
	default:
		return false
	}
	return true
}

func (v *verification) table(ctx context.Context, table Table, entry manifestTable, absent map[*chunkRef]bool, meter *meter) error {
	var refs []*chunkRef
	whole := true
	for _, ref := range entry.Chunks {
		if read := !absent[ref] && v.sampled(ref); !read {
			whole = false
			continue
		}
		refs = append(refs, ref)
	}
	set := newRowSet(v.ring.rows, table.Name)
	for f := range fetch(ctx, v.repo.cfg.Store, v.ring, refs) {
		if f.damage != "" {
			v.report.damage(f.ref.key(), f.damage, "%s", trim(f.err))
			whole = false
			continue
		}
		if f.sealed {
			v.report.Objects++
			v.report.Bytes += f.ref.Stored
			v.report.Unopened++
			whole = false
			continue
		}
		if f.err != nil {
			return f.err
		}
		v.report.Objects++
		v.report.Bytes += f.ref.Stored
		before := set.rows
		for row, err := range rowsOf(table, f.content) {
			if err != nil {
				v.report.damage(f.ref.key(), "damaged", "%s", err)
				whole = false
				break
			}
			set.add(row)
		}
		if n := set.rows - before; whole && n != f.ref.Rows {
			v.report.damage(f.ref.key(), "damaged", "has %d rows instead of %d", n, f.ref.Rows)
		}
		meter.add(set.rows-before, int64(len(f.content)))
	}
	v.report.Rows += set.rows
	if whole && set.value() != entry.Sum {
		v.report.damage(table.Name, "damaged", "the rows of this table are not those that were backed up")
	}
	return nil
}

// sampled decides once for each chunk whether it is read.
func (v *verification) sampled(ref *chunkRef) bool {
	read, known := v.decided[ref.key()]
	if !known {
		o := v.opts
		read = o.Sample <= 0 || o.Sample >= 1 || rand.Float64() < o.Sample
		if o.Parts > 1 {
			read = read && binary.BigEndian.Uint64(ref.ID[:])%uint64(o.Parts) == uint64(o.Part-1)
		}
		v.decided[ref.key()] = read
		v.report.Chunks++
		if read {
			v.report.Read++
		}
	}
	return read
}

// leftovers accounts for what no manifest mentions: chunks of killed runs are
// good and harmless, everything else is foreign.
func (v *verification) leftovers(ctx context.Context) error {
	hidden := map[ID]bool{}
	for key := range v.objects {
		run, id, ok := parseChunkKey(key)
		if !ok || v.ring == nil {
			v.report.damage(key, "foreign", "not an object of a repository")
			continue
		}
		if run > v.newest+1 && !hidden[run] {
			hidden[run] = true
			v.report.damage(manifestKey(run-1), "missing", "there are chunks of snapshot %d, which was made after it", run)
		}
		if v.opts.Sample > 0 || v.opts.Parts > 1 {
			v.report.Leftover++
			continue
		}
		object, err := v.read(ctx, key)
		if err != nil {
			return err
		}
		_, err = v.codec.unseal(ctx, run, id, object)
		if errors.As(err, new(keyTrouble)) {
			err = nil // its seal is right; the key is at fault, if anything, and was reported
		}
		if err != nil {
			v.report.damage(key, "foreign", "%s", err)
			continue
		}
		v.report.Leftover++
	}
	return nil
}
