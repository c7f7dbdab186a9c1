package backup

import "context"

// chain checks every manifest, that none is missing, and that each names the
// one before it.
func (v *verification) chain(ctx context.Context) error {
	l := link{want: v.prune.Through + 1, prev: v.prune.Hash, known: true}
	for _, id := range v.numbers {
		m, err := v.codec.readManifest(ctx, v.repo.cfg.Store, id)
		if err := v.note(manifestKey(id), err); err != nil {
			return err
		}
		if v.prune.removes(id) { // an unfinished prune, or one whose grace is not over
			if err == nil {
				v.report.Leftover++
			}
			continue
		}
		if err != nil && id > l.want+maxMissing {
			continue // a number that nothing vouches for
		}
		v.skip(&l, id)
		l.want = id + 1
		if err != nil {
			l.known = false
			continue
		}
		if l.known && m.prev != l.prev {
			v.report.damage(manifestKey(id), "rolled back", "does not follow the manifest before it")
		}
		v.manifests = append(v.manifests, m)
		l.prev, l.known = m.hash, true
	}
	v.skip(&l, v.prune.Newest+1)
	v.newest = l.want - 1
	v.heads()
	return nil
}

// A link is where the chain of manifests has got to.
type link struct {
	want  ID      // the number that comes next
	prev  chunkID // the hash of the one before it,
	known bool    // if that could be read
}

// skip goes on to a number over those that are not there: pruned ones, of which
// the record has the hash, and missing ones.
func (v *verification) skip(l *link, to ID) {
	for ; l.want < to; l.want++ {
		gone, ok := v.prune.find(l.want)
		if !ok {
			v.missing(l.want)
			l.known = false
			continue
		}
		if l.known && gone.Prev != l.prev {
			v.report.damage(pruneKey(v.prune.Number), "rolled back", "says that snapshot %d followed another one", l.want)
		}
		l.prev, l.known = gone.Hash, true
	}
}

// maxMissing bounds what one manifest of an absurd number can add to a report.
const maxMissing = 1000

func (v *verification) missing(id ID) {
	v.report.damage(manifestKey(id), "missing", "snapshot %d was made and never pruned", id)
}

// heads compares with what is known from elsewhere.
func (v *verification) heads() {
	have := map[ID]string{v.prune.Through: v.prune.Hash.String()}
	for _, gone := range v.prune.Removed {
		have[gone.ID] = gone.Hash.String()
	}
	for _, m := range v.manifests {
		have[m.id] = m.hash.String()
	}
	for _, head := range v.opts.Heads {
		switch hash, ok := have[head.ID]; {
		case ok && hash != head.Hash:
			v.report.damage(manifestKey(head.ID), "rolled back", "is not the snapshot %d that was recorded", head.ID)
		case !ok && head.ID > v.newest:
			v.report.damage(manifestKey(head.ID), "missing", "snapshot %d was recorded; the store shows an older state", head.ID)
		}
	}
}

// drillReports checks the reports of drills, that none is missing between them,
// and that each names the one before it.
func (v *verification) drillReports(ctx context.Context) error {
	var prev chunkID
	want, known := ID(1), true
	for _, number := range v.drills {
		d, err := v.codec.readDrill(ctx, v.repo.cfg.Store, number)
		if err := v.note(drillKey(number), err); err != nil {
			return err
		}
		if err != nil && number > want+maxMissing {
			continue
		}
		for ; want < number; want++ {
			v.report.damage(drillKey(want), "missing", "drill %d was done", want)
			known = false
		}
		if want++; err != nil {
			known = false
			continue
		}
		if known && d.prev != prev {
			v.report.damage(drillKey(number), "rolled back", "does not follow the drill before it")
		}
		prev, known = d.hash, true
	}
	return nil
}
