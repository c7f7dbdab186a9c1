package audittest

import (
	"bytes"
	"context"

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
	s.check(store.Keep(s.ctx, []audit.Secret{
		{Log: "t", Subject: "customer:1", Event: one, Row: 0, Key: key(0)}, {Log: "t", Subject: "customer:10", Event: one, Row: 1, Key: key(255)},
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
		want  int
	}{{"t", one, 1}, {"t", two, 0}, {"T", one, 1}} {
		if got, err := store.Secrets(s.ctx, c.log, c.event); err != nil || len(got) != c.want {
			s.Errorf("after Destroy %d secrets are left of an event in log %s; %d belong to others", len(got), c.log, c.want)
		}
	}
	if n, err := store.Destroy(s.ctx, "t", "customer:1"); err != nil || n != 0 {
		s.Errorf("Destroy of a forgotten subject gave %d, %v", n, err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := store.Secrets(ctx, "t", one); err == nil {
		s.Error("Secrets with a cancelled context returned no error")
	}
}
