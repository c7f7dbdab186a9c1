package intake

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// MaxRecord is the longest record in bytes that is read. A customer takes a few
// hundred; what is longer is not a customer.
const MaxRecord = 1 << 20

// An Error is something wrong with a file, at a place that a person can go to.
// It never holds the value that is wrong: error texts end up in logs.
type Error struct {
	File    string
	Line    int    // from 1; 0 means the file as a whole
	Column  string // the heading, if one column is to blame
	Problem string // what is wrong and what to do
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	b.WriteString(": ")
	if e.Column != "" {
		fmt.Fprintf(&b, "column %s: ", e.Column)
	}
	b.WriteString(e.Problem)
	return b.String()
}

// A Row is one checked row: valid UTF-8, required fields not empty.
type Row struct {
	Line   int
	Values map[string]string // by field; only fields the sheet has
}

// A Reader reads the rows of one sheet.
type Reader struct {
	Mapping  Mapping
	kind     Kind
	file     string
	headings []string
	csv      *csv.Reader
	budget   *budget
	line     int // of the record read last
	closer   io.Closer
	size     int64
}

// Open opens a file as a sheet of a kind and reads its headings.
func Open(path string, kind Kind, byHand map[string]string) (*Reader, error) {
	name := filepath.Base(path)
	f, err := os.Open(path)
	if err != nil {
		return nil, &Error{File: name, Problem: "cannot be opened: " + cause(err)}
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a directory; give the path of a CSV file")
	}
	if err != nil {
		f.Close()
		return nil, &Error{File: name, Problem: cause(err)}
	}
	r, err := NewReader(f, name, kind, byHand)
	if err != nil {
		f.Close()
		return nil, err
	}
	r.closer, r.size = f, info.Size()
	return r, nil
}

// NewReader reads a sheet from r; name is what errors call it.
func NewReader(r io.Reader, name string, kind Kind, byHand map[string]string) (*Reader, error) {
	b := &budget{from: r}
	b.refill()
	head := bufio.NewReaderSize(b, 64<<10)
	comma, err := sniff(head)
	if err != nil {
		return nil, &Error{File: name, Line: 1, Problem: err.Error()}
	}
	s := &Reader{kind: kind, file: name, csv: csv.NewReader(head), budget: b}
	s.csv.Comma, s.csv.ReuseRecord = comma, true
	first, err := s.csv.Read()
	if err == io.EOF {
		return nil, &Error{File: name, Problem: "is empty; the first line must hold the headings"}
	}
	if err != nil {
		return nil, s.problem(err)
	}
	s.line = 1
	for _, h := range first {
		if !utf8.ValidString(h) {
			return nil, &Error{File: name, Line: 1, Problem: notUTF8}
		}
		s.headings = append(s.headings, strings.TrimSpace(h))
	}
	if s.Mapping, err = kind.Map(s.headings, byHand); err != nil {
		return nil, &Error{File: name, Line: 1, Problem: err.Error()}
	}
	return s, nil
}

const notUTF8 = "is not UTF-8; save the file again with the encoding UTF-8"

// Next returns the next row, io.EOF after the last one, or an *Error. After an
// error in one row the next call goes on with the row behind it, unless the
// error is Fatal.
func (s *Reader) Next() (Row, error) {
	s.budget.refill()
	record, err := s.csv.Read()
	if err == io.EOF {
		return Row{}, io.EOF
	}
	if err != nil {
		return Row{}, s.problem(err)
	}
	line, _ := s.csv.FieldPos(0)
	s.line = line
	row := Row{Line: line, Values: make(map[string]string, len(record))}
	for i, value := range record {
		if !utf8.ValidString(value) {
			return row, s.at(line, s.headings[i], notUTF8)
		}
		field := s.Mapping.Fields[i]
		if field == "" {
			continue
		}
		value = strings.TrimSpace(value)
		if strings.ContainsRune(value, 0) {
			return row, s.at(line, s.headings[i], "holds a NUL character; remove it")
		}
		if value == "" && s.kind.required(field) {
			return row, s.at(line, s.headings[i], "is empty; every row needs a value here")
		}
		row.Values[field] = value
	}
	return row, nil
}

// Heading returns the heading of a field, for errors about its values.
func (s *Reader) Heading(field string) string {
	for i, f := range s.Mapping.Fields {
		if f == field {
			return s.headings[i]
		}
	}
	return field
}

// Progress returns how many bytes have been read and how many there are; 0 of 0
// if that is not known.
func (s *Reader) Progress() (read, size int64) { return s.csv.InputOffset(), s.size }

// Close closes the file, if Open opened one.
func (s *Reader) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

func (s *Reader) at(line int, heading, problem string) *Error {
	return &Error{File: s.file, Line: line, Column: heading, Problem: problem}
}

// fatal marks an error after which the rest of the file cannot be understood.
func fatal(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Column == "" && !strings.HasPrefix(e.Problem, "has ")
}

// problem turns an error of encoding/csv, which may quote input, into our own.
func (s *Reader) problem(err error) *Error {
	if errors.Is(err, errTooLong) {
		return &Error{File: s.file, Line: s.line + 1, Problem: fmt.Sprintf("the record is longer than %d bytes; look for a missing closing quote", MaxRecord)}
	}
	var parse *csv.ParseError
	if !errors.As(err, &parse) {
		return &Error{File: s.file, Problem: "cannot be read: " + cause(err)}
	}
	e := &Error{File: s.file, Line: parse.StartLine}
	switch {
	case errors.Is(parse.Err, csv.ErrFieldCount):
		e.Problem = fmt.Sprintf("has not the %d columns of the headings; mend the row", len(s.headings))
	case errors.Is(parse.Err, csv.ErrQuote), errors.Is(parse.Err, csv.ErrBareQuote):
		e.Problem = "quotes do not match; put the whole value in quotes and double the quotes inside"
	default:
		e.Problem = "is not CSV"
	}
	return e
}

// sniff skips a byte order mark and finds the separator from the heading line.
func sniff(r *bufio.Reader) (comma rune, err error) {
	start, _ := r.Peek(4)
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		if _, err := r.Discard(3); err != nil {
			return 0, err
		}
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return 0, errors.New("is UTF-16; save the file again with the encoding UTF-8")
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return 0, errors.New("is a spreadsheet; save it as CSV with the encoding UTF-8")
	}
	line, _ := r.Peek(r.Size())
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	comma, most := ',', bytes.Count(line, []byte{','})
	for _, c := range []rune{';', '\t'} {
		if n := bytes.Count(line, []byte(string(c))); n > most {
			comma, most = c, n
		}
	}
	return comma, nil
}

var errTooLong = errors.New("record too long")

// A budget stops a record that never ends from filling the memory.
type budget struct {
	from io.Reader
	left int
}

// refill allows one more record, and what the buffers behind read ahead.
func (b *budget) refill() { b.left = MaxRecord + 128<<10 }

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLong
	}
	if len(p) > b.left {
		p = p[:b.left]
	}
	n, err := b.from.Read(p)
	b.left -= n
	return n, err
}

// cause drops the path from an operating system's error: the caller names it.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}
