package intake_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/intake"
)

func TestHeadingsAreFoundByMeaning(t *testing.T) {
	for name, content := range map[string]string{
		"as exported":  "CustomerId,LastName,SupportRepId,Phone\n1,Gonçalves,3,+55\n",
		"other case":   "customer_id,last name,SUPPORT REP ID,phone\n1,Gonçalves,3,+55\n",
		"Chinese":      "客户编号,姓名,负责人,手机号\n1,Gonçalves,3,+55\n",
		"semicolons":   "CustomerId;LastName;SupportRepId;Phone\n1;Gonçalves;3;+55\n",
		"tabs and BOM": "\ufeffCustomerId\tLastName\tSupportRepId\tPhone\r\n1\tGonçalves\t3\t+55\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			r, err := read(t, "customers", content, nil)
			require.NoError(t, err)
			row, err := r.Next()
			require.NoError(t, err)
			require.Equal(t, map[string]string{"id": "1", "last_name": "Gonçalves", "owner_id": "3", "phone": "+55"}, row.Values)
			_, err = r.Next()
			require.Equal(t, io.EOF, err)
		})
	}
}

func TestColumnsNobodyNeedsAreNotTaken(t *testing.T) {
	r, err := read(t, "employees", "EmployeeId,LastName,FirstName,Title,Email,BirthDate,Shoe Size\n1,A,B,C,a@example.com,1962-02-18,44\n", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"BirthDate", "Shoe Size"}, r.Mapping.Ignored)
	row, err := r.Next()
	require.NoError(t, err)
	require.NotContains(t, row.Values, "birth_date")
	require.Len(t, row.Values, 5)
}

func TestHeadingsByHand(t *testing.T) {
	content := "Nr,LastName,Spouse,Rep\n1,A,B,3\n"
	r, err := read(t, "customers", content, map[string]string{"Nr": "id", "Rep": "owner_id", "Spouse": "last_name"})
	require.NoError(t, err)
	row, err := r.Next()
	require.NoError(t, err)
	require.Equal(t, "B", row.Values["last_name"], "a choice by hand wins over a heading that fits by itself")

	for problem, byHand := range map[string]map[string]string{
		`-map names the heading "Number", which the file does not have`: {"Number": "id"},
		`-map names the unknown field "shoe"; customers have id, `:      {"Nr": "shoe"},
		`the headings "Nr" and "Rep" both mean id; choose one`:          {"Nr": "id", "Rep": "id"},
		`no heading means id; add the column, or name it with -map`:     {"Rep": "owner_id"},
	} {
		_, err := read(t, "customers", content, byHand)
		require.ErrorContains(t, err, problem)
		require.ErrorContains(t, err, "sheet.csv:1: ")
	}
}

func TestBadFilesAreNamedByFileAndLine(t *testing.T) {
	head := "CustomerId,LastName,SupportRepId\n"
	for name, test := range map[string]struct{ content, problem string }{
		"empty":            {"", "sheet.csv: is empty; the first line must hold the headings"},
		"missing column":   {"CustomerId,LastName\n1,A\n", "sheet.csv:1: no heading means owner_id; add the column, or name it with -map 'Heading=owner_id'"},
		"heading twice":    {"CustomerId,LastName,SupportRepId,Customer ID\n", `sheet.csv:1: the headings "CustomerId" and "Customer ID" both mean id; choose one with -map`},
		"short row":        {head + "1,A,3\n2,B\n", "sheet.csv:3: has not the 3 columns of the headings; mend the row"},
		"long row":         {head + "1,A,3,x\n", "sheet.csv:2: has not the 3 columns of the headings; mend the row"},
		"open quote":       {head + "1,A,3\n2,\"B,3\n4,C,3\n", "sheet.csv:3: quotes do not match; put the whole value in quotes and double the quotes inside"},
		"bare quote":       {head + "1,A\"x\"B,3\n", "sheet.csv:2: quotes do not match; put the whole value in quotes and double the quotes inside"},
		"invalid UTF-8":    {head + "1,A,3\n2,Gon\xe7alves,3\n", "sheet.csv:3: column LastName: is not UTF-8; save the file again with the encoding UTF-8"},
		"UTF-8 in heading": {"CustomerId,LastN\xe4me\n", "sheet.csv:1: is not UTF-8; save the file again with the encoding UTF-8"},
		"UTF-16":           {"\xff\xfeC\x00u\x00", "sheet.csv:1: is UTF-16; save the file again with the encoding UTF-8"},
		"spreadsheet":      {"PK\x03\x04xxxx", "sheet.csv:1: is a spreadsheet; save it as CSV with the encoding UTF-8"},
		"required empty":   {head + "1,A,3\n2,,3\n", "sheet.csv:3: column LastName: is empty; every row needs a value here"},
		"NUL":              {head + "1,A\x00B,3\n", "sheet.csv:2: column LastName: holds a NUL character; remove it"},
		"multi-line value": {head + "1,\"A\nB\",3\n2,C,3,x\n", "sheet.csv:4: has not the 3 columns of the headings; mend the row"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := read(t, "customers", test.content, nil)
			for err == nil {
				_, err = r.Next()
			}
			require.EqualError(t, err, test.problem)
			var e *intake.Error
			require.ErrorAs(t, err, &e)
		})
	}
}

// A line of 200 MB is refused after reading little more than a record's worth.
func TestEndlessLineIsNotRead(t *testing.T) {
	for name, start := range map[string]string{"in a value": "CustomerId,LastName,SupportRepId\n1,A,3\n2,", "in the headings": "", "in quotes": "CustomerId,LastName,SupportRepId\n1,A,3\n2,\"a\nb\n"} {
		t.Run(name, func(t *testing.T) {
			endless := &counting{from: io.MultiReader(strings.NewReader(start), zeros{})}
			kind, err := intake.KindNamed("customers")
			require.NoError(t, err)
			r, err := intake.NewReader(endless, "sheet.csv", kind, nil)
			for err == nil {
				_, err = r.Next()
			}
			require.ErrorContains(t, err, "the record is longer than 1048576 bytes; look for a missing closing quote")
			require.ErrorContains(t, err, "sheet.csv:")
			require.Less(t, endless.n, int64(3*intake.MaxRecord))
		})
	}
}

func TestDirectoryAndMissingFile(t *testing.T) {
	kind, err := intake.KindNamed("customers")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "folder.csv")
	require.NoError(t, os.Mkdir(dir, 0o700))
	_, err = intake.Open(dir, kind, nil)
	require.EqualError(t, err, "folder.csv: is a directory; give the path of a CSV file")
	_, err = intake.Open(filepath.Join(t.TempDir(), "nothing.csv"), kind, nil)
	require.EqualError(t, err, "nothing.csv: cannot be opened: no such file or directory")
	_, err = intake.KindNamed("people")
	require.EqualError(t, err, "unknown kind of sheet; use one of employees, customers, invoices")
}

func FuzzReader(f *testing.F) {
	f.Add("CustomerId,LastName,SupportRepId\n1,A,3\n")
	f.Add("\ufeffCustomerId;LastName;SupportRepId\r\n1;\"A\nB\";3\r\n")
	f.Add("\"")
	f.Fuzz(func(t *testing.T, content string) {
		r, err := read(t, "customers", content, nil)
		for err == nil {
			var row intake.Row
			if row, err = r.Next(); err == nil {
				require.NotEmpty(t, row.Values["id"])
				for _, v := range row.Values {
					require.True(t, strings.Contains(content, v) || strings.Contains(v, `"`) || strings.Contains(v, "\n"), "a value that the file does not hold")
				}
			}
		}
		if err != io.EOF {
			var e *intake.Error
			require.ErrorAs(t, err, &e)
		}
	})
}

func read(t *testing.T, kind, content string, byHand map[string]string) (*intake.Reader, error) {
	t.Helper()
	k, err := intake.KindNamed(kind)
	require.NoError(t, err)
	return intake.NewReader(strings.NewReader(content), "sheet.csv", k, byHand)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

type counting struct {
	from io.Reader
	n    int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
