package slogaudit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/slogaudit"
	"github.com/confide-go/confide/masking"
)

// newLog opens a log in memory.
func newLog(t testing.TB) *audit.Log {
	t.Helper()
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	log, err := audit.Open(context.Background(), audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: verifier, Anchor: audit.Unanchored,
		Actor: func(context.Context) audit.Actor { return audit.Actor{ID: "u3"} }, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	return log
}

// lines shows the events of a log.
func lines(t testing.TB, log *audit.Log) []string {
	t.Helper()
	ctx := context.Background()
	require.NoError(t, log.Flush(ctx))
	_, err := log.Seal(ctx)
	require.NoError(t, err)
	list := []string{}
	for e, err := range log.Events(ctx, audit.Query{OldestFirst: true}) {
		require.NoError(t, err)
		list = append(list, fmt.Sprint(e.Action, " ", e.Resource, " ", e.Rows, " ", e.Result, " ", e.Attrs))
	}
	return list
}

type stringerWithPhone struct{ Phone string }

func (s stringerWithPhone) String() string { return s.Phone }

func TestRecordsBecomeEvents(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  slogaudit.Config
		do   func(*slog.Logger)
		want []string
	}{
		{"no marker", slogaudit.Config{}, func(l *slog.Logger) { l.Error("boom") }, nil},
		{"marker", slogaudit.Config{}, func(l *slog.Logger) {
			l.Debug("login failed", "audit", "login.failed", "resource", "user", "row", "u7", "result", "denied", "tries", 3)
		}, []string{"login.failed user [{u7 0}] denied [tries=3 message=login failed]"}},
		{"own marker", slogaudit.Config{Marker: "event"}, func(l *slog.Logger) { l.Info("", "event", "a.b", "audit", "x") }, []string{"a.b  [] failed [audit=x]"}},
		{"marker of the logger", slogaudit.Config{}, func(l *slog.Logger) {
			l.With("audit", "job.run", "job", "nightly").WithGroup("out").Info("done", "rows", 7, slog.Group("deep", "n", 1))
		}, []string{"job.run  [] failed [job=nightly out.rows=7 out.deep.n=1 message=done]"}},
		{"level", slogaudit.Config{Level: slog.LevelWarn}, func(l *slog.Logger) {
			l.Info("no")
			l.Warn("yes")
			l.Log(context.Background(), slog.LevelError+2, "higher")
		},
			[]string{"log.warn  [] failed [message=yes]", "log.error  [] failed [message=higher]"}},
		{"logger name", slogaudit.Config{Loggers: []string{"security"}}, func(l *slog.Logger) {
			l.With("logger", "web").Info("no")
			l.With("logger", "security").Info("yes")
		}, []string{"log.info  [] failed [logger=security message=yes]"}},
		{"personal values", slogaudit.Config{}, func(l *slog.Logger) {
			l.Info("called 13800138000", "audit", "call", "phone", "13800138000", "err", errors.New("no answer from 13800138000"), "x", stringerWithPhone{"13800138000"})
		}, []string{"call  [] failed [phone=138****8000 err=no answer from 138****8000 x=(slogaudit_test.stringerWithPhone) message=called 138****8000]"}},
		{"everybody may see everything", slogaudit.Config{Policy: masking.Policy{Level: func(context.Context) masking.Level { return masking.Full }}}, func(l *slog.Logger) {
			l.Info("", "audit", "call", "phone", "13800138000")
		}, []string{"call  [] failed [phone=138****8000]"}},
		{"odd attributes", slogaudit.Config{}, func(l *slog.Logger) {
			l.Info("", "audit", "odd", "rows", 5, "fields", []int{1}, "a b/ö", 1, "a b/ö", 2, strings.Repeat("k", 100), true, "list", []string{"x", "y"})
		}, []string{"odd  [] failed [rows_=5 fields_=([]int) a_b__=1 " + strings.Repeat("k", 64) + "=true list=x,y]"}},
		{"a marker that is no name", slogaudit.Config{}, func(l *slog.Logger) { l.Info("x", "audit", "not a name") }, nil},
		{"a marker that is no text", slogaudit.Config{}, func(l *slog.Logger) { l.Info("x", "audit", 7) }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := newLog(t)
			var out bytes.Buffer
			c.cfg.Log, c.cfg.Next = log, slog.NewTextHandler(&out, nil)
			h, err := slogaudit.New(c.cfg)
			require.NoError(t, err)
			c.do(slog.New(h))
			got := lines(t, log)
			require.Len(t, got, len(c.want))
			for i, want := range c.want {
				if strings.Contains(c.name, "personal") {
					require.NotContains(t, got[i], "13800138000")
				}
				require.Equal(t, want, got[i])
			}
			if c.name == "personal values" {
				require.Contains(t, out.String(), "13800138000", "the next handler gets the record as it is")
			}
		})
	}
}

func TestRefusedValuesAreLeftOutAndNamed(t *testing.T) {
	log := newLog(t)
	h, err := slogaudit.New(slogaudit.Config{Log: log, Refuse: true})
	require.NoError(t, err)
	r := slog.Record{Message: "call 13800138000"}
	r.AddAttrs(slog.String("audit", "call"), slog.String("phone", "13800138000"), slog.String("ticket", "7"))
	err = h.WithAttrs([]slog.Attr{slog.String("id", "11010519491231002X")}).Handle(t.Context(), r)
	require.ErrorIs(t, err, slogaudit.ErrPersonal)
	require.EqualError(t, err, "slogaudit: personal value: call was recorded without id, phone, message; do not log such values")
	require.Equal(t, []string{"call  [] failed [ticket=7 refused=id,phone,message]"}, lines(t, log))

	_, err = slogaudit.New(slogaudit.Config{})
	require.ErrorContains(t, err, "Config.Log is nil")
}

type failing struct{}

func (failing) RecordApart(context.Context, string, ...slog.Attr) error { return audit.ErrFull }

func TestAnEventThatIsNotTakenIsAnError(t *testing.T) {
	h, err := slogaudit.New(slogaudit.Config{Log: failing{}})
	require.NoError(t, err)
	r := slog.Record{}
	r.AddAttrs(slog.String("audit", "a"))
	require.ErrorIs(t, h.Handle(t.Context(), r), audit.ErrFull)
	require.NoError(t, h.Handle(t.Context(), slog.Record{}))
}

func Example() {
	log := exampleLog()
	handler, err := slogaudit.New(slogaudit.Config{Log: log}) // Next: slog.NewJSONHandler(os.Stderr, nil)
	check(err)
	logger := slog.New(handler)
	logger.Warn("login failed from 13800138000", "audit", "login.failed", "resource", "user", "row", "u7")
	logger.Info("an ordinary line")

	check(log.Flush(context.Background()))
	_, err = log.Seal(context.Background())
	check(err)
	for e, err := range log.Events(context.Background(), audit.Query{}) {
		check(err)
		fmt.Println(e.Action, e.Rows[0].ID, e.Attrs)
	}
	// Output: login.failed u7 [message=login failed from 138****8000]
}

func exampleLog() *audit.Log {
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	check(err)
	signer, err := note.NewSigner(skey)
	check(err)
	verifier, err := note.NewVerifier(vkey)
	check(err)
	log, err := audit.Open(context.Background(), audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: verifier,
		Anchor: audit.Unanchored, Actor: func(context.Context) audit.Actor { return audit.Actor{} }})
	check(err)
	return log
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
