package spill_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit/internal/spill"
)

var freeze = flag.Bool("freeze", false, "append vectors that testdata/vectors.json does not have")

type vector struct {
	Name  string `json:"name"`
	Bytes string `json:"bytes"` // hexadecimal
}

func TestVectors(t *testing.T) {
	const path = "testdata/vectors.json"
	session := [16]byte([]byte("0123456789abcdef"))
	current := []vector{
		{"segment 3, key 32 times 07, session 0123456789abcdef, records \"one\" and \"two\"", hex.EncodeToString(spill.SegmentBytes(key, session, 3, "one", "two"))},
		{"ledger slot of turn 5 with \"ledger\"", hex.EncodeToString(spill.SlotBytes(key, session, 5, "ledger"))},
	}
	var frozen []vector
	if data, err := os.ReadFile(path); err == nil {
		require.NoError(t, json.Unmarshal(data, &frozen))
	}
	if *freeze && len(frozen) < len(current) {
		data, err := json.MarshalIndent(append(frozen, current[len(frozen):]...), "", "  ")
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, append(data, '\n'), 0o644))
		return
	}
	require.Equal(t, frozen, current, "the format changed: what an older release spilled would be lost")
}
