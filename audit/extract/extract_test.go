package extract_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/extract"
)

var update = flag.Bool("update", false, "write the golden files")

var product = extract.OCSFConfig{Product: "crm", Vendor: "Example", Chain: "crm.example/audit/main"}

// sample is one event of each kind that the mapping tells apart.
func sample() []audit.Event {
	at := time.Date(2026, 11, 21, 9, 0, 0, 123456000, time.UTC)
	actor := audit.Actor{ID: "3", Tenant: "main", IP: "10.0.0.7", Channel: "web", RequestID: "r-1"}
	list := []audit.Event{
		{Action: "customer.create", Resource: "customer", Rows: []audit.Row{{ID: "1", Rev: 1}}, Fields: []string{"id", "name"}},
		{Action: "customer.read", Resource: "customer", Rows: []audit.Row{{ID: "1"}, {ID: "2"}}, Fields: []string{"name"}},
		{Action: "customer.reveal", Resource: "customer", Rows: []audit.Row{{ID: "1"}}, Fields: []string{"phone"}, Subject: "customer:1", Purpose: "=回电 \"ticket\" 7\n\u2028",
			Attrs: []slog.Attr{slog.String("policy", "v3"), slog.Int64("count", -2), slog.Int64("large", 1<<62), slog.Bool("soft", true)}},
		{Action: "customer.update", Resource: "customer", Rows: []audit.Row{{ID: "1", Rev: 2}}},
		{Action: "customer.delete", Resource: "customer", Rows: []audit.Row{{ID: "1", Rev: 3}}},
		{Action: "customer.hand_over", Resource: "customer"},
		{Action: "login.failed", Resource: "user", Rows: []audit.Row{{ID: "+86"}}, Result: "failed"},
		{Action: "login.ok"},
		{Action: "logout"},
		{Action: "http.denied", Result: "denied", Attrs: []slog.Attr{slog.String("method", "GET"), slog.String("pattern", "GET /customers/{id}"), slog.Int("status", 403)}},
		{Action: audit.GapAction, Result: "lost", Attrs: []slog.Attr{slog.String("reason", "full"), slog.Int64("lost", 7)}},
	}
	for i := range list {
		e := &list[i]
		e.ID, e.Seq, e.Time, e.Actor = fmt.Sprintf("%032x", i+1), int64(i), at.Add(time.Duration(i)*time.Second), actor
		if e.Result == "" {
			e.Result = "ok"
		}
		if e.Action == "login.failed" || e.Action == audit.GapAction {
			e.Actor = audit.Actor{Tenant: "main"}
		}
	}
	return list
}

func each(events []audit.Event) iter.Seq2[audit.Event, error] {
	return func(yield func(audit.Event, error) bool) {
		for _, e := range events {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

func TestGoldenFiles(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, extract.CSV(&out, each(sample())))
	golden(t, "sample.csv", out.Bytes())
	out.Reset()
	require.NoError(t, extract.OCSF(&out, each(sample()), product))
	golden(t, "sample.ocsf.jsonl", out.Bytes())
}

type requirements struct {
	Required   []string   `json:"required"`
	OneOf      [][]string `json:"one_of"`
	Category   int        `json:"category"`
	Activities []int      `json:"activities"`
}

// lookUp finds a dotted path in a record.
func lookUp(r map[string]any, path string) (any, bool) {
	var v any = r
	for part := range strings.SplitSeq(path, ".") {
		o, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = o[part]; !ok {
			return nil, false
		}
	}
	return v, true
}

func TestRecordsHaveWhatOCSFRequires(t *testing.T) {
	var schema struct {
		Base        requirements            `json:"base"`
		Classes     map[string]requirements `json:"classes"`
		SeverityIDs []int                   `json:"severity_ids"`
		StatusIDs   []int                   `json:"status_ids"`
	}
	data, err := os.ReadFile("testdata/ocsf-required.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &schema))
	var out bytes.Buffer
	require.NoError(t, extract.OCSF(&out, each(sample()), product))
	seen := map[string]bool{}
	for line := range strings.Lines(out.String()) {
		var r map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &r))
		class := fmt.Sprint(r["class_uid"])
		want, ok := schema.Classes[class]
		require.True(t, ok, "class %s", class)
		seen[class] = true
		for _, path := range append(slices.Clone(schema.Base.Required), want.Required...) {
			_, ok := lookUp(r, path)
			require.True(t, ok, "%s is required: %s", path, line)
		}
		for _, alternatives := range append(slices.Clone(schema.Base.OneOf), want.OneOf...) {
			require.True(t, slices.ContainsFunc(alternatives, func(path string) bool { _, ok := lookUp(r, path); return ok }), "one of %v: %s", alternatives, line)
		}
		number := func(key string) int { return int(r[key].(float64)) }
		require.Equal(t, want.Category, number("category_uid"))
		require.Contains(t, want.Activities, number("activity_id"))
		require.Equal(t, number("class_uid")*100+number("activity_id"), number("type_uid"))
		require.Contains(t, schema.SeverityIDs, number("severity_id"))
		require.Contains(t, schema.StatusIDs, number("status_id"))
		if number("activity_id") == 99 {
			require.NotEmpty(t, r["activity_name"], "an activity that is not mapped has a name: %s", line)
		}
	}
	require.Len(t, seen, len(schema.Classes), "every class is in the sample")
}

// checkChain recomputes the attestations as a consumer would, with another
// serializer, and returns how many records hold together.
func checkChain(t testing.TB, file string) int {
	n := 0
	var before map[string]any
	for line := range strings.Lines(file) {
		var r map[string]any
		dec := json.NewDecoder(strings.NewReader(line))
		dec.UseNumber()
		if dec.Decode(&r) != nil {
			return n
		}
		attestation := r["attestation"].(map[string]any)
		fingerprint := attestation["fingerprint"].(map[string]any)
		delete(attestation, "fingerprint")
		var canonical bytes.Buffer
		enc := json.NewEncoder(&canonical)
		enc.SetEscapeHTML(false)
		require.NoError(t, enc.Encode(r))
		text := strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(strings.TrimSuffix(canonical.String(), "\n"))
		sum := sha256.Sum256([]byte(text))
		if hex.EncodeToString(sum[:]) != fingerprint["value"] {
			return n
		}
		if before != nil {
			prev, _ := attestation["prev_event"].(map[string]any)
			if prev == nil || prev["uid"] != before["uid"] || fmt.Sprint(prev["fingerprint"]) != fmt.Sprint(before["fingerprint"]) {
				return n
			}
		}
		before = map[string]any{"uid": r["metadata"].(map[string]any)["uid"], "fingerprint": fingerprint}
		n++
	}
	return n
}

func TestTheChainOfAttestationsHolds(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, extract.OCSF(&out, each(sample()), product))
	require.Equal(t, len(sample()), checkChain(t, out.String()))
	lines := strings.SplitAfter(out.String(), "\n")
	require.Equal(t, 3, checkChain(t, strings.Join(append(slices.Clone(lines[:3]), lines[4:]...), "")), "a record was taken out")
	require.Equal(t, 2, checkChain(t, strings.Replace(out.String(), `"policy":"v3"`, `"policy":"v4"`, 1)), "a record was changed")
	require.Equal(t, 1, checkChain(t, lines[0]+lines[2]+lines[1]), "records changed places")
	for _, cfg := range []extract.OCSFConfig{{}, {Product: "x"}, {Chain: "x"}} {
		require.ErrorIs(t, extract.OCSF(io.Discard, each(nil), cfg), audit.ErrInvalid)
	}
}

// Whatever texts an event holds, the line is JSON, says the same, and has the
// fingerprint that another serializer computes.
func TestOCSFOfAnyTexts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		list := sample()[:3]
		list[0].Purpose, list[1].Subject, list[2].Actor.ID = rapid.String().Draw(rt, "purpose"), rapid.String().Draw(rt, "subject"), rapid.String().Draw(rt, "actor")
		list[2].Attrs = []slog.Attr{slog.String("s", rapid.String().Draw(rt, "attr")), slog.Int64("n", rapid.Int64().Draw(rt, "n"))}
		if strings.Contains(list[0].Purpose+list[1].Subject+list[2].Actor.ID+list[2].Attrs[0].Value.String(), `\u202`) {
			rt.Skip("the test's own serializer cannot tell this from an escape")
		}
		var out bytes.Buffer
		require.NoError(rt, extract.OCSF(&out, each(list), product))
		require.Equal(rt, 3, checkChain(t, out.String()), out.String())
		var r map[string]any
		require.NoError(rt, json.Unmarshal([]byte(strings.SplitAfter(out.String(), "\n")[2]), &r))
		s, _ := lookUp(r, "unmapped.attributes.s")
		require.Equal(rt, list[2].Attrs[0].Value.String(), s)
	})
}

func FuzzCSV(f *testing.F) {
	for _, s := range []string{"", "=1+1", " =1", "\t=cmd|' /C calc'!A0", "＝1", "-2", "@x", "a,b\"c\nd", "'=x", "\ufeff+1", "\r"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := sample()[0]
		e.Purpose, e.Actor.ID, e.Subject, e.Fields = s, s, s, []string{s}
		var out bytes.Buffer
		require.NoError(t, extract.CSV(&out, each([]audit.Event{e})))
		records, err := csv.NewReader(&out).ReadAll()
		require.NoError(t, err)
		require.Len(t, records, 2)
		for i, cell := range records[1] {
			trimmed := strings.TrimLeft(cell, " \t\r\n\u00a0\u3000\ufeff")
			if trimmed != "" {
				require.NotContains(t, "=+-@|%＝＋－＠", string([]rune(trimmed)[0]), "column %s", records[0][i])
			}
		}
		got := strings.TrimPrefix(records[1][13], "'")
		if !strings.Contains(s, "\r") && !strings.HasPrefix(s, "'") { // a CSV reader turns \r\n into \n
			require.Equal(t, s, got)
		}
	})
}

// An extract that cannot vouch for an event ends with an error, and one whose
// writer fails says so.
func TestExtractsEndAtTheFirstError(t *testing.T) {
	broken := func(yield func(audit.Event, error) bool) {
		_ = yield(sample()[0], nil) && yield(audit.Event{}, fmt.Errorf("%w: entry 1", audit.ErrTampered)) && yield(sample()[1], nil)
	}
	for name, write := range map[string]func(io.Writer, iter.Seq2[audit.Event, error]) error{
		"csv":  extract.CSV,
		"ocsf": func(w io.Writer, events iter.Seq2[audit.Event, error]) error { return extract.OCSF(w, events, product) },
	} {
		err := write(io.Discard, broken)
		require.ErrorIs(t, err, audit.ErrTampered, name)
		require.ErrorContains(t, err, "stopped after 1 events", name)
		require.ErrorIs(t, write(full{}, each(sample())), errFull, name)
		require.NoError(t, write(io.Discard, each(nil)), name)
	}
}

var errFull = errors.New("no space left on device")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestMemoryDoesNotGrow(t *testing.T) {
	e := sample()[2]
	var most uint64
	many := func(yield func(audit.Event, error) bool) {
		for i := range 20_000 {
			e.Seq = int64(i)
			if !yield(e, nil) {
				return
			}
			if i%5_000 == 4_999 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}
	require.NoError(t, extract.OCSF(io.Discard, many, product))
	require.NoError(t, extract.CSV(io.Discard, many))
	require.Less(t, most, uint64(64<<20))
}

// newLog is a log in memory with some readings of two customers.
func newLog(t testing.TB) (*audit.Log, *audit.Memory, audit.Keys) {
	t.Helper()
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	store := audit.NewMemory()
	ctx := context.Background()
	log, err := audit.Open(ctx, audit.Config{Store: store, Signer: signer, Verifier: verifier, Anchor: audit.Unanchored,
		Actor: func(context.Context) audit.Actor { return audit.Actor{ID: "u3"} }, Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	for i := range 40 {
		customer := []string{"42", "43"}[i%2]
		switch i % 4 {
		case 0, 1:
			require.NoError(t, log.Seen(ctx, "customer", []string{customer, "7"}, []string{"name"}))
		default:
			require.NoError(t, log.Record(ctx, "customer."+[]string{"export", "update"}[i/4%2], slog.String("resource", "customer"), slog.String("row", customer)))
		}
	}
	require.NoError(t, log.Flush(ctx))
	_, err = log.Seal(ctx)
	require.NoError(t, err)
	return log, store, audit.KeysOf(verifier)
}

// opened checks a file of proofs with the verifier's keys alone.
func opened(t *testing.T, file []byte, keys audit.Keys) (events []audit.Event) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(file))
	dec.DisallowUnknownFields()
	var head extract.ProofLine
	require.NoError(t, dec.Decode(&head))
	require.Equal(t, "confide-audit-proofs/1", head.Format)
	for {
		var l extract.ProofLine
		require.NoError(t, dec.Decode(&l))
		if l.End != nil {
			require.EqualValues(t, len(events), *l.End)
			_, err := dec.Token()
			require.ErrorIs(t, err, io.EOF)
			return events
		}
		e, c, err := l.Proof.OpenEvent(keys)
		require.NoError(t, err)
		require.Equal(t, head.Log, c.Origin)
		require.Equal(t, l.Event.Seq, e.Seq)
		require.Equal(t, l.Event.Action, e.Action)
		_, err = head.Link.OpenLink(c.Note, keys)
		require.NoError(t, err)
		events = append(events, e)
	}
}

func TestProofsVerifyWithoutTheDatabase(t *testing.T) {
	log, _, keys := newLog(t)
	var out bytes.Buffer
	require.NoError(t, extract.Proofs(t.Context(), &out, log, audit.Query{}))
	require.Len(t, opened(t, out.Bytes(), keys), 40)

	out.Reset()
	n, err := extract.Seen(t.Context(), &out, log, audit.Query{Resource: "customer", Row: "42"})
	require.NoError(t, err)
	list := opened(t, out.Bytes(), keys)
	require.EqualValues(t, len(list), n)
	require.Len(t, list, 15) // 10 readings, 5 exports
	for _, e := range list {
		require.NotEqual(t, "customer.update", e.Action)
		require.True(t, slices.ContainsFunc(e.Rows, func(r audit.Row) bool { return r.ID == "42" }))
	}
	n, err = extract.Seen(t.Context(), io.Discard, log, audit.Query{Resource: "customer", Row: "nobody"})
	require.NoError(t, err)
	require.Zero(t, n)

	_, err = extract.Seen(t.Context(), full{}, log, audit.Query{})
	require.ErrorIs(t, err, errFull)
	require.ErrorIs(t, extract.Proofs(t.Context(), io.Discard, log, audit.Query{Tenant: "none"}), audit.ErrInvalid)
	require.ErrorIs(t, extract.Proofs(t.Context(), io.Discard, log, audit.Query{Row: "1"}), audit.ErrInvalid)
}
