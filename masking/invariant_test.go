package masking_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/masking/internal/fold"
	"github.com/confide-go/confide/masking/internal/grapheme"
)

// mostVisible is how many letters and digits of a value its mask may show at Partial under any profile.
// Combining marks do not count; they stay with their letter.
var mostVisible = map[masking.Kind]int{
	masking.KindPhone: 5 + 7, masking.KindEmail: 1 + 255, masking.KindName: 16, masking.KindID: 10, masking.KindCard: 10,
	masking.KindAddress: 80, masking.KindPlate: 4, masking.KindPassport: 5, masking.KindPermit: 5,
	masking.KindMilitary: 8 + 5, masking.KindUSCC: 10, masking.KindIP: 12, masking.KindMAC: 6, masking.KindIBAN: 8,
	masking.KindSSN: 4, masking.KindBirthDate: 4, masking.KindGeo: 12, masking.KindSecret: 0, masking.KindChat: 2,
}

var profiles = []masking.Profile{masking.Screen, masking.Log, masking.Waybill, masking.PCI, masking.Compat, 77}

// requireInvariant holds one value of one kind against DESIGN's rule for masks.
func requireInvariant(t testing.TB, k masking.Kind, s string) {
	t.Helper()
	for _, l := range []masking.Level{masking.Hidden, masking.Token, 99} {
		require.Equal(t, "******", masking.Mask(k, l, s), "%s at %v", k, l)
	}
	full := masking.Mask(k, masking.Full, s)
	require.True(t, utf8.ValidString(full))
	if utf8.ValidString(s) {
		require.Equal(t, s, full)
	}
	for _, profile := range profiles {
		p := masking.Policy{Profile: profile}
		masked := p.Mask(t.Context(), k, s)
		require.True(t, utf8.ValidString(masked), "%s %q", k, masked)
		if k == masking.KindText {
			continue
		}
		require.LessOrEqual(t, visible(masked), mostVisible[k], "%s %v: %q shows too much of %q", k, profile, masked, s)
		require.Equal(t, masked, p.Mask(t.Context(), k, masked), "%s %v: masking twice differs for %q", k, profile, s)
		requireWholeClusters(t, s, masked)
		requireBalanced(t, masked)
	}
}

func visible(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsSymbol(r) && r > unicode.MaxASCII {
			n++
		}
	}
	return n
}

// requireWholeClusters: what is shown of an emoji or an accented letter is all of it.
func requireWholeClusters(t testing.TB, s, masked string) {
	t.Helper()
	have := map[string]bool{}
	for rest := visibleOnly(s); rest != ""; {
		size, _ := grapheme.Next(rest)
		have[rest[:size]] = true
		rest = rest[size:]
	}
	for rest := masked; rest != ""; {
		size, first := grapheme.Next(rest)
		if cluster := rest[:size]; first >= utf8.RuneSelf && size > utf8.RuneLen(first) {
			require.True(t, have[cluster], "%q of %q is torn from %q", cluster, masked, s)
		}
		rest = rest[size:]
	}
}

func visibleOnly(s string) string {
	return strings.Map(func(r rune) rune {
		if fold.Invisible(r) && r != 0x200D && (r < 0xFE00 || r > 0xFE0F) {
			return -1
		}
		return r
	}, s)
}

func requireBalanced(t testing.TB, s string) {
	t.Helper()
	for _, r := range s {
		opens, closes := fold.Bidi(r)
		require.False(t, opens || closes, "a direction control is left in %q", s)
	}
}

func TestInvariantOnAwkwardValues(t *testing.T) {
	awkward := []string{
		"", " ", "*", "******", "\x00", "\xff\xfe", "a\xffb", "\u202e13800138000", "13800138000\u202c", "👨‍👩‍👧", "🇨🇳🇨🇳", "e\u0301e\u0301",
		"é", "नमस्ते", "각각", "กำ", "مرحبا", "１３８００１３８０００", "一二三", strings.Repeat("1", 500), strings.Repeat("a\u0301", 300), strings.Repeat("张", 100),
		"A\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309\u030a\u030b\u030c", "张\ufe0f三", "@", "a@b.c", "@@", "::", "1.1.1.1", "-", "+", "+86", "()", ".....",
	}
	for _, k := range masking.Kinds() {
		for _, s := range awkward {
			requireInvariant(t, k, s)
		}
	}
}

func TestNameKeepsClustersWhole(t *testing.T) {
	assert.Equal(t, "e\u0301****", masking.Name("e\u0301dith"))
	assert.Equal(t, "***", masking.Name("👨‍👩‍👧三三"))
}
