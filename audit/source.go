package audit

import "context"

// A Source is what the edge of a program knows about a request: where it came
// from and why. It completes the Actor and the purpose of every event recorded
// under its context. The middleware of audit/httpaudit puts one there.
type Source struct {
	IP        string
	Channel   string // "web", "api", "import", "cli", ...
	RequestID string
	Purpose   string // for events that name no purpose of their own
}

type sourceKey struct{}

// WithSource returns a context whose events come from s. Empty fields keep what
// an outer WithSource said.
func WithSource(ctx context.Context, s Source) context.Context {
	outer := SourceOf(ctx)
	for _, f := range []struct{ have, outer *string }{
		{&s.IP, &outer.IP}, {&s.Channel, &outer.Channel}, {&s.RequestID, &outer.RequestID}, {&s.Purpose, &outer.Purpose},
	} {
		if *f.have == "" {
			*f.have = *f.outer
		}
	}
	return context.WithValue(ctx, sourceKey{}, s)
}

// SourceOf returns what WithSource put into ctx.
func SourceOf(ctx context.Context) Source {
	s, _ := ctx.Value(sourceKey{}).(Source)
	return s
}

// actor returns who acts in ctx. What Config.Actor says counts more than the source.
func (l *Log) actor(ctx context.Context) Actor {
	a, s := l.cfg.Actor(ctx), SourceOf(ctx)
	for _, f := range []struct {
		have *string
		from string
	}{{&a.IP, s.IP}, {&a.Channel, s.Channel}, {&a.RequestID, s.RequestID}} {
		if *f.have == "" {
			*f.have = f.from
		}
	}
	return a
}
