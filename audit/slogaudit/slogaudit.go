// Package slogaudit turns log records that matter into audit events.
//
//	handler, err := slogaudit.New(slogaudit.Config{Log: log, Next: slog.NewJSONHandler(os.Stderr, nil)})
//	logger := slog.New(handler)
//	logger.Warn("login failed", "audit", "login.failed", "resource", "user", "row", "u7")
//
// A record becomes an event if it has the marker attribute, whose value is the
// action, or a level of Config.Level or above, or comes from one of Config.Loggers; then
// the action is "log.info", "log.warn" and so on. All records go to Config.Next as
// well, unchanged. Events are recorded by RecordApart: log lines tell of what has
// happened, whatever is rolled back.
//
// An audit log keeps what it has for ever, so every text goes through package
// masking first: what it recognises as personal is masked, or left out if Config.Refuse
// is set. It cannot recognise everything (see there): a logger whose lines hold
// people's names should not feed a log that nobody can erase.
package slogaudit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/confide-go/confide/masking"
)

// A Recorder takes events. *audit.Log is one.
type Recorder interface {
	RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error
}

// Config says which records become events, and where.
type Config struct {
	Log    Recorder     // required
	Next   slog.Handler // gets all records; nil for none
	Marker string       // key of the attribute that names the action; "" is "audit"

	Level   slog.Leveler // records of this level and above become events; nil: none by level
	Loggers []string     // values of the attribute "logger" whose records become events

	Refuse bool           // leave personal values out instead of masking them, and return an error that names their keys
	Policy masking.Policy // how values are masked; the zero value is strict
}

// ErrPersonal is returned by Handle, under Config.Refuse, for a record with
// personal values. The event is recorded without them.
var ErrPersonal = errors.New("slogaudit: personal value")

// A Handler is a slog.Handler that records events.
type Handler struct {
	cfg    Config
	masked slog.Handler // collects attributes with masks
	bare   slog.Handler // and without, to know what was masked
}

// New checks the configuration.
func New(cfg Config) (*Handler, error) {
	if cfg.Log == nil {
		return nil, errors.New("slogaudit: Config.Log is nil; give the *audit.Log")
	}
	if cfg.Marker == "" {
		cfg.Marker = "audit"
	}
	cfg.Policy.Level = nil // whoever asks now, the log will be read by others
	return &Handler{cfg: cfg, masked: masking.NewHandler(collector{}, masking.HandlerConfig{Policy: cfg.Policy}), bare: collector{}}, nil
}

// Enabled implements slog.Handler. A marker is only seen in the record, so all levels are.
func (h *Handler) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	return h.with(func(inner slog.Handler) slog.Handler { return inner.WithGroup(name) })
}

func (h *Handler) with(f func(slog.Handler) slog.Handler) slog.Handler {
	next := *h
	if h.cfg.Next != nil {
		next.cfg.Next = f(h.cfg.Next)
	}
	next.masked, next.bare = f(h.masked), f(h.bare)
	return &next
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	var errs []error
	if h.cfg.Next != nil && h.cfg.Next.Enabled(ctx, r.Level) {
		errs = append(errs, h.cfg.Next.Handle(ctx, r.Clone()))
	}
	bare, err := collect(ctx, h.bare, r)
	if action := h.action(r, bare.attrs); action != "" && err == nil {
		err = h.record(ctx, r, action, bare)
	}
	return errors.Join(append(errs, err)...)
}

// action returns what a record is recorded as, or "" if it is not.
func (h *Handler) action(r slog.Record, attrs []slog.Attr) string {
	wanted := h.cfg.Level != nil && r.Level >= h.cfg.Level.Level()
	for _, a := range attrs {
		switch name := a.Key[strings.LastIndexByte(a.Key, '.')+1:]; {
		case name == h.cfg.Marker && a.Value.Kind() == slog.KindString && a.Value.String() != "":
			return a.Value.String()
		case name == "logger":
			wanted = wanted || slices.Contains(h.cfg.Loggers, a.Value.String())
		}
	}
	if !wanted {
		return ""
	}
	level, _, _ := strings.Cut(strings.ToLower(r.Level.String()), "+")
	return "log." + strings.ReplaceAll(level, "-", "")
}

func (h *Handler) record(ctx context.Context, r slog.Record, action string, bare collected) error {
	masked, err := collect(ctx, h.masked, r)
	if err != nil {
		return err
	}
	var attrs []slog.Attr
	var refused []string
	keep := func(a slog.Attr, changed bool) {
		if changed && h.cfg.Refuse {
			refused = append(refused, a.Key)
			return
		}
		attrs = appendAttr(attrs, a)
	}
	for i, a := range masked.attrs {
		if a.Key[strings.LastIndexByte(a.Key, '.')+1:] == h.cfg.Marker {
			continue
		}
		keep(a, i >= len(bare.attrs) || bare.attrs[i].Key != a.Key || bare.attrs[i].Value.String() != a.Value.String())
	}
	if masked.message != "" {
		keep(slog.String("message", masked.message), masked.message != bare.message)
	}
	var personal error
	if len(refused) > 0 {
		attrs = appendAttr(attrs, slog.String("refused", strings.Join(refused, ",")))
		personal = fmt.Errorf("%w: %s was recorded without %s; do not log such values", ErrPersonal, action, strings.Join(refused, ", "))
	}
	if err := h.cfg.Log.RecordApart(context.WithoutCancel(ctx), action, attrs...); err != nil {
		return errors.Join(personal, fmt.Errorf("slogaudit: %w", err))
	}
	return personal
}
