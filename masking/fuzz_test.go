package masking_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/masking/internal/detect"
)

// seed adds the inputs of a golden table, and fails where there are none.
func seed(f *testing.F, k masking.Kind) {
	f.Helper()
	for _, row := range lines(f, filepath.Join("testdata", string(k)+".txt")) {
		value, _, _ := strings.Cut(row, "\t")
		f.Add(value)
	}
}

// seedTexts adds the texts of the corpus, and fails where there are none.
func seedTexts(f *testing.F, add func(text string)) {
	f.Helper()
	for i, d := range ownCorpus(f) {
		if i%3 == 0 {
			add(d.text)
		}
	}
}

func fuzzKind(f *testing.F, k masking.Kind) {
	seed(f, k)
	f.Fuzz(func(t *testing.T, s string) { requireInvariant(t, k, s) })
}

func FuzzPhone(f *testing.F)     { fuzzKind(f, masking.KindPhone) }
func FuzzEmail(f *testing.F)     { fuzzKind(f, masking.KindEmail) }
func FuzzName(f *testing.F)      { fuzzKind(f, masking.KindName) }
func FuzzID(f *testing.F)        { fuzzKind(f, masking.KindID) }
func FuzzCard(f *testing.F)      { fuzzKind(f, masking.KindCard) }
func FuzzAddress(f *testing.F)   { fuzzKind(f, masking.KindAddress) }
func FuzzPlate(f *testing.F)     { fuzzKind(f, masking.KindPlate) }
func FuzzPassport(f *testing.F)  { fuzzKind(f, masking.KindPassport) }
func FuzzPermit(f *testing.F)    { fuzzKind(f, masking.KindPermit) }
func FuzzMilitary(f *testing.F)  { fuzzKind(f, masking.KindMilitary) }
func FuzzUSCC(f *testing.F)      { fuzzKind(f, masking.KindUSCC) }
func FuzzIP(f *testing.F)        { fuzzKind(f, masking.KindIP) }
func FuzzMAC(f *testing.F)       { fuzzKind(f, masking.KindMAC) }
func FuzzIBAN(f *testing.F)      { fuzzKind(f, masking.KindIBAN) }
func FuzzSSN(f *testing.F)       { fuzzKind(f, masking.KindSSN) }
func FuzzBirthDate(f *testing.F) { fuzzKind(f, masking.KindBirthDate) }
func FuzzGeo(f *testing.F)       { fuzzKind(f, masking.KindGeo) }
func FuzzSecret(f *testing.F)    { fuzzKind(f, masking.KindSecret) }
func FuzzChat(f *testing.F)      { fuzzKind(f, masking.KindChat) }

// FuzzText: finds are in order, do not overlap, lie on character boundaries; the text between them is left
// as it is and what they hold is gone.
func FuzzText(f *testing.F) {
	seedTexts(f, func(s string) { f.Add(s) })
	f.Fuzz(func(t *testing.T, s string) {
		finds := masking.Find(s)
		require.Equal(t, len(finds) == 0, detect.Clean(s), "Find and Clean differ")
		masked := masking.Text(s)
		require.True(t, utf8.ValidString(masked))
		at, rest := 0, masked
		for _, find := range finds {
			require.LessOrEqual(t, at, find.Start)
			require.Less(t, find.Start, find.End)
			require.LessOrEqual(t, find.End, len(s))
			between := valid(s[at:find.Start])
			require.True(t, strings.HasPrefix(rest, between), "text before %v changed", find)
			rest = rest[len(between):]
			shown := masking.Mask(find.Kind, masking.Partial, s[find.Start:find.End])
			require.True(t, strings.HasPrefix(rest, shown), "%v is shown otherwise", find)
			rest = rest[len(shown):]
			for rest != "" && strings.HasPrefix(rest, "\u202a") || strings.HasPrefix(rest, "\u202b") || strings.HasPrefix(rest, "\u202c") ||
				strings.HasPrefix(rest, "\u202d") || strings.HasPrefix(rest, "\u202e") || strings.HasPrefix(rest, "\u2066") ||
				strings.HasPrefix(rest, "\u2067") || strings.HasPrefix(rest, "\u2068") || strings.HasPrefix(rest, "\u2069") {
				if next := valid(s[find.End:]); strings.HasPrefix(next, rest[:3]) && len(next) == len(rest) {
					break
				}
				rest = rest[3:]
			}
			at = find.End
		}
	})
}

func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return masking.Mask(masking.KindText, masking.Full, s)
}

// FuzzStream cuts the text at a place and gives it to writers of several chunk sizes: the output is that of
// the text in one piece.
func FuzzStream(f *testing.F) {
	seedTexts(f, func(s string) { f.Add(s, uint16(7), uint16(3)) })
	f.Fuzz(func(t *testing.T, s string, pad, cut uint16) {
		s = strings.Repeat("无事发生，", int(pad)%90) + s + strings.Repeat("x", int(pad)%700)
		want := masking.Policy{}.Text(context.Background(), s)
		at := int(cut) % (len(s) + 1)
		for _, size := range []int{67, 1024} {
			require.Equal(t, want, written(t, size, s[:at], s[at:]), "cut at %d, chunks of %d", at, size)
		}
		read, err := io.ReadAll(masking.Policy{}.NewReader(context.Background(), iotest.HalfReader(strings.NewReader(s))))
		require.NoError(t, err)
		require.Equal(t, want, string(read))
	})
}

// FuzzJSON: valid in, valid out; invalid in, nothing out; the shape stays.
func FuzzJSON(f *testing.F) {
	seedTexts(f, func(s string) {
		data, err := json.Marshal(map[string]any{"note": s, "list": []any{s, 1, nil}, "phone": s, s: true})
		require.NoError(f, err)
		f.Add(data)
	})
	for _, s := range []string{`{`, `[1,2,]`, `"\ud800"`, `{"a":01}`, `{"password":{"a":[1,true,null]}}`, "\"\xff\"", `{"phone":13800138000}`, `nul`, `1e999`, `""x`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		var p masking.Policy
		out, err := p.JSON(context.Background(), nil, src)
		require.Equal(t, json.Valid(src), err == nil, "%v", err)
		if err != nil {
			require.Nil(t, out)
			require.ErrorIs(t, err, masking.ErrSyntax)
			return
		}
		require.True(t, json.Valid(out), "%s", out)
		require.True(t, utf8.Valid(out))
		require.Equal(t, shape(t, src), shape(t, out))
	})
}

// shape is the order of brackets and the number of values.
func shape(t testing.TB, data []byte) string {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var b strings.Builder
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			return b.String()
		}
		require.NoError(t, err)
		if d, ok := tok.(json.Delim); ok {
			b.WriteRune(rune(d))
		} else {
			b.WriteByte('v')
		}
	}
}

type fuzzed struct {
	Phone string `mask:"phone"`
	Name  *string
	Bytes []byte         `mask:"email"`
	List  []string       `mask:"card"`
	Map   map[string]any `json:"map"`
	Inner struct {
		ID string `mask:"id"`
	}
	Opaque int
}

// FuzzStruct: the copy shows what the scalar functions show, and the original is as it was.
func FuzzStruct(f *testing.F) {
	seedTexts(f, func(s string) { f.Add(s) })
	plan, err := masking.NewPlan[fuzzed](masking.Policy{})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, s string) {
		make := func() fuzzed {
			name := s
			v := fuzzed{Phone: s, Name: &name, Bytes: []byte(s), List: []string{s, s}, Map: map[string]any{"phone": s, "other": s}, Opaque: 7}
			v.Inner.ID = s
			return v
		}
		v := make()
		c, err := plan.Copy(context.Background(), v)
		require.NoError(t, err)
		require.Equal(t, make(), v, "the original changed")
		require.Equal(t, masking.Phone(s), c.Phone)
		require.Equal(t, masking.Text(s), *c.Name)
		require.Equal(t, masking.Email(s), string(c.Bytes))
		require.Equal(t, masking.Card(s), c.List[1])
		require.Equal(t, masking.Phone(s), c.Map["phone"])
		require.Equal(t, masking.ID(s), c.Inner.ID)
		require.Equal(t, 7, c.Opaque)
	})
}

// FuzzSlog plants a telephone number and a password in every part of a record and looks for them behind the
// handler.
func FuzzSlog(f *testing.F) {
	seedTexts(f, func(s string) { f.Add(s) })
	const phone, password = "19990001237", "Zq8!fuzz-planted"
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, phone) || strings.Contains(s, password) {
			return
		}
		for _, format := range []func(io.Writer) slog.Handler{
			func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
			func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		} {
			var out bytes.Buffer
			log := slog.New(masking.NewHandler(format(&out), masking.HandlerConfig{}))
			log.With("password", password+s).WithGroup("token").With("x", password+s).Info("tel "+phone+" ok",
				"phone", s+phone, slog.Group("password", "deep", password+s), "any", map[string]any{"secret": password + s, "note": "tel " + phone})
			log.Info(s, s, s)
			require.NotContains(t, out.String(), phone)
			require.NotContains(t, out.String(), password)
		}
	})
}
