package masking_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

func TestHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	h := masking.NewHandler(slog.NewJSONHandler(&out, nil), masking.HandlerConfig{})
	require.NoError(t, slogtest.TestHandler(h, func() []map[string]any {
		var records []map[string]any
		for line := range bytes.SplitSeq(bytes.TrimSpace(out.Bytes()), []byte("\n")) {
			var m map[string]any
			require.NoError(t, json.Unmarshal(line, &m))
			records = append(records, m)
		}
		return records
	}))
}

// record logs one line as JSON through the masking handler and returns it without time and level.
func record(t *testing.T, cfg masking.HandlerConfig, do func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	next := slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}})
	do(slog.New(masking.NewHandler(next, cfg)))
	return strings.TrimSpace(out.String())
}

type customError struct{ Phone string }

func (customError) Error() string                  { return "harmless" }
func (e customError) MarshalJSON() ([]byte, error) { return json.Marshal(e.Phone) }

type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("13800138000") }

type unexported struct{ phone string }

func TestHandlerMasksEveryPartOfARecord(t *testing.T) {
	for want, do := range map[string]func(*slog.Logger){
		`{"msg":"tel 138****8000"}`:                  func(l *slog.Logger) { l.Info("tel 13800138000") },
		`{"msg":"","phone":"138****8000"}`:           func(l *slog.Logger) { l.Info("", "phone", 13800138000) },
		`{"msg":"","id":"138****8000"}`:              func(l *slog.Logger) { l.Info("", "id", uint64(13800138000)) },
		`{"msg":"","order_id":13800138000}`:          func(l *slog.Logger) { l.Info("", "order_id", 13800138000) },
		`{"msg":"","order_id":"13800138000"}`:        func(l *slog.Logger) { l.Info("", "order_id", "13800138000") },
		`{"msg":"","n":12345}`:                       func(l *slog.Logger) { l.Info("", "n", 12345) },
		`{"msg":"","took":1500}`:                     func(l *slog.Logger) { l.Info("", "took", time.Duration(1500)) },
		`{"msg":"","password":"******"}`:             func(l *slog.Logger) { l.Info("", "password", true) },
		`{"msg":"","token":{"a":"******"}}`:          func(l *slog.Logger) { l.WithGroup("token").Info("", "a", 7) },
		`{"msg":"","g":{"email":"z***@e.com"}}`:      func(l *slog.Logger) { l.Info("", slog.Group("g", "email", "zs@e.com")) },
		`{"msg":"","err":"no 138****8000"}`:          func(l *slog.Logger) { l.Info("", "err", errors.New("no 13800138000")) },
		`{"msg":"","err":"harmless"}`:                func(l *slog.Logger) { l.Info("", "err", customError{"13800138000"}) },
		`{"msg":"","v":"******"}`:                    func(l *slog.Logger) { l.Info("", "v", panics{}) },
		`{"msg":"","v":"{phone:tel 138****8000}"}`:   func(l *slog.Logger) { l.Info("", "v", unexported{"tel 13800138000"}) },
		`{"msg":"","v":"sealed at partial"}`:         func(l *slog.Logger) { l.Info("", "v", sealed("x")) },
		`{"msg":"","v":{"Phone":"138****8000"}}`:     func(l *slog.Logger) { l.Info("", "v", base{"13800138000"}) },
		`{"msg":"","v":["138****8000"]}`:             func(l *slog.Logger) { l.Info("", "v", []string{"13800138000"}) },
		`{"msg":"","v":null}`:                        func(l *slog.Logger) { l.Info("", "v", nil) },
		`{"msg":"","138****8000":1}`:                 func(l *slog.Logger) { l.Info("", "13800138000", 1) },
		`{"msg":"","raw":"{\"a\":\"138****8000\"}"}`: func(l *slog.Logger) { l.Info("", "raw", json.RawMessage(`{"a":"13800138000"}`)) },
	} {
		assert.Equal(t, want, record(t, masking.HandlerConfig{}, do))
	}
}

func TestHandlerKeysCanBeAddedAndSpared(t *testing.T) {
	cfg := masking.HandlerConfig{Keys: map[string]masking.Kind{"khm": masking.KindPhone, "token": "-"}}
	got := record(t, cfg, func(l *slog.Logger) { l.Info("", "khm", "13800138000", "token", "page-2") })
	assert.Equal(t, `{"msg":"","khm":"138****8000","token":"page-2"}`, got)
}

func TestHandlerLevelDependsOnTheCaller(t *testing.T) {
	type role struct{}
	var out bytes.Buffer
	cfg := masking.HandlerConfig{Policy: masking.Policy{Level: func(ctx context.Context) masking.Level {
		if l, ok := ctx.Value(role{}).(masking.Level); ok {
			return l
		}
		return masking.Hidden
	}}}
	log := slog.New(masking.NewHandler(slog.NewTextHandler(&out, nil), cfg)).With("phone", "13800138000")
	for l, want := range map[masking.Level]string{
		masking.Hidden: `msg="tel ******" phone=******`, masking.Partial: `msg="tel 138****8000" phone=******`, masking.Full: `msg="tel 13800138000" phone=******`,
	} {
		out.Reset()
		log.InfoContext(context.WithValue(context.Background(), role{}, l), "tel 13800138000")
		assert.Contains(t, out.String(), want)
	}
}

func TestHandlerLeavesTheConfigurationItWasGiven(t *testing.T) {
	keys := map[string]masking.Kind{"khm": masking.KindPhone}
	var out bytes.Buffer
	h := masking.NewHandler(slog.NewTextHandler(&out, nil), masking.HandlerConfig{Keys: keys})
	delete(keys, "khm")
	slog.New(h).Info("x", "khm", "13800138000")
	assert.Contains(t, out.String(), "138****8000")
}

func TestHandlerServesManyGoroutines(t *testing.T) {
	var mu sync.Mutex
	var out bytes.Buffer
	h := masking.NewHandler(slog.NewTextHandler(lockedWriter{&mu, &out}, nil), masking.HandlerConfig{})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				slog.New(h).With("a", "tel 13800138000").WithGroup("g").Info("x", "v", base{"13800138000"}, "m", map[string]any{"phone": "13800138000"})
			}
		})
	}
	wg.Wait()
	assert.NotContains(t, out.String(), "13800138000")
	assert.Equal(t, 400, strings.Count(out.String(), "\n"))
}

type lockedWriter struct {
	mu *sync.Mutex
	b  *bytes.Buffer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.b.Write(p)
}

func TestHandlerAllocatesNothingForCleanRecords(t *testing.T) {
	h := masking.NewHandler(discard{}, masking.HandlerConfig{})
	r := slog.NewRecord(time.Time{}, slog.LevelInfo, "order placed", 0)
	r.AddAttrs(slog.String("user", "u-1842"), slog.Int("items", 3), slog.String("state", "已付款"), slog.Bool("gift", true), slog.Duration("took", 5))
	assert.Zero(t, testing.AllocsPerRun(100, func() { _ = h.Handle(context.Background(), r) }))
}

type discard struct{}

func (discard) Enabled(context.Context, slog.Level) bool  { return true }
func (discard) Handle(context.Context, slog.Record) error { return nil }
func (d discard) WithAttrs([]slog.Attr) slog.Handler      { return d }
func (d discard) WithGroup(string) slog.Handler           { return d }
