package privacy_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/privacytest"
)

var appendVectors = flag.Bool("append-vectors", false, "append a new generation to testdata/vectors.json; never needed unless a format gets a new version")

// A generation is everything one needs to read a database of that format: frozen, whatever the code does.
type generation struct {
	Format  int         `json:"format"`
	KEK     string      `json:"kek"` // Tink keyset, binary
	Keys    []storedHex `json:"keys"`
	Cells   []cellHex   `json:"cells"`
	Indexes []indexHex  `json:"indexes"`
	AADs    []aadHex    `json:"aads"`
}

type storedHex struct {
	Tenant, Subject, Purpose string
	Version                  int
	Wrapped                  string
}

type cellHex struct {
	Tenant, Field, Row, Subject, Value, Cell string
	Pad                                      int `json:",omitempty"` // declared when it was written
}

type indexHex struct {
	Tenant, Field, Norm, Region, Value, Index string
}

type aadHex struct {
	Kind, Tenant, Field, Row, Subject, Purpose string
	Version                                    int
	AAD                                        string
}

type plainKEK struct{ tink.AEAD }

func (k plainKEK) EncryptWithContext(_ context.Context, p, ad []byte) ([]byte, error) {
	return k.Encrypt(p, ad)
}

func (k plainKEK) DecryptWithContext(_ context.Context, c, ad []byte) ([]byte, error) {
	return k.Decrypt(c, ad)
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

func stackOf(t *testing.T, g generation) *privacy.Stack {
	t.Helper()
	h, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(strings.NewReader(string(unhex(t, g.KEK)))))
	require.NoError(t, err)
	a, err := aead.New(h)
	require.NoError(t, err)
	store := privacytest.NewMemory()
	for _, k := range g.Keys {
		require.NoError(t, store.Add(t.Context(), nil, []privacy.StoredKey{{
			KeyName: privacy.KeyName{Tenant: k.Tenant, Subject: k.Subject, Purpose: k.Purpose}, Version: k.Version, Wrapped: unhex(t, k.Wrapped),
		}}))
	}
	return privacy.NewStack(plainKEK{a}, store)
}

// What was ever stored can be read and found for ever.
func TestFrozenVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	if *appendVectors {
		writeGeneration(t, file)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var all []generation
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all)
	for _, g := range all {
		s := stackOf(t, g)
		require.NotEmpty(t, g.Cells)
		for _, c := range g.Cells {
			got, err := s.Open(t.Context(), c.Tenant, c.Field, c.Row, c.Subject, unhex(t, c.Cell))
			require.NoError(t, err)
			require.Equal(t, c.Value, string(got))
			if c.Pad > 0 {
				require.Zero(t, (len(c.Cell)/2-36)%c.Pad)
			}
			_, err = s.Open(t.Context(), c.Tenant, c.Field, c.Row+"0", c.Subject, unhex(t, c.Cell))
			require.ErrorIs(t, err, privacy.ErrUnreadable)
		}
		for _, x := range g.Indexes {
			got, err := s.Index(t.Context(), x.Tenant, x.Field, x.Norm, x.Region, x.Value)
			require.NoError(t, err)
			require.Equal(t, x.Index, hex.EncodeToString(got), "%s %s", x.Norm, x.Value)
		}
		for _, a := range g.AADs {
			got := privacy.CellAAD(a.Tenant, a.Field, a.Row, a.Subject)
			if a.Kind == "key" {
				got = privacy.KeyAAD(privacy.KeyName{Tenant: a.Tenant, Subject: a.Subject, Purpose: a.Purpose}, a.Version)
			}
			require.Equal(t, a.AAD, hex.EncodeToString(got))
		}
	}
}

// writeGeneration makes new vectors behind the old ones, which it leaves alone.
func writeGeneration(t *testing.T, file string) {
	t.Helper()
	var all []generation
	if text, err := os.ReadFile(file); err == nil {
		require.NoError(t, json.Unmarshal(text, &all))
	}
	h, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	require.NoError(t, err)
	var raw strings.Builder
	require.NoError(t, insecurecleartextkeyset.Write(h, keyset.NewBinaryWriter(&raw)))
	a, err := aead.New(h)
	require.NoError(t, err)
	store := privacytest.NewMemory()
	s := privacy.NewStack(plainKEK{a}, store)
	g := generation{Format: len(all) + 1, KEK: hex.EncodeToString([]byte(raw.String()))}
	for _, c := range []cellHex{
		{"main", "customer.phone", "1", "customer:1", "+55 (12) 3923-5555", "", 0},
		{"main", "customer.name", "1", "customer:1", "", "", 0},
		{"main", "invoice.billing_name", "98", "customer:1", "Luís Gonçalves", "", 0},
		{"租户", "customer.name", "a:b", "customer:a:b", "王小明", "", 0},
		{"main", "customer.note", "1", "customer:1", "", "", 32},
		{"main", "customer.note", "2", "customer:1", "王小明", "", 32},
		{"main", "customer.note", "3", "customer:1", "0123456789abcdef0123456789abcdef", "", 32},
	} {
		box, err := s.SealPadded(t.Context(), c.Tenant, c.Field, c.Row, c.Subject, c.Pad, []byte(c.Value))
		require.NoError(t, err)
		c.Cell = hex.EncodeToString(box)
		g.Cells = append(g.Cells, c)
		g.AADs = append(g.AADs, aadHex{"cell", c.Tenant, c.Field, c.Row, c.Subject, "", 0, hex.EncodeToString(privacy.CellAAD(c.Tenant, c.Field, c.Row, c.Subject))})
	}
	for _, n := range []privacy.KeyName{{Tenant: "main", Purpose: "data"}, {Tenant: "main", Purpose: "index"}, {Tenant: "main", Subject: "customer:1", Purpose: "data"}, {Tenant: "租户", Purpose: "data"}, {Tenant: "租户", Purpose: "index"}, {Tenant: "租户", Subject: "customer:a:b", Purpose: "data"}} {
		list, err := store.Load(t.Context(), nil, []privacy.KeyName{n}, false)
		require.NoError(t, err)
		require.Len(t, list, 1)
		g.Keys = append(g.Keys, storedHex{n.Tenant, n.Subject, n.Purpose, list[0].Version, hex.EncodeToString(list[0].Wrapped)})
		g.AADs = append(g.AADs, aadHex{"key", n.Tenant, "", "", n.Subject, n.Purpose, list[0].Version, hex.EncodeToString(privacy.KeyAAD(n, list[0].Version))})
	}
	for _, x := range []indexHex{
		{"main", "customer.phone", "phone", "CN", "+86 138 0013 8000", ""}, {"main", "customer.phone", "phone", "CN", "13800138000", ""},
		{"main", "customer.phone", "phone", "", "+55 (12) 3923-5555", ""}, {"main", "customer.email", "email", "", "LUISG@embraer.com.br", ""},
		{"main", "customer.name", "text", "", "ＬＵＩＳ Gonçalves", ""}, {"租户", "customer.name", "exact", "", "王小明", ""},
	} {
		idx, err := s.Index(t.Context(), x.Tenant, x.Field, x.Norm, x.Region, x.Value)
		require.NoError(t, err)
		x.Index = hex.EncodeToString(idx)
		g.Indexes = append(g.Indexes, x)
	}
	text, err := json.MarshalIndent(append(all, g), "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o644))
}

// No two lists of strings have one encoding.
func TestEncodingIsInjective(t *testing.T) {
	lists := [][]string{{}, {""}, {"", ""}, {"a"}, {"a", ""}, {"", "a"}, {"a", "b"}, {"ab"}, {"ab", ""}, {"a\x00b"}, {"\x00\x00\x00\x01a"}, {"a", "bc"}, {"ab", "c"}, {"a", "b", "c"}}
	seen := map[string]bool{}
	for _, l := range lists {
		e := string(privacy.Encode(l...))
		require.False(t, seen[e], "%q", l)
		seen[e] = true
	}
}
