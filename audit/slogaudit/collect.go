package slogaudit

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// A collector gathers the attributes of a record under their full names.
type collector struct {
	prefix string
	attrs  []slog.Attr
}

// collected is what a chain of handlers let through.
type collected struct {
	message string
	attrs   []slog.Attr
}

type sinkKey struct{}

func collect(ctx context.Context, h slog.Handler, r slog.Record) (collected, error) {
	var c collected
	err := h.Handle(context.WithValue(ctx, sinkKey{}, &c), r.Clone())
	return c, err
}

func (c collector) Enabled(context.Context, slog.Level) bool { return true }

func (c collector) WithAttrs(attrs []slog.Attr) slog.Handler {
	list := c.attrs[:len(c.attrs):len(c.attrs)]
	for _, a := range attrs {
		list = flatten(list, c.prefix, a)
	}
	return collector{c.prefix, list}
}

func (c collector) WithGroup(name string) slog.Handler {
	if name == "" {
		return c
	}
	return collector{c.prefix + name + ".", c.attrs}
}

func (c collector) Handle(ctx context.Context, r slog.Record) error {
	sink := ctx.Value(sinkKey{}).(*collected)
	sink.message = r.Message
	sink.attrs = c.attrs[:len(c.attrs):len(c.attrs)]
	r.Attrs(func(a slog.Attr) bool {
		sink.attrs = flatten(sink.attrs, c.prefix, a)
		return true
	})
	return nil
}

func flatten(list []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, member := range v.Group() {
			list = flatten(list, prefix, member)
		}
		return list
	}
	if a.Key == "" {
		return list
	}
	return append(list, slog.Attr{Key: prefix + a.Key, Value: v})
}

// appendAttr adds an attribute in a form that an audit log takes: a log line is
// no reason to lose an event.
func appendAttr(attrs []slog.Attr, a slog.Attr) []slog.Attr {
	list := a.Key == "rows" || a.Key == "fields"
	if _, ok := a.Value.Any().([]string); list && !ok && a.Value.Kind() != slog.KindString {
		a.Key += "_"
	}
	if a.Value.Kind() == slog.KindAny {
		switch v := a.Value.Any().(type) {
		case []string:
		case error:
			a.Value = slog.StringValue(v.Error())
		default:
			a.Value = slog.StringValue(fmt.Sprintf("(%T)", v)) // its text could hold anything
		}
	}
	a.Key = key(a.Key)
	for _, have := range attrs {
		if have.Key == a.Key {
			return attrs // slog allows a key twice; the first one counts
		}
	}
	return append(attrs, a)
}

// key makes a key one that an audit log takes.
func key(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-:", r) {
			return r
		}
		return '_'
	}, s)
	if s == "" {
		return "_"
	}
	return s[:min(len(s), 64)]
}
