package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"slices"
)

// secretCheck looks for secrets of commitments that are gone although nobody was
// forgotten, and for such that are back. What Forget does leaves two traces: the
// place of each secret, and a sealed event that counts them.
type secretCheck struct {
	store     SecretStore
	log       string
	destroyed map[secretPlace]string // the subject; as it was when the verification began
	ask       []committed            // not looked up yet

	gone     []committed      // no place is left
	early    map[string]int64 // secrets that were destroyed when the verification began, by subject
	late     map[string]int64 // and when they were looked up
	announce map[string]int64 // how many the erasures say that were read in between
	before   int64            // counted by erasures of older releases, which left no places
	restored int64            // so many entries are from before a declared restore
}

type secretPlace struct {
	event [idLength]byte
	row   int
}

// committed is an event with commitments, or one of its rows.
type committed struct {
	event []byte
	seq   int64 // -1: not sealed yet
	rows  []int
}

const secretPage = 400

// readDestroyed begins the check. It comes before everything else is read: whatever
// is destroyed by then has its event in what is read afterwards.
func (v *verifier) readDestroyed(ctx context.Context) error {
	store, ok := v.store.(SecretStore)
	if !ok {
		return nil
	}
	for after := (Secret{}); ; {
		page, err := store.Destroyed(ctx, after, revisionPage)
		if err != nil {
			return fmt.Errorf("audit: verify destroyed secrets: %w", err)
		}
		for _, s := range page {
			if place, ok := placeOfSecret(s); ok {
				v.secretsOf(s.Log).destroyed[place] = s.Subject
			}
		}
		if len(page) < revisionPage {
			return nil
		}
		after = page[len(page)-1]
	}
}

func placeOfSecret(s Secret) (p secretPlace, ok bool) {
	if len(s.Event) != idLength {
		return p, false
	}
	return secretPlace{[idLength]byte(s.Event), s.Row}, true
}

// secretsOf is the check of one log, nil for an export, which holds no secrets. Only
// one goroutine uses that of a log.
func (v *verifier) secretsOf(log string) *secretCheck {
	store, ok := v.store.(SecretStore)
	if !ok {
		return nil
	}
	if v.secrets[log] == nil {
		v.secrets[log] = &secretCheck{store: store, log: log, destroyed: map[secretPlace]string{}, early: map[string]int64{}, late: map[string]int64{}, announce: map[string]int64{}}
	}
	return v.secrets[log]
}

// observe takes an event that is what was recorded. seq is -1 if it is not sealed.
func (c *secretCheck) observe(e *Event, seq int64) {
	if c == nil {
		return
	}
	if e.Action == erasedAction {
		for _, a := range e.Attrs {
			switch {
			case a.Value.Kind() != slog.KindInt64:
			case a.Key == destroyedKey:
				c.announce[e.Subject] = max(c.announce[e.Subject], a.Value.Int64())
			case a.Key == destroyedBefore:
				c.before += a.Value.Int64()
			}
		}
	}
	if rows := committedRows(e); len(rows) > 0 {
		id, _ := hex.DecodeString(e.ID) // it was decoded from bytes
		c.ask = append(c.ask, committed{id, seq, rows})
	}
}

// committedRows are the rows of an event that have a secret.
func committedRows(e *Event) (rows []int) {
	for _, c := range e.Changes {
		if (c.Before.State == Committed || c.After.State == Committed) && (len(rows) == 0 || rows[len(rows)-1] != c.Row) {
			rows = append(rows, c.Row) // changes are in the order of rows
		}
	}
	return rows
}

// lookUpSecrets looks up those of the log's events. Prune takes the secrets of an entry
// with its bytes; one that was read before that is read again.
func (w *walker) lookUpSecrets(ctx context.Context, least int) error {
	c := w.secrets
	if c == nil {
		return nil
	}
	known := len(c.gone)
	if err := c.flush(ctx, least); err != nil {
		return err
	}
	for _, e := range c.gone[known:] {
		w.outrun = w.outrun || e.seq >= 0 && w.prunedNow(e.seq)
	}
	return nil
}

// flush looks up what was observed, once there is enough of it.
func (c *secretCheck) flush(ctx context.Context, least int) error {
	if c == nil || len(c.ask) < max(least, 1) {
		return nil
	}
	ids := make([][]byte, len(c.ask))
	for i, e := range c.ask {
		ids[i] = e.event
	}
	list, err := c.store.Secrets(ctx, c.log, ids...)
	if err != nil {
		return fmt.Errorf("audit: verify secrets of log %q: %w", c.log, err)
	}
	have := make(map[secretPlace]Secret, len(list))
	for _, s := range list {
		if place, ok := placeOfSecret(s); ok {
			have[place] = s
		}
	}
	for _, e := range c.ask {
		lost := committed{event: e.event, seq: e.seq}
		for _, row := range e.rows {
			place := secretPlace{[idLength]byte(e.event), row}
			subject, destroyed := c.destroyed[place]
			now, there := have[place]
			switch {
			case !there:
				lost.rows = append(lost.rows, row)
			case len(now.Key) == 0:
				c.late[now.Subject]++
			}
			if there && destroyed {
				c.early[subject]++
			}
		}
		if len(lost.rows) > 0 {
			c.gone = append(c.gone, lost)
		}
	}
	c.ask = c.ask[:0]
	return nil
}

// finish reports. whole is false if only a part of the log was read, or is left.
func (c *secretCheck) finish(report *Report, whole bool) {
	if c == nil {
		return
	}
	var gone int64
	c.gone = slices.DeleteFunc(c.gone, func(e committed) bool {
		if e.seq >= 0 && e.seq < c.restored {
			report.Unprovable += int64(len(e.rows))
			return true
		}
		gone += int64(len(e.rows))
		return false
	})
	if gone > c.before {
		for _, e := range c.gone {
			report.add(SecretLost, Place{Log: c.log, First: e.seq, Last: e.seq, What: e.what()}, "its values cannot be proved any more: %d secrets of this log are gone, and no erasure says so", gone-c.before)
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(c.early)) {
		if n, said := c.early[subject], c.announce[subject]; n > said {
			report.add(SecretLost, c.subject(subject), "%d secrets are destroyed, its erasures say %d", n, said)
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(c.announce)) {
		if n, said := c.late[subject]+gone+report.Unprovable, c.announce[subject]; whole && n < said {
			report.add(ErasureUndone, c.subject(subject), "its erasures destroyed %d secrets, only %d are: others were put back", said, n)
		}
	}
}

func (c *secretCheck) subject(name string) Place {
	return Place{Log: c.log, First: -1, Last: -1, What: "subject " + name}
}

func (e committed) what() string {
	if e.seq < 0 {
		return "secret of the waiting event " + hex.EncodeToString(e.event)
	}
	return fmt.Sprintf("secret of row %d", e.rows[0])
}
