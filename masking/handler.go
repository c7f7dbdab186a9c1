package masking

import (
	"context"
	"log/slog"
)

// HandlerConfig says what a log handler masks. The zero value masks personal data found in messages and
// values, and whole values under names such as phone, password or 手机号.
type HandlerConfig struct {
	Policy Policy
	// Keys adds names of attributes and the kind of their values; a kind of "-" leaves a name alone that
	// would otherwise be recognised. Names are compared exactly.
	Keys map[string]Kind
}

// Handler is a slog.Handler that masks before the next handler sees a record: message, attributes of every
// type, groups, values behind slog.LogValuer, errors, and the keys of maps.
type Handler struct {
	next  slog.Handler
	keys  map[string]Kind
	p     Policy
	under Kind // kind that the open groups' names give to what stands in them
	types *planner
}

// NewHandler puts masking in front of next.
func NewHandler(next slog.Handler, cfg HandlerConfig) slog.Handler {
	keys := make(map[string]Kind, len(cfg.Keys))
	for name, k := range cfg.Keys {
		keys[name] = k
	}
	return &Handler{next: next, keys: keys, p: cfg.Policy, types: &planner{}}
}

// Enabled asks the next handler.
func (h *Handler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle masks r and passes it on. A record with nothing to mask is passed on as it is.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	level := h.p.level(ctx)
	if level == Full {
		return h.next.Handle(ctx, r)
	}
	var buf [8]slog.Attr
	attrs, changed := buf[:0], false
	r.Attrs(func(a slog.Attr) bool {
		masked, did := h.attr(a, h.under, level)
		changed = changed || did
		attrs = append(attrs, masked)
		return true
	})
	msg := r.Message
	if !clean(msg) {
		msg, changed = string(appendText(nil, msg, h.p, level)), true
	}
	if changed {
		fresh := slog.NewRecord(r.Time, r.Level, msg, r.PC)
		fresh.AddAttrs(attrs...)
		r = fresh
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs masks attrs now. There is no caller yet, so they are shown at most partly.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	level := min(h.p.level(context.Background()), Partial)
	masked := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		masked[i], _ = h.attr(a, h.under, level)
	}
	fresh := *h
	fresh.next = h.next.WithAttrs(masked)
	return &fresh
}

// WithGroup opens a group. Everything in a group called password is a password.
func (h *Handler) WithGroup(name string) slog.Handler {
	fresh := *h
	fresh.next = h.next.WithGroup(name)
	if name != "" {
		fresh.under = h.kindUnder(name, h.under)
	}
	return &fresh
}

func (h *Handler) kindUnder(key string, outer Kind) Kind {
	if len(h.keys) > 0 {
		if k, ok := h.keys[key]; ok {
			return k
		}
	}
	if k := kindOfKey(key); k != "" && outer != KindSecret {
		return k
	}
	return outer
}
