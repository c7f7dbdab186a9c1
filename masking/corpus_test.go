package masking_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// labelled is a text and the personal data in it.
type labelled struct {
	text  string
	spans []masking.Finding
}

// ownCorpus reads testdata/corpus, where [[kind:value]] marks what has to be found.
func ownCorpus(t testing.TB) []labelled {
	t.Helper()
	files, err := filepath.Glob("testdata/corpus/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files, "no corpus: testdata/corpus/*.txt")
	var docs []labelled
	for _, f := range files {
		for _, line := range lines(t, f) {
			docs = append(docs, parseMarked(t, line))
		}
	}
	return docs
}

// lines returns the lines of a file that are neither empty nor comments.
func lines(t testing.TB, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var kept []string
	for line := range strings.SplitSeq(string(data), "\n") {
		if line != "" && !strings.HasPrefix(line, "# ") {
			kept = append(kept, line)
		}
	}
	require.NotEmpty(t, kept, "%s is empty", file)
	return kept
}

func parseMarked(t testing.TB, line string) labelled {
	t.Helper()
	var d labelled
	for {
		before, rest, marked := strings.Cut(line, "[[")
		d.text += before
		if !marked {
			return d
		}
		for strings.HasPrefix(rest, "[") { // [[[ip:…]]] is a value in brackets
			d.text, rest = d.text+"[", rest[1:]
		}
		body, after, closed := strings.Cut(rest, "]]")
		require.True(t, closed, "no ]] in %s", line)
		name, value, ok := strings.Cut(body, ":")
		require.True(t, ok, "no kind in %s", line)
		kind, err := masking.ParseKind(name)
		require.NoError(t, err, line)
		d.spans = append(d.spans, masking.Finding{Kind: kind, Start: len(d.text), End: len(d.text) + len(value)})
		d.text += value
		line = after
	}
}

// presidioKinds are the labels of the Presidio set that have a kind here.
var presidioKinds = map[string]masking.Kind{
	"PHONE_NUMBER": masking.KindPhone, "EMAIL_ADDRESS": masking.KindEmail, "CREDIT_CARD": masking.KindCard,
	"IBAN_CODE": masking.KindIBAN, "US_SSN": masking.KindSSN, "IP_ADDRESS": masking.KindIP, "PERSON": masking.KindName,
	"STREET_ADDRESS": masking.KindAddress, "DATE_TIME": masking.KindBirthDate,
}

// presidioCorpus reads the synthetic set of presidio-research (MIT, see testdata/presidio_LICENSE).
func presidioCorpus(t testing.TB) []labelled {
	t.Helper()
	f, err := os.Open("testdata/presidio_synth_v2.json.gz")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	var raw []struct {
		Text  string `json:"full_text"`
		Spans []struct {
			Type  string `json:"entity_type"`
			Start int    `json:"start_position"`
			End   int    `json:"end_position"`
		} `json:"spans"`
	}
	require.NoError(t, json.NewDecoder(z).Decode(&raw))
	require.Len(t, raw, 1500)
	var docs []labelled
	for _, r := range raw {
		d := labelled{text: r.Text}
		var at []int // byte offset of each code point
		for i := range r.Text {
			at = append(at, i)
		}
		at = append(at, len(r.Text))
		for _, s := range r.Spans {
			if k, ok := presidioKinds[s.Type]; ok {
				d.spans = append(d.spans, masking.Finding{Kind: k, Start: at[s.Start], End: at[s.End]})
			}
		}
		docs = append(docs, d)
	}
	return docs
}
