package privacy_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy"
)

// Each line of testdata/normalise.txt is: normaliser, region, expected, and the spellings that find each
// other, separated by tabs.
func TestNormalisers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("testdata", "normalise.txt"))
	require.NoError(t, err)
	n := 0
	for line := range strings.SplitSeq(string(text), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cols := strings.Split(line, "\t")
		require.Greater(t, len(cols), 3, line)
		for _, spelling := range cols[3:] {
			got, err := privacy.Normalise(cols[0], cols[1], spelling)
			require.NoError(t, err)
			require.Equal(t, cols[2], got, "%s %s %q", cols[0], cols[1], spelling)
			if !strings.HasPrefix(got, "text:") {
				require.Contains(t, privacy.Candidates(cols[0], cols[1], got), got, "a normal form does not find itself")
			}
			n++
		}
	}
	require.Greater(t, n, 50)
	_, err = privacy.Normalise("soundex", "", "x")
	require.ErrorContains(t, err, "write exact, text, email, phone, name, digits or idcard")
}

// Every telephone number of the Chinook customers is found by its bare digits, wherever the app is.
func TestChinookPhonesAreFoundByTheirDigits(t *testing.T) {
	f, err := os.Open(filepath.Join("testdata", "phones.csv"))
	require.NoError(t, err)
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 58)
	for _, row := range rows {
		digits := strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return r
			}
			return -1
		}, row[0])
		for _, region := range []string{"", "CN", "BR", "DE", "US"} {
			want, err := privacy.Normalise("phone", region, row[0])
			require.NoError(t, err)
			require.Contains(t, privacy.Candidates("phone", region, digits), want, "%s in region %q", row[0], region)
		}
	}
}
