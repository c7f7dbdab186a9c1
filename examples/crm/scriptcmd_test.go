package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"html"
	"index/suffixarray"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/rogpeppe/go-internal/testscript"
)

// exits CODE PROGRAM ARGS... runs a program and wants that exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	// Exec leaves the output to stdout and stderr, where assertions find it.
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// sql FILE STATEMENT does what an administrator of the database could do. Rows
// of a query are printed, one a line, bytes as hex.
func sqlCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: sql FILE STATEMENT")
	}
	db, err := sql.Open("sqlite", sqliteDSN(ts.MkAbs(args[0])))
	ts.Check(err)
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), args[1])
	if err == nil {
		err = printRows(ts, rows)
	}
	if (err != nil) != neg {
		ts.Fatalf("sql: error %v, wanted one: %v", err, neg)
	}
	if err != nil {
		fmt.Fprintln(ts.Stderr(), err)
	}
}

func printRows(ts *testscript.TestScript, rows *sql.Rows) error {
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			return err
		}
		for i, v := range values {
			if i > 0 {
				fmt.Fprint(ts.Stdout(), "\t")
			}
			switch v := (*v.(*any)).(type) {
			case []byte:
				fmt.Fprintf(ts.Stdout(), "%x", v)
			default:
				fmt.Fprint(ts.Stdout(), v)
			}
		}
		fmt.Fprintln(ts.Stdout())
	}
	return rows.Err()
}

// holds FOLDER CSV COLUMN... looks for every value of the columns in every file
// of the folder, in the encodings in which a careless program would leave them.
// `! holds` is the wish: no file holds any.
func holdsCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: holds FOLDER CSV COLUMN...")
	}
	values := columnValues(ts, args[1], args[2:])
	type needle struct {
		form string
		text []byte
	}
	var needles []needle
	for _, v := range values {
		for form, text := range forms(v) {
			needles = append(needles, needle{form, bytes.ToLower(text)})
		}
	}
	var found []string
	files := 0
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		// Thousands of needles: the file is sorted once instead of read for each.
		folded := suffixarray.New(bytes.ToLower(data))
		for _, n := range needles {
			if len(folded.Lookup(n.text, 1)) > 0 {
				found = append(found, fmt.Sprintf("%s holds a value as %s", filepath.Base(path), n.form))
			}
		}
		return nil
	}))
	if files == 0 || len(values) < 2 {
		ts.Fatalf("%d files and %d values: nothing was looked at", files, len(values))
	}
	if neg && len(found) > 0 {
		ts.Fatalf("%d finds, the first: %s", len(found), found[0])
	}
	if !neg && len(found) == 0 {
		ts.Fatalf("no value is in any of %d files", files)
	}
}

// forms returns how a value may stand in a file.
func forms(v string) map[string][]byte {
	wide := make([]byte, 0, 2*len(v))
	for _, u := range utf16.Encode([]rune(v)) {
		wide = append(wide, byte(u), byte(u>>8))
	}
	sum := sha256.Sum256([]byte(v))
	f := map[string][]byte{
		"text":              []byte(v),
		"HTML":              []byte(html.EscapeString(v)),
		"JSON with escapes": []byte(strings.Trim(strconv.QuoteToASCII(v), `"`)),
		"UTF-16":            wide,
		"hex":               []byte(hex.EncodeToString([]byte(v))),
		"base64":            []byte(base64.RawStdEncoding.EncodeToString([]byte(v))),
		"plain SHA-256":     sum[:],
		"hex of SHA-256":    []byte(hex.EncodeToString(sum[:])),
	}
	if digits := onlyDigits(v); len(digits) >= 8 {
		f["digits"] = []byte(digits)
	}
	return f
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}

// columnValues returns the values of columns that are long enough not to occur
// by chance.
func columnValues(ts *testscript.TestScript, file string, columns []string) []string {
	records, err := csv.NewReader(strings.NewReader(ts.ReadFile(file))).ReadAll()
	ts.Check(err)
	var values []string
	for _, column := range columns {
		at := -1
		for i, h := range records[0] {
			if h == column {
				at = i
			}
		}
		if at < 0 {
			ts.Fatalf("%s has no column %s", file, column)
		}
		for _, r := range records[1:] {
			// Five digits occur in any file that holds times.
			if len(r[at]) >= 5 && (len(r[at]) >= 8 || onlyDigits(r[at]) != r[at]) {
				values = append(values, r[at])
			}
		}
	}
	return values
}

// flip FILE OFFSET changes one byte of a file; a negative offset counts from
// the end. A glob that matches several files means the largest.
func flipCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: flip FILE OFFSET")
	}
	offset, err := strconv.Atoi(args[1])
	ts.Check(err)
	path := largest(ts, args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	if offset < 0 {
		offset += len(data)
	}
	data[offset] ^= 1
	ts.Check(os.Chmod(path, 0o600))
	ts.Check(os.WriteFile(path, data, 0o600))
}

func largest(ts *testscript.TestScript, pattern string) string {
	paths, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	var best string
	var size int64 = -1
	for _, p := range paths {
		info, err := os.Stat(p)
		ts.Check(err)
		if !info.IsDir() && info.Size() > size {
			best, size = p, info.Size()
		}
	}
	if best == "" {
		ts.Fatalf("no file matches %s", pattern)
	}
	return best
}

// killed DELAY PROGRAM ARGS... starts a program and kills it with signal 9 after
// the delay, wherever it is then.
func killedCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: killed DELAY PROGRAM ARGS...")
	}
	delay, err := time.ParseDuration(args[0])
	ts.Check(err)
	cmd := exec.Command(args[1], args[2:]...)
	if path, err := lookPath(ts, args[1]); err == nil {
		cmd.Path = path
	}
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
		fmt.Fprintln(ts.Stdout(), "ended before the kill")
	case <-time.After(delay):
		ts.Check(cmd.Process.Kill())
		<-ended
		fmt.Fprintln(ts.Stdout(), "killed")
	}
}

func lookPath(ts *testscript.TestScript, name string) (string, error) {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p := filepath.Join(dir, name); exists(p) {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "CONFIDE_DATA", "CONFIDE_LOG", "CONFIDE_KEY_TTL", "CONFIDE_SCHEDULE", "GOCOVERDIR"} {
		if v := ts.Getenv(name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	return env
}
