// Package kanon checks a table for k-anonymity before it leaves the house: how many people share each
// combination of the values by which an outsider might know them (postcode, birth year, sex). It reports;
// it changes nothing, and its report holds no values.
//
//	report, err := kanon.Check(rows, []int{1, 2, 4}, 5)
//	if report.Smallest < 5 { … generalise or drop report.Rows … }
//
// You must say which columns are quasi-identifiers. A table can be k-anonymous and still give people away,
// by a sensitive column in which a whole group has the same value: name that column in CheckDiverse.
package kanon

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// ErrTable is returned for a table or a choice of columns that cannot be checked. Nothing was decided.
var ErrTable = errors.New("kanon: table cannot be checked")

// Report says how well the people of a table hide among each other.
type Report struct {
	Total    int // rows
	Groups   int // different combinations
	Smallest int // size of the smallest group: the table is Smallest-anonymous
	Unique   int // rows that stand alone
	// Rows are the indexes of the rows in groups smaller than asked for, in order.
	Rows []int
	// Diversity is the smallest number of different sensitive values in a group, from CheckDiverse.
	Diversity int
}

// OK reports that no row stands in a group smaller than asked for.
func (r Report) OK() bool { return len(r.Rows) == 0 }

func (r Report) String() string {
	return fmt.Sprintf("%d rows in %d groups, the smallest of %d; %d rows stand alone, %d are in groups too small",
		r.Total, r.Groups, r.Smallest, r.Unique, len(r.Rows))
}

// Check groups rows by their quasi-identifiers and reports the groups of fewer than k.
func Check(rows [][]string, quasi []int, k int) (Report, error) { return check(rows, quasi, -1, k) }

// CheckDiverse is Check, and counts the different values of one sensitive column in each group.
func CheckDiverse(rows [][]string, quasi []int, sensitive, k int) (Report, error) {
	if sensitive < 0 {
		return Report{}, fmt.Errorf("%w: column %d does not exist", ErrTable, sensitive)
	}
	return check(rows, quasi, sensitive, k)
}

type class struct {
	rows   []int
	values map[string]bool
}

func check(rows [][]string, quasi []int, sensitive, k int) (Report, error) {
	if k < 1 || len(quasi) == 0 {
		return Report{}, fmt.Errorf("%w: name at least one column and a k of at least 1", ErrTable)
	}
	classes := map[string]*class{}
	for i, row := range rows {
		key, err := combination(row, i, append(slices.Clip(quasi), max(sensitive, quasi[0])), len(quasi))
		if err != nil {
			return Report{}, err
		}
		c := classes[key]
		if c == nil {
			c = &class{values: map[string]bool{}}
			classes[key] = c
		}
		c.rows = append(c.rows, i)
		if sensitive >= 0 {
			c.values[row[sensitive]] = true
		}
	}
	return summary(classes, len(rows), sensitive >= 0, k), nil
}

// combination joins the first n of the columns so that no two combinations are mistaken for one.
func combination(row []string, at int, columns []int, n int) (string, error) {
	var key []byte
	for i, c := range columns {
		if c < 0 || c >= len(row) {
			return "", fmt.Errorf("%w: row %d has no column %d", ErrTable, at, c)
		}
		if i < n {
			key = binary.AppendUvarint(key, uint64(len(row[c])))
			key = append(key, row[c]...)
		}
	}
	return string(key), nil
}

func summary(classes map[string]*class, total int, diverse bool, k int) Report {
	r := Report{Total: total, Groups: len(classes)}
	for _, c := range classes {
		n := len(c.rows)
		if r.Smallest == 0 || n < r.Smallest {
			r.Smallest = n
		}
		if n == 1 {
			r.Unique++
		}
		if n < k {
			r.Rows = append(r.Rows, c.rows...)
		}
		if diverse && (r.Diversity == 0 || len(c.values) < r.Diversity) {
			r.Diversity = len(c.values)
		}
	}
	slices.Sort(r.Rows)
	return r
}
