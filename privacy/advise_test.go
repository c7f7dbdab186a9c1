package privacy_test

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func TestAdviseOfADeclaredPopulation(t *testing.T) {
	a, err := privacy.Evenly("customer.phone", 100_000, 80_000).Advise()
	require.NoError(t, err)
	require.EqualValues(t, 100_000, a.Rows)
	require.EqualValues(t, 80_000, a.Distinct)
	require.Equal(t, 15, a.Bits, "2^15 < 80,000/2 < 2^16")
	at := slices.IndexFunc(a.Leaks, func(l privacy.Leak) bool { return l.Index == "bits=15" })
	require.InDelta(t, 100_000.0/(1<<15), a.Leaks[at].FalsePositives, 1)
	require.Greater(t, a.Leaks[0].Entropy, a.Leaks[at].Entropy)
	require.Contains(t, a.String(), "recommended: bits=15")

	for name, p := range map[string]privacy.Population{
		"boolean":        {Field: "customer.vip", Counts: []int64{9_000, 1_000}},
		"gender":         privacy.Evenly("customer.gender", 100_000, 3),
		"one value":      privacy.Evenly("customer.x", 10, 1),
		"empty":          {Field: "customer.x"},
		"mostly nothing": {Field: "customer.fax", Counts: append([]int64{90_000}, slices.Repeat([]int64{1}, 1000)...)},
	} {
		a, err := p.Advise()
		require.ErrorIs(t, err, privacy.ErrRefused, name)
		require.Zero(t, a.Bits, name)
		require.Contains(t, a.String(), "recommended: no index", name)
		p.FewValues = true
		_, err = p.Advise()
		require.NoError(t, err, name)
	}
}

// The advice obeys its own rule, and no index shows more than the whole value.
func TestAdviseHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := privacy.Population{Field: "f", Counts: rapid.SliceOfN(rapid.Int64Range(-1, 50), 0, 300).Draw(t, "counts"), FewValues: true}
		a, err := p.Advise()
		require.NoError(t, err)
		if a.Bits > 0 {
			require.LessOrEqual(t, math.Exp2(float64(a.Bits)), float64(a.Distinct)/2)
			require.Greater(t, math.Exp2(float64(a.Bits+1)), float64(a.Distinct)/2)
		} else {
			require.Less(t, a.Distinct, int64(4))
		}
		for _, l := range a.Leaks {
			require.LessOrEqual(t, l.Entropy, a.Leaks[0].Entropy+1e-9)
			require.LessOrEqual(t, l.Classes, a.Distinct)
			require.LessOrEqual(t, l.Top, 1.0)
		}
	})
}

func TestAdviseReadsAColumn(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		a, err := h.vault.Advise(h.ctx, db.DB, "which index for e-mail", &Patient{}, "Email", false)
		require.ErrorIs(t, err, privacy.ErrRefused)
		require.EqualValues(t, 6, a.Rows)
		require.EqualValues(t, 6, a.Distinct)
		byIndex := map[string]privacy.Leak{}
		for _, l := range a.Leaks {
			byIndex[l.Index] = l
		}
		require.EqualValues(t, 4, byIndex["domain"].Classes) // example.com, embraer, mail.example.com and none
		require.InDelta(t, 0.5, byIndex["domain"].Top, 1e-9)
		require.Equal(t, "patient.advise", h.log.looks[0].action)
		require.Equal(t, "which index for e-mail", h.log.looks[0].attrs["purpose"])
		require.Len(t, h.gate.asked, 1)
		require.NotContains(t, a.String(), "example")

		a, err = h.vault.Advise(h.ctx, db.DB, "names", &Patient{}, "Name", true)
		require.NoError(t, err)
		last := a.Leaks[len(a.Leaks)-1]
		require.Equal(t, "search=name", last.Index)
		require.InDelta(t, 4.0/6, last.Top, 1e-9) // xiao is in four names of six

		h.gate.deny = true
		_, err = h.vault.Advise(h.ctx, db.DB, "names", &Patient{}, "Name", true)
		require.ErrorContains(t, err, "not allowed")
		h.gate.deny, h.log.fail = false, true
		n := len(h.gate.asked)
		_, err = h.vault.Advise(h.ctx, db.DB, "names", &Patient{}, "Name", true)
		require.ErrorContains(t, err, "could not be recorded")
		require.Len(t, h.gate.asked, n)
		_, err = h.vault.Advise(h.ctx, db.DB, " ", &Patient{}, "Name", true)
		require.ErrorContains(t, err, "purpose")
	})
}
