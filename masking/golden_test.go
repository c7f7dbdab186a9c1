package masking_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// The tables testdata/<kind>.txt are for readers who do not program: input, level and what is shown, between
// tabs. A level may carry a profile: partial/log. CONFIDE_GOLDEN=write rewrites the third column, for review.
func TestGoldenTables(t *testing.T) {
	for _, k := range masking.Kinds() {
		t.Run(string(k), func(t *testing.T) {
			file := filepath.Join("testdata", string(k)+".txt")
			rows := lines(t, file)
			var rewritten strings.Builder
			rewritten.WriteString("# input\tlevel[/profile]\toutput\n")
			for _, row := range rows {
				cells := strings.Split(row, "\t")
				require.GreaterOrEqual(t, len(cells), 2, row)
				got := show(t, k, cells[1], cells[0])
				rewritten.WriteString(cells[0] + "\t" + cells[1] + "\t" + got + "\n")
				if os.Getenv("CONFIDE_GOLDEN") != "write" {
					require.Len(t, cells, 3, row)
					assert.Equal(t, cells[2], got, "%s at %s", cells[0], cells[1])
				}
			}
			if os.Getenv("CONFIDE_GOLDEN") == "write" {
				require.NoError(t, os.WriteFile(file, []byte(rewritten.String()), 0o644))
			}
		})
	}
}

func show(t *testing.T, k masking.Kind, level, value string) string {
	t.Helper()
	name, profile, has := strings.Cut(level, "/")
	l, err := masking.ParseLevel(name)
	require.NoError(t, err)
	p := masking.Policy{Level: func(context.Context) masking.Level { return l }}
	if has {
		p.Profile, err = masking.ParseProfile(profile)
		require.NoError(t, err)
	}
	return p.Mask(context.Background(), k, value)
}
