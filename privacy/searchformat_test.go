package privacy_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

var appendSearch = flag.Bool("append-search-vectors", false, "write testdata/search_vectors.json where there is none; never needed again")

// partHex is a frozen cell of an index of a part or bucket, or of a search token (Match is "token"). They are made
// with the keys of the first generation of vectors.json. Of a compound index Field, Norm and Value are the parts
// with + between them.
type partHex struct {
	Tenant, Field, Norm, Match string
	Bits                       int
	Region, Value, Cell        string
}

// What was ever searched for is found for ever.
func TestFrozenSearchVectors(t *testing.T) {
	const file = "testdata/search_vectors.json"
	text, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var all []generation
	require.NoError(t, json.Unmarshal(text, &all))
	s := stackOf(t, all[0])
	compute := func(p partHex) string {
		var x privacy.Index
		var err error
		switch p.Match {
		case "token":
			x, err = s.Token(t.Context(), p.Tenant, p.Field, p.Value)
		case "compound":
			x, err = s.Compound(t.Context(), p.Tenant, p.Field, p.Norm, p.Region, p.Value, p.Bits)
		default:
			x, err = s.Part(t.Context(), p.Tenant, p.Field, p.Norm, p.Match, p.Region, p.Value, p.Bits)
		}
		require.NoError(t, err)
		return hex.EncodeToString(x)
	}
	if *appendSearch {
		list := []partHex{
			{"main", "customer.phone", "phone", "last4", 0, "CN", "+86 138 0013 8000", ""},
			{"main", "customer.phone", "phone", "last4", 0, "CN", "12", ""},
			{"main", "customer.phone", "phone", "prefix5", 0, "CN", "13800138000", ""},
			{"main", "customer.email", "email", "domain", 0, "", "LUISG@Embraer.com.br", ""},
			{"main", "customer.name", "text", "first", 0, "", "王小明", ""},
			{"main", "customer.name", "exact", "", 12, "", "王小明", ""},
			{"main", "customer.name", "exact", "", 16, "", "王小明", ""},
			{"main", "customer.phone", "phone", "last4", 3, "CN", "13800138000", ""},
			{"租户", "customer.name", "", "token", 0, "", "王", ""},
			{"租户", "customer.name", "", "token", 0, "", "wxm", ""},
		}
		for i := range list {
			list[i].Cell = compute(list[i])
		}
		out, err := json.MarshalIndent(list, "", "  ")
		require.NoError(t, err)
		require.NoFileExists(t, file)
		require.NoError(t, os.WriteFile(file, append(out, '\n'), 0o644))
	}
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	var list []partHex
	require.NoError(t, json.Unmarshal(text, &list))
	require.GreaterOrEqual(t, len(list), 14)
	for _, p := range list {
		require.Equal(t, p.Cell, compute(p), "%s %s %d", p.Field, p.Match, p.Bits)
	}
}

// The same text in two kinds of index, two fields or two tenants has nothing in common.
func TestEveryKindOfIndexIsADomainOfItsOwn(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var all []generation
	require.NoError(t, json.Unmarshal(text, &all))
	s := stackOf(t, all[0])
	seen := map[string]string{}
	note := func(x privacy.Index, err error, what string) {
		t.Helper()
		require.NoError(t, err)
		key := string(x[1:9])
		if x[0] != 0xC1 {
			key = string(x[2:10])
		}
		require.Empty(t, seen[key], "%s is like %s", what, seen[key])
		seen[key] = what
	}
	// Every one of them has the normal form 8000 or +8000.
	for _, value := range []string{"8000", "+8000"} {
		for _, field := range []string{"customer.phone", "customer.fax"} {
			for _, norm := range []string{"exact", "text"} {
				x, err := s.Index(t.Context(), "main", field, norm, "", value)
				note(x, err, "whole "+norm+field+value)
				for _, match := range []string{"last4", "prefix4", "first", "last5"} {
					if value == "+8000" && match != "last5" {
						continue
					}
					x, err := s.Part(t.Context(), "main", field, norm, match, "", "8000", 0)
					if match == "last5" {
						x, err = s.Part(t.Context(), "main", field, norm, match, "", "+8000", 0)
						if value == "8000" {
							continue
						}
					}
					note(x, err, match+norm+field+value)
				}
				for _, bits := range []int{64, 63} {
					x, err := s.Part(t.Context(), "main", field, norm, "", "", value, bits)
					note(x, err, "bits "+norm+field+value)
				}
			}
			x, err := s.Token(t.Context(), "main", field, value)
			note(x, err, "token "+field+value)
		}
	}
}

// A compound index of the values ab and c is not one of a and bc, of other fields or another order, nor any
// index of one of them.
func TestCompoundIndexesAreADomainOfTheirOwn(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var all []generation
	require.NoError(t, json.Unmarshal(text, &all))
	s := stackOf(t, all[0])
	seen := map[string]string{}
	for _, c := range []struct {
		tenant, field, norm, value string
		bits                       int
	}{
		{"main", "c.a+c.b", "exact+exact", "ab+c", 0}, {"main", "c.a+c.b", "exact+exact", "a+bc", 0}, {"main", "c.b+c.a", "exact+exact", "ab+c", 0},
		{"main", "c.a+c.b", "text+exact", "ab+c", 0}, {"租户", "c.a+c.b", "exact+exact", "ab+c", 0}, {"main", "c.a+c.b", "exact+exact", "ab+c", 64},
		{"main", "c.a+c.b+c.c", "exact+exact+exact", "ab+c+", 0}, {"main", "c.a+c.b+c.c", "exact+exact+exact", "ab++c", 0},
	} {
		x, err := s.Compound(t.Context(), c.tenant, c.field, c.norm, "", c.value, c.bits)
		require.NoError(t, err)
		what := fmt.Sprint(c)
		for _, other := range []func() (privacy.Index, error){
			func() (privacy.Index, error) { return s.Index(t.Context(), "main", "c.a", "exact", "", "ab") },
			func() (privacy.Index, error) {
				return s.Part(t.Context(), "main", "c.a", "exact", "last2", "", "ab", 0)
			},
		} {
			o, err := other()
			require.NoError(t, err)
			require.NotEqual(t, o[1:9], x[len(x)-8:])
			require.NotEqual(t, o[1:9], x[1:9])
		}
		key := string(x[len(x)-8:])
		if x[0] == 0xC1 {
			key = string(x[1:9])
		}
		require.Empty(t, seen[key], what)
		seen[key] = what
	}
}

// The input of the key, byte for byte as FORMAT.md says.
func TestCompoundIndexInput(t *testing.T) {
	want := "\x01"
	for _, part := range []string{"confide.index.compound", "main", "0", "c.a", "name/1", "王小明", "c.b", "exact/1", "1990-02-01"} {
		want += string([]byte{0, 0, 0, byte(len(part))}) + part
	}
	require.Equal(t, want, string(privacy.CompoundInput("main", "c.a+c.b", "name+exact", "", "王 小明+1990-02-01", 0)))
}

func TestBucketCellsHoldNoMoreThanTheirBits(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	require.NoError(t, err)
	var all []generation
	require.NoError(t, json.Unmarshal(text, &all))
	s := stackOf(t, all[0])
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.IntRange(1, 64).Draw(t, "bits")
		x, err := s.Part(t.Context(), "main", "customer.name", "exact", "", "", rapid.String().Draw(t, "value"), bits)
		require.NoError(t, err)
		require.Len(t, x, 2+(bits+7)/8)
		require.EqualValues(t, 0xF5, x[0])
		require.EqualValues(t, bits, x[1])
		if odd := bits % 8; odd != 0 {
			require.Zero(t, x[len(x)-1]<<odd)
		}
	})
}

// Name tokens as texts, from the hostile side too.
func TestNameTokens(t *testing.T) {
	h := openHouse(t, testdb.New(t, testdb.SQLite), newKEK(t), nil)
	for name, want := range map[string]string{
		"王小明":                "m ming w wang wangxiao wangxiaoming wx wxm x xiao xiaoming xm 小 小明 明 王 王小",
		"王·小 明":              "m ming w wang wangxiao wangxiaoming wx wxm x xiao xiaoming xm 小 小明 明 王 王小",
		"王小\u200b明":          "m ming w wang wangxiao wangxiaoming wx wxm x xiao xiaoming xm 小 小明 明 王 王小",
		"Ｌｕｉ\u0301ｓ":         "luis",
		"İSTANBUL Işık":      "isik istanbul",
		"STRASSE straße":     "strasse",
		"O'Neill-Ｓｍｉｔｈ, Dr.": "dr oneill smith",
		"\u200b\u0301 · ":    "",
		"":                   "",
		"山田タロウ":              "",
		"Анна":               "анна",
		"\uF900":             "qi 豈", // a compatibility ideograph is the character it stands for
	} {
		got := privacy.NameTokens(h.vault, name)
		if name == "王小明" || strings.HasPrefix(name, "王") {
			// Single letters of pinyin are never looked for and not stored.
			want = strings.Join(drop(strings.Fields(want), "m", "w", "x"), " ")
		}
		if name == "山田タロウ" {
			require.Contains(t, got, "タロ")
			require.Contains(t, got, "shantian")
			continue
		}
		require.Equal(t, want, strings.Join(got, " "), "%q", name)
	}
	for r, want := range map[rune]string{'王': "wang", '单': "dan shan", '曾': "ceng zeng", '吕': "lv", 'a': "", '豈': "qi"} {
		read, surname := privacy.Read(h.vault, r)
		require.Equal(t, want, strings.TrimSpace(read+" "+surname), "%c", r)
	}
}

func drop(list []string, these ...string) []string {
	var out []string
	for _, s := range list {
		keep := true
		for _, t := range these {
			keep = keep && s != t
		}
		if keep {
			out = append(out, s)
		}
	}
	return out
}

// A name is found by every piece of itself.
func TestNamesAreFoundByTheirPieces(t *testing.T) {
	h := openHouse(t, testdb.New(t, testdb.SQLite), newKEK(t), nil)
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.StringOfN(rapid.RuneFrom([]rune("王小明单曾李·  éßſİıＡｂ\u0301\u200b豈\uF900タロ-'")), 1, 12, -1).Draw(t, "name")
		have := map[string]bool{}
		for _, tok := range privacy.NameTokens(h.vault, name) {
			have[tok] = true
		}
		tokens, more := privacy.NeedleTokens(name)
		for _, tok := range tokens {
			require.True(t, have[tok], "%q lacks %q", name, tok)
		}
		if len(tokens) > 0 {
			require.True(t, privacy.NameMatches(h.vault, name, name), "%q does not match itself (%v)", name, more)
		}
	})
}

// A name with all pairs of a needle but not in a row is no match: only the opened value can tell.
func TestPairsMustStandTogether(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		require.NoError(t, h.gorm().Create(patient("8", "小明王小", "1", "a@b.cn")).Error)
		require.Equal(t, "1", h.ids(t, h.gorm().Where("name = ?", privacy.Match("王小明"))))
		require.Equal(t, "8", h.ids(t, h.gorm().Where("name = ?", privacy.Match("小明王小"))))
	})
}
