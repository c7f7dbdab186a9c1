package pseudonym_test

import (
	"bytes"
	"context"
	"crypto/sha512"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/masking/pseudonym"
)

var key = bytes.Repeat([]byte{7}, 32)

func maker(t *testing.T, cfg pseudonym.Config) *pseudonym.Maker {
	t.Helper()
	m, err := pseudonym.New(cfg)
	require.NoError(t, err)
	return m
}

func TestOneValueHasOneToken(t *testing.T) {
	m := maker(t, pseudonym.Config{Key: key, Purpose: "test"})
	want := m.Token(masking.KindPhone, "19999000001")
	for _, s := range []string{"+86 199-9900-0001", "0086 19999000001", "(86)19999000001", "１９９９９０００００１"} {
		assert.Equal(t, want, m.Token(masking.KindPhone, s), s)
	}
	assert.Equal(t, m.Token(masking.KindEmail, "A@Example.com"), m.Token(masking.KindEmail, " a@example.com "))
}

func TestTokensOfDifferentKeysPurposesAndKindsDiffer(t *testing.T) {
	seen := map[string]string{}
	other := bytes.Repeat([]byte{8}, 32)
	for name, cfg := range map[string]pseudonym.Config{
		"a": {Key: key, Purpose: "one"}, "b": {Key: key, Purpose: "two"}, "c": {Key: other, Purpose: "one"},
		"d": {Key: key, Purpose: "one", Hash: sha512.New},
	} {
		m := maker(t, cfg)
		for _, k := range []masking.Kind{masking.KindPhone, masking.KindCard} {
			token := m.Token(k, "19999000001")
			assert.Empty(t, seen[token], "%s and %s share a token", name, seen[token])
			seen[token] = name
			assert.NotContains(t, token, "19999")
			assert.Len(t, token, len(k)+27)
		}
	}
}

// The token of a value is stored in other people's systems: it may not change.
func TestTokensAreStable(t *testing.T) {
	m := maker(t, pseudonym.Config{Key: key, Purpose: "test"})
	assert.Equal(t, "phone-uz67pi3t26k4xm6n3d5iybiu5c", m.Token(masking.KindPhone, "19999000001"))
}

func TestWeakConfigurationsAreRefused(t *testing.T) {
	for _, cfg := range []pseudonym.Config{{}, {Key: key}, {Key: key[:31], Purpose: "x"}, {Purpose: "x"}} {
		_, err := pseudonym.New(cfg)
		require.ErrorIs(t, err, pseudonym.ErrConfig)
		assert.ErrorContains(t, err, "32 bytes")
	}
}

func ExampleNew() {
	tokens, err := pseudonym.New(pseudonym.Config{Key: bytes.Repeat([]byte{1}, 32), Purpose: "analytics"})
	if err != nil {
		panic(err)
	}
	p := masking.Policy{Tokens: tokens, Level: func(context.Context) masking.Level { return masking.Token }}
	a := p.Mask(context.Background(), masking.KindPhone, "199 9900 0001")
	b := p.Mask(context.Background(), masking.KindPhone, "+8619999000001")
	fmt.Println(a == b, len(a))
	// Output: true 32
}
