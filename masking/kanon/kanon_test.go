package kanon_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking/kanon"
)

var table = [][]string{
	{"1", "10000", "1980", "flu"}, {"2", "10000", "1980", "cold"}, {"3", "10000", "1980", "flu"},
	{"4", "20000", "1990", "flu"}, {"5", "20000", "1990", "flu"}, {"6", "30000", "1970", "cold"},
}

func TestSmallGroupsAreReportedByTheirRows(t *testing.T) {
	r, err := kanon.Check(table, []int{1, 2}, 3)
	require.NoError(t, err)
	assert.Equal(t, kanon.Report{Total: 6, Groups: 3, Smallest: 1, Unique: 1, Rows: []int{3, 4, 5}}, r)
	assert.False(t, r.OK())
	r, err = kanon.Check(table[:3], []int{1, 2}, 3)
	require.NoError(t, err)
	assert.True(t, r.OK())
}

func TestAGroupWithOneSensitiveValueIsNotDiverse(t *testing.T) {
	r, err := kanon.CheckDiverse(table[:5], []int{1}, 3, 2)
	require.NoError(t, err)
	assert.True(t, r.OK())
	assert.Equal(t, 1, r.Diversity)
}

func TestCombinationsAreNotConfused(t *testing.T) {
	r, err := kanon.Check([][]string{{"a", "bc"}, {"ab", "c"}}, []int{0, 1}, 2)
	require.NoError(t, err)
	assert.Equal(t, 2, r.Unique)
}

func TestWrongColumnsAreErrors(t *testing.T) {
	for _, quasi := range [][]int{nil, {9}, {-1}} {
		_, err := kanon.Check(table, quasi, 2)
		require.ErrorIs(t, err, kanon.ErrTable)
	}
	_, err := kanon.Check(table, []int{1}, 0)
	require.ErrorIs(t, err, kanon.ErrTable)
	_, err = kanon.CheckDiverse(table, []int{1}, 7, 2)
	require.ErrorIs(t, err, kanon.ErrTable)
	_, err = kanon.CheckDiverse(table, []int{1}, -1, 2)
	require.ErrorIs(t, err, kanon.ErrTable)
	_, err = kanon.Check([][]string{{"a", "b"}, {"a"}}, []int{1}, 2)
	assert.EqualError(t, err, "kanon: table cannot be checked: row 1 has no column 1")
}

func TestTheReportNamesNoValues(t *testing.T) {
	r, err := kanon.Check(table, []int{1, 2}, 3)
	require.NoError(t, err)
	for _, value := range []string{"10000", "1980", "flu"} {
		assert.NotContains(t, fmt.Sprintf("%+v %s", r, r), value)
	}
}

func ExampleCheck() {
	r, err := kanon.Check([][]string{{"100", "f"}, {"100", "f"}, {"200", "m"}}, []int{0, 1}, 2)
	fmt.Println(r, err)
	// Output: 3 rows in 2 groups, the smallest of 1; 1 rows stand alone, 1 are in groups too small <nil>
}
