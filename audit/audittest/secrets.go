package audittest

import (
	"bytes"
	"context"
	"fmt"

	"github.com/confide-go/confide/audit"
)

// secretsKept checks the rules of audit.SecretStore, on stores that are one.
func (s *suite) secretsKept() {
	store, ok := s.store.(audit.SecretStore)
	if !ok {
		return
	}
	key := func(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }
	one, two := event(1).Event, event(2).Event
	s.check(s.store.Enqueue(s.ctx, []audit.Pending{event(1), event(2)}), "Enqueue")
	s.check(store.Keep(s.ctx, []audit.Secret{
		{Log: "t", Subject: "customer:1", Event: one, Row: 0, Key: key(1)}, {Log: "t", Subject: "customer:10", Event: one, Row: 1, Key: key(255)},
		{Log: "t", Subject: "customer:1", Event: two, Row: audit.AllRows, Key: key(3)}, {Log: "T", Subject: "customer:1", Event: one, Row: 0, Key: key(4)},
	}), "Keep")
	got, err := store.Secrets(s.ctx, "t", one)
	s.check(err, "Secrets")
	if len(got) != 2 || !bytes.Equal(got[1].Key, key(255)) || got[1].Row != 1 || got[1].Subject != "customer:10" || !bytes.Equal(got[1].Event, one) {
		s.Errorf("the secrets of an event came back as %+v", got)
	}
	n, err := store.Destroy(s.ctx, "t", "customer:1")
	s.check(err, "Destroy")
	if n != 2 {
		s.Errorf("Destroy says %d secrets; the subject had 2 in this log", n)
	}
	for _, c := range []struct {
		log   string
		event []byte
		want  string
	}{{"t", one, "[0- 1+]"}, {"t", two, "[-1-]"}, {"T", one, "[0+]"}} {
		got, err := store.Secrets(s.ctx, c.log, c.event)
		if err != nil || shown(got) != c.want {
			s.Errorf("after Destroy an event of log %s has the secrets %s, %v; it must have %s", c.log, shown(got), err, c.want)
		}
	}
	if got, err := store.Secrets(s.ctx, "t", one, two); err != nil || len(got) != 3 {
		s.Errorf("two events with 3 secrets gave %s, %v", shown(got), err)
	}
	s.destroyed(store)
	s.check(store.Keep(s.ctx, []audit.Secret{{Log: "t", Subject: "customer:1", Event: event(3).Event, Key: key(5)}}), "Keep")
	if n, err := store.Destroy(s.ctx, "t", "customer:1"); err != nil || n != 2 {
		s.Errorf("Destroy of a forgotten subject gave %d, %v; it has 2 secrets of events that are here", n, err)
	}
	if n, err := store.Destroy(s.ctx, "t", "nobody"); err != nil || n != 0 {
		s.Errorf("Destroy of somebody without secrets gave %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := store.Secrets(ctx, "t", one); err == nil {
		s.Error("Secrets with a cancelled context returned no error")
	}
}

// destroyed checks the list of what was destroyed, page by page.
func (s *suite) destroyed(store audit.SecretStore) {
	var rows []int
	for after := (audit.Secret{}); ; {
		page, err := store.Destroyed(s.ctx, after, 1)
		s.check(err, "Destroyed")
		if len(page) == 0 {
			break
		}
		after = page[0]
		rows = append(rows, after.Row)
		if len(rows) > 2 || len(page) > 1 || after.Key != nil || after.Log != "t" || after.Subject != "customer:1" {
			s.Errorf("Destroyed gave %+v", page)
			return
		}
	}
	if len(rows) != 2 || rows[0] != 0 || rows[1] != audit.AllRows {
		s.Errorf("Destroyed listed the rows %v; two secrets, of rows 0 and -1, were destroyed", rows)
	}
}

// shown says which rows have a secret and which had one.
func shown(secrets []audit.Secret) string {
	list := make([]string, len(secrets))
	for i, k := range secrets {
		list[i] = fmt.Sprint(k.Row, map[bool]string{true: "-", false: "+"}[len(k.Key) == 0])
	}
	return fmt.Sprint(list)
}
