package masking_test

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// models compute from a shown mask how many bits of the value it still hides from someone who knows how such
// values are made up. Their assumptions stand in HIDDEN_BITS.md.
var models = map[string]func(shown string) float64{
	"digits": func(s string) float64 { return stars(s) * math.Log2(10) },
	"digits/97": func(s string) float64 {
		return stars(s)*math.Log2(10) - math.Log2(97)
	},
	"resident": func(s string) float64 {
		regions := map[int]float64{6: 1, 3: 60, 1: 3200.0 / 7}[strings.IndexByte(s, '*')]
		sequences := 1.0
		if tail := len(s) - 1 - strings.LastIndexByte(s, '*'); tail < 4 {
			sequences = 1000
		}
		return math.Log2(regions * 80 * 365.25 * sequences / 11)
	},
	"card": func(s string) float64 {
		issuers := 5000.0
		if strings.IndexByte(s, '*') == 6 {
			issuers = 1
		}
		return math.Log2(issuers) + float64(len(s)-6-4-1)*math.Log2(10)
	},
	"han":   func(s string) float64 { return stars(s) * math.Log2(2500) },
	"plate": func(s string) float64 { return stars(s) * math.Log2(34) },
	"uscc":  func(s string) float64 { return (stars(s)-1)*math.Log2(31) - math.Log2(11) },
	"hex":   func(s string) float64 { return stars(s) * 4 },
	"ipv4":  func(s string) float64 { return stars(s) * 8 },
	"ipv6":  func(s string) float64 { return 128 - 16*float64(strings.Count(strings.TrimSuffix(s, ":*"), ":")+1) },
	"day":   func(s string) float64 { return math.Log2(365.25) * math.Min(1, stars(s)) },
	"geo": func(s string) float64 {
		return (4*stars(s) - float64(strings.Count(s, ".")) + float64(strings.Count(s, ".*"))) * math.Log2(10)
	},
	"city":     func(s string) float64 { return math.Log2(3_000_000) },
	"district": func(s string) float64 { return math.Log2(300_000) },
	"street":   func(s string) float64 { return math.Log2(60) },
	"account":  func(s string) float64 { return 7 * math.Log2(36) },
	"all":      func(s string) float64 { return math.Inf(1) },
}

func stars(s string) float64 { return float64(strings.Count(s, "*")) }

// The table is what we publish; this test computes every figure in it and fails where a mask or a figure
// has changed.
func TestHiddenBitsArePublishedAndRight(t *testing.T) {
	data, err := os.ReadFile("HIDDEN_BITS.md")
	require.NoError(t, err)
	seen := map[string]bool{}
	for line := range strings.SplitSeq(string(data), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 8 || strings.Contains(line, "---") || strings.Contains(line, "kind") {
			continue
		}
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		kind, profile, value, shown, model, bits := cells[1], cells[2], cells[3], cells[4], cells[5], cells[6]
		k, err := masking.ParseKind(kind)
		require.NoError(t, err)
		p, err := masking.ParseProfile(profile)
		require.NoError(t, err)
		assert.Equal(t, shown, masking.Policy{Profile: p}.Mask(t.Context(), k, value), line)
		require.Contains(t, models, model, line)
		assert.Equal(t, bits, figure(models[model](shown)), line)
		seen[kind+profile] = true
	}
	for _, k := range masking.Kinds() {
		if k != masking.KindText {
			assert.True(t, seen[string(k)+"screen"] && seen[string(k)+"log"], "no figures for %s", k)
		}
	}
	for _, extra := range []string{"phonewaybill", "addresswaybill", "cardpci", "idcompat"} {
		assert.True(t, seen[extra], extra)
	}
}

func figure(bits float64) string {
	if math.IsInf(bits, 1) {
		return "all"
	}
	return strconv.FormatFloat(bits, 'f', 1, 64)
}

// Log never hides less than Screen.
func TestLogHidesNoLessThanScreen(t *testing.T) {
	for _, k := range masking.Kinds() {
		if k == masking.KindText {
			continue
		}
		for _, row := range lines(t, fmt.Sprintf("testdata/%s.txt", k)) {
			value, _, _ := strings.Cut(row, "\t")
			screen := masking.Policy{}.Mask(t.Context(), k, value)
			log := masking.Policy{Profile: masking.Log}.Mask(t.Context(), k, value)
			assert.LessOrEqual(t, visible(log), visible(screen), "%s %q", k, value)
		}
	}
}
