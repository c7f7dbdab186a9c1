package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// seed is a data folder with the three sheets imported, made once for all scripts.
type seed struct {
	once sync.Once
	dir  string
	err  error
}

type seedKey struct{}

func (s *seed) make() (string, error) {
	s.once.Do(func() {
		for _, args := range [][]string{
			{"import", "-passwords", s.dir + "/first.txt", "employees", "demo/employees.csv"},
			{"import", "customers", "demo/customers.csv"},
			{"import", "invoices", "demo/invoices.csv"},
		} {
			args = slices.Insert(args, 1, "-data", s.dir+"/data")
			var out bytes.Buffer
			if code := run(context.Background(), args, &out, &out); code != exitDone {
				s.err = fmt.Errorf("%v: exit %d: %s", args, code, &out)
				return
			}
		}
	})
	return s.dir, s.err
}

// seeded gives the script a data folder with the three sheets imported, and the
// first passwords of the staff as PASSWORD_JANE and so on.
func seededCmd(ts *testscript.TestScript, neg bool, args []string) {
	dir, err := ts.Value(seedKey{}).(*seed).make()
	ts.Check(err)
	copydirCmd(ts, false, []string{filepath.Join(dir, "data"), "data"})
	passwordsCmd(ts, false, []string{filepath.Join(dir, "first.txt")})
}

func passwordsCmd(ts *testscript.TestScript, neg bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		fields := strings.Split(line, "\t")
		name, _, _ := strings.Cut(fields[0], "@")
		ts.Setenv("PASSWORD_"+strings.ToUpper(name), fields[1])
	}
}

func copydirCmd(ts *testscript.TestScript, neg bool, args []string) {
	from, to := ts.MkAbs(args[0]), ts.MkAbs(args[1])
	ts.Check(filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil || d.IsDir() {
			return errors.Join(err, os.MkdirAll(filepath.Join(to, rel), 0o700))
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	}))
}

// unpack FILE unpacks a tar.gz of this folder's testdata.
func unpackCmd(ts *testscript.TestScript, neg bool, args []string) {
	f, err := os.Open(filepath.Join(ts.Getenv("HERE"), args[0]))
	ts.Check(err)
	defer f.Close()
	zipped, err := gzip.NewReader(f)
	ts.Check(err)
	for r := tar.NewReader(zipped); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		ts.Check(err)
		if path := ts.MkAbs(filepath.Clean("/" + h.Name)[1:]); h.FileInfo().IsDir() {
			ts.Check(os.MkdirAll(path, 0o700))
		} else {
			data, err := io.ReadAll(r)
			ts.Check(err)
			ts.Check(os.WriteFile(path, data, 0o600))
		}
	}
}

// attacked puts the data folder back to the copy `clean` before the next attack.
func attackedCmd(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.RemoveAll(ts.MkAbs("data")))
	copydirCmd(ts, false, []string{"clean", "data"})
}

// counts FILE TABLE N... wants one of the numbers of rows.
func countsCmd(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", sqliteDSN(ts.MkAbs(args[0])))
	ts.Check(err)
	defer db.Close()
	var n int
	ts.Check(db.QueryRow("SELECT count(*) FROM " + args[1]).Scan(&n))
	if !slices.Contains(args[2:], strconv.Itoa(n)) {
		ts.Fatalf("%s has %d rows, want one of %v", args[1], n, args[2:])
	}
}

// lines N wants that many lines in what a command printed last.
func linesCmd(ts *testscript.TestScript, neg bool, args []string) {
	if n := strings.Count(ts.ReadFile("stdout"), "\n"); strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d lines, want %s", n, args[0])
	}
}

// make KIND FILE N makes a file that is better not kept in a script: a sheet of
// N customers, a line of N megabytes, a row in Latin-1.
func makeCmd(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[1]))
	ts.Check(err)
	defer f.Close()
	_, err = io.WriteString(f, "CustomerId,LastName,Email,Phone,SupportRepId\n")
	ts.Check(err)
	switch args[0] {
	case "sheet":
		for i := range n {
			_, err = fmt.Fprintf(f, "c%d,Name%d,c%d@example.com,+1 202 555 %04d,%d\n", i, i, i, i, 3+i%3)
			ts.Check(err)
		}
	case "line":
		_, err = io.WriteString(f, "1,")
		ts.Check(err)
		megabyte := bytes.Repeat([]byte{'x'}, 1<<20)
		for range n {
			_, err = f.Write(megabyte)
			ts.Check(err)
		}
	case "latin1":
		_, err = io.WriteString(f, "1,Gon\xe7alves,,,3\n")
		ts.Check(err)
	default:
		ts.Fatalf("usage: make sheet|line|latin1 FILE N")
	}
}

// private FOLDER wants everything in it to be for its owner only.
func privateCmd(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if open := info.Mode().Perm() & 0o077; open != 0 {
			return fmt.Errorf("%s can be reached by others: %v", path, info.Mode())
		}
		return nil
	}))
}
