package privacy

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A Population says how often each value of a field occurs, or will. It is what an index of the field shows to
// everybody who can read the database.
type Population struct {
	Field  string  // for the report
	Counts []int64 // rows of each different value, in any order
	// FewValues is for who knows what it means: an index of a field with few different values, such as a
	// gender, says of every row which one it is, as soon as somebody knows their shares.
	FewValues bool
}

// Evenly returns the population of a field with rows values, distinct of them different.
func Evenly(field string, rows, distinct int64) Population {
	p := Population{Field: field}
	for i := range max(distinct, 0) {
		p.Counts = append(p.Counts, rows/distinct+map[bool]int64{true: 1}[i < rows%distinct])
	}
	return p
}

// A Leak is what one kind of index shows. A class is a set of rows with one index.
type Leak struct {
	Index   string  // as in the tag: whole, last4, domain, bits=12, search=name
	Classes int64   // how many
	Entropy float64 // bits that the class says about a row, on average
	Top     float64 // share of rows in the largest class
	// FalsePositives is how many rows a search opens in vain, on average over the rows.
	FalsePositives float64
}

// Advice is what Advise found out about a field. It holds no value.
type Advice struct {
	Field    string
	Rows     int64
	Distinct int64
	Top      []float64 // shares of rows of the five most frequent values
	Bits     int       // recommended width of a truncated index; 0: there is none
	Leaks    []Leak
}

// fewValues is below how many different values an index names the value.
const fewValues = 16

// Advise says what indexes of the population would show, and how wide a truncated one should be: the widest
// with which an average cell stands for two different values and two rows at the least (2^bits ≤ values/2 and
// ≤ rows/2). It returns the advice together with an error that wraps ErrRefused if the field has too few
// different values to be indexed.
func (p Population) Advise() (Advice, error) {
	counts := slices.DeleteFunc(slices.Clone(p.Counts), func(n int64) bool { return n <= 0 })
	slices.SortFunc(counts, func(a, b int64) int { return int(max(-1, min(1, b-a))) })
	a := Advice{Field: p.Field, Distinct: int64(len(counts))}
	for _, n := range counts {
		a.Rows += n
	}
	for _, n := range counts[:min(5, len(counts))] {
		a.Top = append(a.Top, float64(n)/float64(a.Rows))
	}
	a.Leaks = append(a.Leaks, leakOf("whole", counts, 0))
	a.Bits = width(min(a.Distinct, a.Rows))
	for _, bits := range []int{a.Bits - 4, a.Bits - 2, a.Bits, a.Bits + 2} {
		if a.Bits > 0 && bits > 0 {
			a.Leaks = append(a.Leaks, bucketLeak(counts, bits))
		}
	}
	switch {
	case p.FewValues:
	case a.Distinct < fewValues:
		a.Bits = 0
		return a, refuse(p.Field, fmt.Sprintf("has %d different values in %d rows, so an index would say of every row which one it is", a.Distinct, a.Rows),
			"do not index it alone: search for another field and look at this one after Reveal, or set FewValues")
	case a.Top[0] > 0.5:
		a.Bits = 0
		return a, refuse(p.Field, fmt.Sprintf("one value stands in %.0f %% of %d rows, so its index cell is known at once", 100*a.Top[0], a.Rows),
			"store NULL where there is nothing to say, or set FewValues")
	}
	return a, nil
}

// width is the greatest number of bits with 2^bits ≤ n/2, 0 if there is none.
func width(n int64) int {
	if n < 4 {
		return 0
	}
	return int(math.Floor(math.Log2(float64(n) / 2)))
}

// leakOf measures classes by their sizes.
func leakOf(index string, sizes []int64, inVain float64) Leak {
	l := Leak{Index: index, FalsePositives: inVain}
	var rows, top int64
	for _, n := range sizes {
		rows += n
		top = max(top, n)
	}
	for _, n := range sizes {
		if n > 0 {
			l.Classes++
			share := float64(n) / float64(rows)
			l.Entropy -= share * math.Log2(share)
		}
	}
	if rows > 0 {
		l.Top = float64(top) / float64(rows)
	}
	return l
}

// bucketLeak puts the values into buckets as a truncated index would.
func bucketLeak(counts []int64, bits int) Leak {
	buckets := map[uint64]int64{}
	at := make([]uint64, len(counts))
	var rows int64
	for i, n := range counts {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("confide.advise"), uint64(i)))
		at[i] = binary.BigEndian.Uint64(sum[:]) >> (64 - bits)
		buckets[at[i]] += n
		rows += n
	}
	vain := 0.0
	for i, n := range counts {
		vain += float64(n) / float64(rows) * float64(buckets[at[i]]-n)
	}
	var sizes []int64
	for _, n := range buckets {
		sizes = append(sizes, n)
	}
	slices.Sort(sizes)
	return leakOf(fmt.Sprintf("bits=%d", bits), sizes, vain)
}

// String is the report, in lines.
func (a Advice) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows, %d different values\n", a.Field, a.Rows, a.Distinct)
	fmt.Fprintf(&b, "the most frequent values stand in")
	for _, share := range a.Top {
		fmt.Fprintf(&b, " %.1f%%", 100*share)
	}
	fmt.Fprintf(&b, " of the rows\n%-12s %9s %9s %9s %16s\n", "index", "classes", "entropy", "largest", "opened in vain")
	for _, l := range a.Leaks {
		fmt.Fprintf(&b, "%-12s %9d %9.1f %8.1f%% %16.1f\n", l.Index, l.Classes, l.Entropy, 100*l.Top, l.FalsePositives)
	}
	if a.Bits > 0 {
		fmt.Fprintf(&b, "recommended: bits=%d\n", a.Bits)
	} else {
		fmt.Fprintf(&b, "recommended: no index\n")
	}
	return b.String()
}
