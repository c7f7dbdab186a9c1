package rbactest

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"html"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// A needle is a value in one disguise, and the view of a text in which it would be seen.
type needle struct{ form, view, text string }

// needles returns every disguise of a value. Base64 is looked for at the three places where it may begin
// in a longer text; hashes of a value without a key are the value to whoever can try all telephone numbers.
func needles(value string) []needle {
	low := strings.ToLower(value)
	n := []needle{{"plain", "plain", value}, {"folded", "folded", low}, {"reversed", "folded", reverse(low)}}
	if bare := squeeze(low); len(bare) >= 6 {
		n = append(n, needle{"without separators", "squeezed", bare}, needle{"reversed without separators", "squeezed", reverse(bare)})
	}
	if d := digits(value); len(d) >= 7 {
		n = append(n, needle{"digits", "digits", d}, needle{"digits reversed", "digits", reverse(d)})
	}
	for _, text := range slices.Compact([]string{value, low, digits(value), reverse(value)}) {
		if len(text) < 6 {
			continue
		}
		n = append(n, needle{"hex", "folded", hex.EncodeToString([]byte(text))})
		for shift := range 3 {
			if code := innerBase64(text, shift); len(code) >= 6 {
				n = append(n, needle{"base64", "base64", code})
			}
		}
		sha, old, md := sha256.Sum256([]byte(text)), sha1.Sum([]byte(text)), md5.Sum([]byte(text))
		for _, sum := range [][]byte{sha[:], old[:], md[:]} {
			n = append(n, needle{"hash without a key", "folded", hex.EncodeToString(sum)},
				needle{"hash without a key", "base64", strings.TrimRight(base64.RawStdEncoding.EncodeToString(sum), "=")})
		}
	}
	return append(n, needle{"UTF-16", "plain", wide(value, false)}, needle{"UTF-16", "plain", wide(value, true)})
}

// innerBase64 is the part of the base64 of a text that stays the same whatever stands around it.
func innerBase64(text string, shift int) string {
	code := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), text...))
	from, to := (shift*8+5)/6, (shift+len(text))*8/6
	return code[from:to]
}

func wide(s string, big bool) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return string(b)
}

// head is how much of a needle the finder looks up at once.
const head = 6

// finder looks for all disguises of all canaries in one pass over a text, and remembers what it found:
// most answers and headers come again.
type finder struct {
	needles map[string]map[[head]byte][]owned
	likely  map[string]*[1 << 16]bool // of the first four bytes of a needle: most of a text is passed over by it
	short   []owned
	seen    map[string][]hit
}

// owned is a needle of a canary; hit is a canary that was found.
type (
	owned struct {
		needle
		row   int
		field string
	}
	hit struct {
		row         int
		field, form string
	}
)

func newFinder(rows []Row) *finder {
	f := &finder{needles: map[string]map[[head]byte][]owned{}, likely: map[string]*[1 << 16]bool{}, seen: map[string][]hit{}}
	for i, row := range rows {
		for field, value := range row.Values {
			for _, n := range needles(value) {
				o := owned{n, i, field}
				if len(n.text) < head {
					f.short = append(f.short, o)
					continue
				}
				if f.needles[n.view] == nil {
					f.needles[n.view], f.likely[n.view] = map[[head]byte][]owned{}, new([1 << 16]bool)
				}
				f.likely[n.view][mix(n.text)] = true
				key := [head]byte([]byte(n.text[:head]))
				f.needles[n.view][key] = append(f.needles[n.view][key], o)
			}
		}
	}
	return f
}

// mix makes a number of the first four bytes of a text.
func mix(s string) uint16 {
	n := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
	return uint16(n * 2654435761 >> 16)
}

// find returns the canaries in a text, each with the plainest of its disguises there.
func (f *finder) find(text string) []hit {
	if hits, known := f.seen[text]; known || text == "" {
		return hits
	}
	var hits []hit
	add := func(o owned) {
		if !slices.ContainsFunc(hits, func(h hit) bool { return h.row == o.row && h.field == o.field }) {
			hits = append(hits, hit{o.row, o.field, o.form})
		}
	}
	read := views(text)
	for _, view := range []string{"plain", "folded", "squeezed", "digits", "base64"} {
		in, wanted, likely := read[view], f.needles[view], f.likely[view]
		if likely == nil {
			continue
		}
		for i := 0; i+head <= len(in); i++ {
			if !likely[mix(in[i:])] {
				continue
			}
			for _, o := range wanted[[head]byte([]byte(in[i:i+head]))] {
				if strings.HasPrefix(in[i:], o.text) {
					add(o)
				}
			}
		}
	}
	for _, o := range f.short {
		if o.text != "" && strings.Contains(read[o.view], o.text) {
			add(o)
		}
	}
	f.seen[text] = hits
	return hits
}

// views are the ways in which a text is read. Each layer of escaping is taken off, twice.
func views(text string) map[string]string {
	layers := []string{text}
	layers = append(layers, unpack(text)...)
	for from := 0; from < len(layers) && len(layers) < 24; from++ {
		for _, open := range []func(string) string{html.UnescapeString, unquoteURL, unquoteJSON, withoutTags} {
			if next := open(layers[from]); !slices.Contains(layers, next) {
				layers = append(layers, next)
			}
		}
	}
	plain := strings.Join(layers, "\x00")
	folded := strings.ToLower(plain)
	var number strings.Builder
	for _, layer := range layers {
		number.WriteString(digits(layer) + " ")
	}
	return map[string]string{
		"plain": plain, "folded": folded, "squeezed": squeeze(folded), "digits": number.String(),
		"base64": strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "").Replace(plain),
	}
}

// unpack opens what a browser or a spreadsheet would.
func unpack(text string) []string {
	const most = 8 << 20
	var out []string
	if r, err := gzip.NewReader(strings.NewReader(text)); err == nil {
		if b, err := io.ReadAll(io.LimitReader(r, most)); err == nil {
			out = append(out, string(b))
		}
	}
	if z, err := zip.NewReader(bytes.NewReader([]byte(text)), int64(len(text))); err == nil {
		for _, f := range z.File {
			out = append(out, f.Name)
			if r, err := f.Open(); err == nil {
				b, _ := io.ReadAll(io.LimitReader(r, most))
				out = append(out, string(b))
				r.Close()
			}
		}
	}
	return out
}

var (
	percents = regexp.MustCompile(`(?:%[0-9A-Fa-f]{2})+`)
	escapes  = regexp.MustCompile(`(?:\\u[0-9A-Fa-f]{4})+`)
	tags     = regexp.MustCompile(`<[/!A-Za-z][^>]*>`)
)

func unquoteURL(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	return percents.ReplaceAllStringFunc(strings.ReplaceAll(s, "+", " "), func(m string) string {
		if plain, err := url.PathUnescape(m); err == nil {
			return plain
		}
		return m
	})
}

func unquoteJSON(s string) string {
	if !strings.ContainsAny(s, "\\\"") {
		return s
	}
	s = escapes.ReplaceAllStringFunc(s, func(m string) string {
		if plain, err := strconv.Unquote(`"` + m + `"`); err == nil {
			return plain
		}
		return m
	})
	return strings.NewReplacer(`\"`, `"`, `\/`, `/`, `\\`, `\`, `""`, `"`).Replace(s)
}

func withoutTags(s string) string {
	if !strings.Contains(s, "<") {
		return s
	}
	return tags.ReplaceAllString(s, "")
}

// quoteJSON escapes a value for the inside of a JSON string.
func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return ""
	}
	return string(b[1 : len(b)-1])
}

func digits(s string) string { return only(s, func(r rune) bool { return r >= '0' && r <= '9' }) }

// squeeze leaves letters and digits.
func squeeze(s string) string {
	return only(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == 0 })
}

func only(s string, keep func(rune) bool) string {
	return strings.Map(func(r rune) rune {
		if keep(r) {
			return r
		}
		return -1
	}, s)
}

func reverse(s string) string {
	r := []rune(s)
	slices.Reverse(r)
	return string(r)
}
