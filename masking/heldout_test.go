package masking_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// The files of testdata/heldout are forms and texts from outside this project. Every line belongs to one of
// two halves by its hash: "development", whose failures may be looked at, and "held-out", which is only
// measured. A document of one half is made from texts, forms and names of that half alone, so the other half
// says how the detector does on what nobody tuned it to.
const (
	development = uint32(0)
	heldOut     = uint32(1)
)

// heldOutSets returns the documents of one half by the kind of text they are.
func heldOutSets(t testing.TB, half uint32) map[string][]labelled {
	t.Helper()
	g := newMaker(t, half)
	sets := map[string][]labelled{}
	for _, class := range []string{"context", "bare"} {
		g.announced = class == "context"
		for _, template := range halfOf(t, class+".txt", half) {
			for range 12 {
				sets[class] = append(sets[class], g.fill(template))
			}
		}
	}
	for _, template := range halfOf(t, "negative.txt", half) {
		for range 3 {
			sets["negative"] = append(sets["negative"], g.fill(template))
		}
	}
	for _, line := range halfOf(t, "quoted.txt", half) {
		_, text, _ := strings.Cut(line, "\t")
		sets["quoted"] = append(sets["quoted"], parseMarked(t, breaks.Replace(text)))
	}
	return sets
}

var breaks = strings.NewReplacer(`\n`, "\n", `\t`, "\t")

// halfOf returns the lines of a file that fall into one half.
func halfOf(t testing.TB, file string, half uint32) []string {
	t.Helper()
	var kept []string
	for _, line := range lines(t, "testdata/heldout/"+file) {
		h := fnv.New32a()
		_, _ = h.Write([]byte(line))
		if h.Sum32()>>16&1 == half {
			kept = append(kept, line)
		}
	}
	require.NotEmpty(t, kept, file)
	return kept
}

// maker fills the placeholders of a text. The seed is fixed: every run measures the same documents.
type maker struct {
	t         testing.TB
	rnd       *rand.Rand
	announced bool                // the text says what the value is
	plain     map[string][]string // forms that need no word
	all       map[string][]string
	next      map[string]int
}

func newMaker(t testing.TB, half uint32) *maker {
	g := &maker{t: t, rnd: rand.New(rand.NewPCG(20, uint64(half))), plain: map[string][]string{}, all: map[string][]string{}, next: map[string]int{}}
	for _, line := range halfOf(t, "formats.txt", half) {
		f := strings.Split(line, "\t")
		require.Len(t, f, 3, line)
		g.all[f[0]] = append(g.all[f[0]], f[2])
		if f[1] == "-" {
			g.plain[f[0]] = append(g.plain[f[0]], f[2])
		}
	}
	for _, kind := range []string{"name", "address"} {
		for _, line := range halfOf(t, map[string]string{"name": "names.txt", "address": "addresses.txt"}[kind], half) {
			script, value, _ := strings.Cut(line, "\t")
			g.all[kind+script] = append(g.all[kind+script], value)
			g.plain[kind+script] = g.all[kind+script]
		}
	}
	return g
}

// fill replaces {kind} by a value of that kind and labels it.
func (g *maker) fill(template string) labelled {
	template = breaks.Replace(template)
	script := "latin"
	if strings.ContainsFunc(template, func(r rune) bool { return r >= 0x4E00 && r <= 0x9FFF }) {
		script = "han"
	}
	var d labelled
	for template != "" {
		open := strings.IndexByte(template, '{')
		if open < 0 {
			break
		}
		name, rest, closed := strings.Cut(template[open+1:], "}")
		kind, err := masking.ParseKind(name)
		if !closed || err != nil {
			d.text += g.digits(template[:open+1])
			template = template[open+1:]
			continue
		}
		d.text += g.digits(template[:open])
		if kind == masking.KindName || kind == masking.KindAddress {
			name += script
		}
		value := g.value(name)
		if kind == masking.KindName && len(d.text) > 20 && strings.HasPrefix(d.text, "INSERT") {
			script = "latin"
		}
		d.spans = append(d.spans, masking.Finding{Kind: kind, Start: len(d.text), End: len(d.text) + len(value)})
		d.text += value
		template = rest
	}
	d.text += g.digits(template)
	return d
}

// value takes the forms of a kind in turn, so that every one is seen.
func (g *maker) value(kind string) string {
	forms := g.all[kind]
	if !g.announced && len(g.plain[kind]) > 0 {
		forms = g.plain[kind]
	}
	require.NotEmpty(g.t, forms, kind)
	form := forms[g.next[kind]%len(forms)]
	g.next[kind]++
	switch {
	case strings.HasPrefix(form, "{cnid"):
		return g.resident(form)
	case kind == "card":
		return luhnFixed(g.digits(form))
	case kind == "iban":
		return ibanFixed(g.digits(form))
	}
	return g.digits(form)
}

// digits puts digits for # and %.
func (g *maker) digits(form string) string {
	b := []byte(form)
	for i, c := range b {
		switch c {
		case '#':
			b[i] = byte('0' + g.rnd.IntN(10))
		case '%':
			b[i] = byte('2' + g.rnd.IntN(8))
		}
	}
	return string(b)
}

func (g *maker) resident(form string) string {
	regions := []string{"110105", "310115", "440305", "330106", "510107", "999102"}
	s := regions[g.rnd.IntN(len(regions))] + fmt.Sprintf("%04d%02d%02d%03d", 1950+g.rnd.IntN(60), 1+g.rnd.IntN(12), 1+g.rnd.IntN(28), g.rnd.IntN(1000))
	sum := 0
	for i, weight := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(s[i]-'0') * weight
	}
	s += string("10X98765432"[sum%11])
	if form == "{cnid-spaced}" {
		s = s[:6] + " " + s[6:14] + " " + s[14:]
	}
	return s
}

// luhnFixed puts the Luhn digit for L.
func luhnFixed(form string) string {
	for d := range 10 {
		s := strings.Replace(form, "L", string(rune('0'+d)), 1)
		sum, double := 0, false
		for _, c := range slices.Backward([]byte(s)) {
			if c < '0' || c > '9' {
				continue
			}
			v := int(c - '0')
			if double {
				if v *= 2; v > 9 {
					v -= 9
				}
			}
			sum += v
			double = !double
		}
		if sum%10 == 0 {
			return s
		}
	}
	return form
}

// ibanFixed puts the two digits for kk that make the number valid.
func ibanFixed(form string) string {
	for k := 2; k < 99; k++ {
		s := strings.Replace(form, "kk", fmt.Sprintf("%02d", k), 1)
		compact := strings.NewReplacer(" ", "", "-", "").Replace(s)
		rest := 0
		for _, c := range compact[4:] + compact[:4] {
			if c >= 'A' {
				rest = (rest*100 + int(c-'A') + 10) % 97
			} else {
				rest = (rest*10 + int(c-'0')) % 97
			}
		}
		if rest == 1 {
			return s
		}
	}
	return form
}

// TestAccuracyHeldOut prints the boards of both halves.
func TestAccuracyHeldOut(t *testing.T) {
	for _, half := range []struct {
		name string
		id   uint32
	}{{"development", development}, {"held-out", heldOut}} {
		sets := heldOutSets(t, half.id)
		for _, class := range []string{"context", "bare", "negative", "quoted"} {
			t.Run(half.name+"/"+class, func(t *testing.T) {
				scores := measure(sets[class])
				t.Log(board(class, scores))
				for _, d := range sets[class] {
					require.True(t, utf8.ValidString(d.text))
				}
				if class == "context" || class == "bare" {
					holds(t, scores, class)
				}
			})
		}
	}
}

// holds keeps what has been reached. Names have no floor without a word that announces them.
func holds(t *testing.T, scores map[masking.Kind]*score, class string) {
	t.Helper()
	for k, s := range scores {
		recall := 0.95
		switch {
		case k == masking.KindName && class == "bare":
			recall = 0
		case k == masking.KindName:
			recall = 0.90
		case k == masking.KindAddress:
			recall = 0.85
		}
		assert.GreaterOrEqual(t, part(s.found, s.missed), recall, "recall of %s", k)
		assert.GreaterOrEqual(t, part(s.right, s.wrong), 0.98, "precision of %s", k)
	}
}
