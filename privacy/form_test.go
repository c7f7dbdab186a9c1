package privacy_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy"
)

// A formHex is one value and the bytes inside its cell, frozen.
type formHex struct {
	Type  string `json:"type"`
	JSON  string `json:"json"`  // what UnmarshalJSON reads
	Inner string `json:"inner"` // hex; empty: the JSON is refused
}

// sealedType makes an empty value of a type; what it holds is reached through the test exports.
func sealedType(t testing.TB, name string) any {
	t.Helper()
	all := map[string]any{"String": &privacy.String{}, "Value": &privacy.Value[any]{}, "Bytes": &privacy.Bytes{}, "Time": &privacy.Time{},
		"Date": &privacy.Date{}, "Int": &privacy.Int{}, "Decimal": &privacy.Decimal{}}
	require.Contains(t, all, name)
	return all[name]
}

func readForms(t testing.TB) []formHex {
	t.Helper()
	text, err := os.ReadFile("testdata/forms.json")
	require.NoError(t, err)
	var all []formHex
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all)
	return all
}

// What stands inside a cell is written the same way for ever.
func TestFrozenForms(t *testing.T) {
	seen := map[string]int{}
	for _, f := range readForms(t) {
		seen[f.Type]++
		err := json.Unmarshal([]byte(f.JSON), sealedType(t, f.Type))
		if f.Inner == "" {
			require.Error(t, err, "%s %s", f.Type, f.JSON)
			continue
		}
		inner := innerOf(t, f.Type, []byte(f.JSON))
		require.Equal(t, f.Inner, hex.EncodeToString(inner), "%s %s", f.Type, f.JSON)
		require.NoError(t, checkForm(t, f.Type, inner))
	}
	require.Len(t, seen, 7, "a type without vectors")
}

func innerOf(t testing.TB, name string, data []byte) []byte {
	t.Helper()
	v := sealedType(t, name)
	require.NoError(t, json.Unmarshal(data, v))
	b, err := privacy.InnerOf(v)
	require.NoError(t, err)
	return b
}

func checkForm(t testing.TB, name string, b []byte) error {
	t.Helper()
	return privacy.CheckForm(sealedType(t, name), b)
}

// Bytes that are no canonical encoding are no value.
func TestOnlyCanonicalFormsAreRead(t *testing.T) {
	for name, bad := range map[string][]string{
		"Date":    {"", "1987-5-14", "1987-02-29", "0000-01-01", "\x011987-05-14", "1987-05-14 "},
		"Int":     {"", "+1", "01", "-0", "1.0", "9223372036854775808", "١"},
		"Decimal": {"", "1.0", "01", "-0", "+1", ".5", "1e3", "1.50"},
		"Time":    {"", "1987-05-14", "1987-05-14T03:04:05", "1987-05-14T03:04:05.0Z", "1987-05-14T03:04:05,5Z", "1987-05-14T03:04:05+00:00", "1987-05-14T24:00:00Z", "0000-05-14T00:00:00Z"},
		"Bytes":   {"", "\x02x", "leak"},
		"Value":   {"", "{", "\"\xff"},
	} {
		for _, b := range bad {
			if name == "Value" && b == "\"\xff" {
				continue
			}
			err := checkForm(t, name, []byte(b))
			require.ErrorIs(t, err, privacy.ErrUnreadable, "%s %q", name, b)
			require.ErrorContains(t, err, "privacy."+name)
		}
	}
}

func fuzzForm(f *testing.F, name string) {
	n := 0
	for _, v := range readForms(f) {
		if v.Type == name && v.Inner != "" {
			b, err := hex.DecodeString(v.Inner)
			require.NoError(f, err)
			f.Add(b)
			n++
		}
		if v.Type == name {
			f.Add([]byte(v.JSON))
		}
	}
	require.Positive(f, n, "no seeds for %s", name)
	f.Fuzz(func(t *testing.T, data []byte) {
		err := checkForm(t, name, data)
		if err != nil {
			require.ErrorIs(t, err, privacy.ErrUnreadable)
		}
		// As JSON: what is read has the canonical form, and reading changes nothing after an error.
		v := sealedType(t, name)
		if err := v.(json.Unmarshaler).UnmarshalJSON(data); err != nil {
			if len(data) > 6 {
				require.NotContains(t, err.Error(), string(data))
			}
			require.True(t, v.(interface{ IsZero() bool }).IsZero())
			return
		}
		if v.(interface{ IsNull() bool }).IsNull() {
			return
		}
		inner, err := privacy.InnerOf(v)
		if err == nil {
			require.NoError(t, checkForm(t, name, inner))
		}
	})
}

func FuzzString(f *testing.F)  { fuzzForm(f, "String") }
func FuzzValue(f *testing.F)   { fuzzForm(f, "Value") }
func FuzzBytes(f *testing.F)   { fuzzForm(f, "Bytes") }
func FuzzTime(f *testing.F)    { fuzzForm(f, "Time") }
func FuzzDate(f *testing.F)    { fuzzForm(f, "Date") }
func FuzzInt(f *testing.F)     { fuzzForm(f, "Int") }
func FuzzDecimal(f *testing.F) { fuzzForm(f, "Decimal") }

// Padding is taken off again, whatever the value ends with, and nothing else passes for it.
func FuzzPadding(f *testing.F) {
	for _, s := range []string{"", "\x80", "\x00", "\x80\x00\x00", "0123456789abcdef"} {
		f.Add([]byte(s), 16)
	}
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n >= 8 && n <= 4096 {
			padded := privacy.Pad(b, n)
			require.Zero(t, len(padded)%n)
			require.Greater(t, len(padded), len(b))
			require.LessOrEqual(t, len(padded), len(b)+n)
			back, err := privacy.Unpad(padded)
			require.NoError(t, err)
			require.True(t, bytes.Equal(b, back))
		}
		if back, err := privacy.Unpad(b); err == nil {
			require.True(t, bytes.HasPrefix(b, back))
			require.EqualValues(t, 0x80, b[len(back)])
			require.Empty(t, bytes.Trim(b[len(back)+1:], "\x00"))
		}
	})
}
