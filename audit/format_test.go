package audit_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/audit"
)

var freeze = flag.Bool("freeze", false, "append vectors that testdata/vectors.json does not have")

type vector struct {
	Name string `json:"name"`
	Log  string `json:"log"`
	Data string `json:"data"` // the entry, hexadecimal
	Leaf string `json:"leaf"`
	Root string `json:"root"` // of the tree up to this entry
}

// currentVectors builds the log of the vectors with today's code.
func currentVectors(t *testing.T) []vector {
	full := audit.VectorEvent()
	bare := audit.Event{ID: full.ID, Time: full.Time, Actor: audit.Actor{Tenant: "main"}, Action: "login.failed"}
	var list []vector
	var tree audit.Tree
	var prev *tlog.Hash
	for seq, e := range []audit.Event{full, bare, full, audit.ChangesEvent()} {
		body, err := audit.EncodeEvent(e)
		require.NoError(t, err)
		data, leaf := audit.EncodeEntry("main", 1, int64(seq), prev, body)
		prev = &leaf
		tree.Append(leaf)
		root := tree.Root()
		list = append(list, vector{fmt.Sprintf("entry %d", seq), "main", hex.EncodeToString(data), hex.EncodeToString(leaf[:]), hex.EncodeToString(root[:])})
	}
	return list
}

func TestVectors(t *testing.T) {
	const path = "testdata/vectors.json"
	current := currentVectors(t)
	var frozen []vector
	if data, err := os.ReadFile(path); err == nil {
		require.NoError(t, json.Unmarshal(data, &frozen))
	}
	if *freeze && len(frozen) < len(current) {
		data, err := json.MarshalIndent(append(frozen, current[len(frozen):]...), "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(data, '\n'), 0o644))
		return
	}
	require.Equal(t, frozen, current, "the format changed: logs written before would not verify any more")

	data, err := hex.DecodeString(frozen[0].Data)
	require.NoError(t, err)
	e, err := audit.DecodeEvent(data[42:])
	require.NoError(t, err)
	require.Equal(t, audit.VectorEvent(), e)

	data, err = hex.DecodeString(frozen[3].Data)
	require.NoError(t, err)
	require.Equal(t, byte(2), data[42])
	e, err = audit.DecodeEvent(data[42:])
	require.NoError(t, err)
	require.Equal(t, audit.ChangesEvent(), e)
}

// There is one spelling of changes: those that are out of order, twice there,
// point outside or are none at all are refused.
func TestChangesHaveOneSpelling(t *testing.T) {
	good := audit.ChangesEvent()
	data, err := audit.EncodeEvent(good)
	require.NoError(t, err)
	list := data[bytes.LastIndex(data, []byte("soft"))+len("soft")+2:]
	at := len(data) - len(list)
	require.Equal(t, []byte{0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 5, 3, 0, 0, 0, 0}, list[:18])
	for name, spoil := range map[string]func(b []byte) []byte{
		"no changes":         func(b []byte) []byte { return append(b[:at:at], 0, 0, 0, 0) },
		"version 1":          func(b []byte) []byte { b[0] = 1; return b },
		"version 3":          func(b []byte) []byte { b[0] = 3; return b },
		"unknown state":      func(b []byte) []byte { b[at+12] = 6; return b },
		"row outside":        func(b []byte) []byte { b[at+7] = 3; return b },
		"field outside":      func(b []byte) []byte { b[at+11] = 2; return b },
		"one more announced": func(b []byte) []byte { b[at+3] = 5; return b },
		"out of order":       func(b []byte) []byte { b[at+7] = 2; return b },
		"twice": func(b []byte) []byte {
			one := append([]byte{0, 0, 0, 2}, b[at+4:at+18]...)
			return append(append(b[:at:at], one...), one[4:]...)
		},
		"second of equal fields": func(b []byte) []byte {
			return bytes.Replace(b, []byte("\x00\x00\x00\x05email"), []byte("\x00\x00\x00\x05phone"), 1)
		},
	} {
		_, err := audit.DecodeEvent(spoil(bytes.Clone(data)))
		require.Error(t, err, name)
	}
	for name, spoil := range map[string]func(e *audit.Event){
		"out of order": func(e *audit.Event) { e.Changes[0], e.Changes[1] = e.Changes[1], e.Changes[0] },
		"no such row":  func(e *audit.Event) { e.Changes[3].Row = 2 },
		"no such name": func(e *audit.Event) { e.Changes[3].Field = "fax" },
	} {
		e := audit.ChangesEvent()
		spoil(&e)
		_, err := audit.EncodeEvent(e)
		require.Error(t, err, name)
	}
}

func TestEventsSurviveEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := audit.VectorEvent()
		text := rapid.String()
		e.Actor.ID, e.Purpose, e.Subject = text.Draw(t, "actor"), text.Draw(t, "purpose"), text.Draw(t, "subject")
		e.Fields = rapid.SliceOfN(text, 1, 5).Draw(t, "fields")
		e.Rows[0].Rev = rapid.Int64().Draw(t, "rev")
		for _, row := range rapid.SliceOfDistinct(rapid.IntRange(audit.AllRows, 1), rapid.ID[int]).Draw(t, "changed") {
			v := audit.Value{State: rapid.SampledFrom([]audit.State{audit.Absent, audit.Null, audit.Plain, audit.Masked, audit.Unknown}).Draw(t, "state")}
			if v.State == audit.Plain || v.State == audit.Masked {
				v.Text = text.Draw(t, "value")
			}
			e.Changes = append(e.Changes, audit.Change{Row: row, Field: e.Fields[0], Before: v, After: audit.Value{State: audit.Committed, Sum: [32]byte{1}}})
		}
		slices.SortFunc(e.Changes, func(a, b audit.Change) int { return a.Row - b.Row })
		data, err := audit.EncodeEvent(e)
		if err != nil {
			t.Fatal(err)
		}
		got, err := audit.DecodeEvent(data)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(e) != fmt.Sprint(got) {
			t.Fatalf("%v came back as %v", e, got)
		}
	})
}

// Whatever decodes encodes to the same bytes: there is one spelling of an event.
func FuzzDecodeEvent(f *testing.F) {
	data, err := audit.EncodeEvent(audit.VectorEvent())
	require.NoError(f, err)
	changed, err := audit.EncodeEvent(audit.ChangesEvent())
	require.NoError(f, err)
	for _, data := range [][]byte{data, changed} {
		f.Add(data)
		f.Add(data[:len(data)-1])
		f.Add(append(data[:len(data):len(data)], 0))
		for i := range data {
			other := append([]byte(nil), data...)
			other[i] ^= 0xff
			f.Add(other)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := audit.DecodeEvent(data)
		if err != nil {
			return
		}
		again, err := audit.EncodeEvent(e)
		require.NoError(t, err)
		require.Equal(t, data, again)
	})
}

func FuzzDecodeEntry(f *testing.F) {
	data, _ := audit.EncodeEntry("main", 1, 3, nil, []byte("body"))
	f.Add(data)
	f.Add(data[:41])
	f.Fuzz(func(t *testing.T, data []byte) {
		if again, err := audit.DecodeEntry(data); err == nil {
			require.Equal(t, data, again)
		}
	})
}

func FuzzCheckpointText(f *testing.F) {
	f.Add("crm.example/audit\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("o\n-1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
	f.Add("o\n01\nAAAA\nextension\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := audit.ParseNoteText(text)
		if err == nil {
			require.Positive(t, c.Size)
			require.NotEmpty(t, c.Origin)
		}
	})
}

func TestOriginsOfLogsAreDistinctAndReversible(t *testing.T) {
	seen := map[string]string{}
	for _, log := range []string{"main", "a/b", "a%2Fb", "a b", "a+b", "王", "a\nb", ".", "..", "%"} {
		origin := audit.OriginOf("crm", log)
		require.NotContains(t, strings.TrimPrefix(origin, "crm/"), "/")
		require.NotContains(t, origin, "\n")
		require.Empty(t, seen[origin], "%q and %q have one origin", log, seen[origin])
		seen[origin] = log
		back, ok := audit.LogOf("crm", origin)
		require.True(t, ok)
		require.Equal(t, log, back)
	}
	require.Equal(t, "crm", audit.OriginOf("crm", ""))
	for _, origin := range []string{"crm", "crm/", "crm/a/b", "crm/%zz", "crm/%61", "other/main"} {
		_, ok := audit.LogOf("crm", origin)
		require.False(t, ok, origin)
	}
}

func TestClean(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := string(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
		limit := rapid.IntRange(20, 60).Draw(t, "limit")
		got := audit.Clean(s, limit)
		if len(got) > limit || !utf8.ValidString(got) || strings.ContainsRune(got, 0) {
			t.Fatalf("%q", got)
		}
		if len(s) <= limit && utf8.ValidString(s) && !strings.ContainsRune(s, 0) && got != s {
			t.Fatalf("%q became %q for no reason", s, got)
		}
	})
	long := strings.Repeat("王", 100)
	require.NotEqual(t, audit.Clean(long+"a", 128), audit.Clean(long+"b", 128), "two long ids became one")
}

// The tree of the sealer against x/mod/sumdb/tlog: roots, and the proofs that
// others will check against our signed roots.
func TestTreeAgreesWithTlog(t *testing.T) {
	const size = 300
	var hashes []tlog.Hash
	reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
		list := make([]tlog.Hash, len(at))
		for i, x := range at {
			list[i] = hashes[x]
		}
		return list, nil
	})
	var tree audit.Tree
	roots := []tlog.Hash{{}}
	for n := range int64(size) {
		data := fmt.Appendf(nil, "entry %d", n)
		stored, err := tlog.StoredHashes(n, data, reader)
		require.NoError(t, err)
		hashes = append(hashes, stored...)
		tree.Append(tlog.RecordHash(data))
		require.NoError(t, tree.Reload())
		want, err := tlog.TreeHash(n+1, reader)
		require.NoError(t, err)
		require.Equal(t, want, tree.Root(), "root of %d entries", n+1)
		roots = append(roots, tree.Root())
	}
	for n := int64(1); n <= size; n += 7 {
		for i := int64(0); i < n; i += 5 {
			p, err := tlog.ProveRecord(n, i, reader)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckRecord(p, n, roots[n], i, tlog.RecordHash(fmt.Appendf(nil, "entry %d", i))))
		}
		p, err := tlog.ProveTree(size, n, reader)
		require.NoError(t, err)
		require.NoError(t, tlog.CheckTree(p, size, roots[size], n, roots[n]))
	}
}
