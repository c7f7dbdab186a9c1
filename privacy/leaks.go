package privacy

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/confide-go/confide/masking"
)

// Leaks says what FindLeaks looks for and where.
type Leaks struct {
	// Canaries are texts that must not be anywhere in the clear: values that were planted for the purpose, or
	// those of a person whose data should be gone. At least four bytes each.
	Canaries []string
	// Logs are log files by name. They are read to their end.
	Logs map[string]io.Reader
	// Rows is how many rows of each table are read from either end of it. 0 means 10,000.
	Rows int
}

const (
	findCanary = "canary"
	findShape  = "shape"

	leakRows  = 10_000
	leakLine  = 64 << 10
	canaryMin = 4
)

// FindLeaks looks for personal data in the clear: in every column of every table of db, registered or not,
// index columns among them, and in the logs. It finds the canaries, as they are and in hexadecimal, and
// whatever package masking takes for personal data by its shape. A finding says what was found, how often
// and where, never the value. Shapes are not looked for in columns declared open and in the library's own
// tables. Of large tables it reads both ends, so that no finding is no proof.
func (v *Vault) FindLeaks(ctx context.Context, db *gorm.DB, l Leaks) ([]Finding, error) {
	for _, c := range l.Canaries {
		if len(c) < canaryMin {
			return nil, fmt.Errorf("privacy: find leaks: a canary has %d bytes; %d at least, or it is found everywhere", len(c), canaryMin)
		}
	}
	if l.Rows <= 0 {
		l.Rows = leakRows
	}
	own := session(withInternal(ctx), db)
	tables, err := own.Migrator().GetTables()
	if err != nil {
		return nil, fmt.Errorf("privacy: find leaks: list tables: %w", err)
	}
	slices.Sort(tables)
	h := &hunt{v: v, Leaks: l, open: v.openColumns()}
	for _, table := range tables {
		if err := h.table(ctx, conn{own}, table); err != nil {
			return nil, fmt.Errorf("privacy: find leaks: table %s: %w", table, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.Logs)) {
		if err := h.log(name, l.Logs[name]); err != nil {
			return nil, fmt.Errorf("privacy: find leaks: log %s: %w", name, err)
		}
	}
	return h.out, nil
}

// A hunt goes through tables and logs.
type hunt struct {
	Leaks
	v    *Vault
	open map[string]bool
	out  []Finding
}

// A tally is what was found in one column or log.
type tally struct {
	shapes   map[masking.Kind]int
	canaries map[int]int // by the canary's place in the list
	first    string      // where the first one was
}

func (t *tally) note(where string) {
	if t.first == "" {
		t.first = where
	}
}

func (h *hunt) report(t *tally, table, column string) {
	for _, i := range slices.Sorted(maps.Keys(t.canaries)) {
		h.out = append(h.out, Finding{findCanary, table, column, "", fmt.Sprintf("canary %d of the list stands there in the clear, %d times, first %s", i+1, t.canaries[i], t.first)})
	}
	for _, k := range slices.Sorted(maps.Keys(t.shapes)) {
		h.out = append(h.out, Finding{findShape, table, column, "", fmt.Sprintf("what looks like personal data (%s) stands there in the clear, %d times, first %s; seal it, or declare the column open", k, t.shapes[k], t.first)})
	}
}

// look searches b. Bytes that are no text have no shape.
func (h *hunt) look(t *tally, b []byte, shapes bool, where string) {
	for i, c := range h.Canaries {
		n := bytes.Count(b, []byte(c)) + bytes.Count(bytes.ToLower(b), []byte(hex.EncodeToString([]byte(c))))
		if n > 0 {
			t.canaries[i] += n
			t.note(where)
		}
	}
	if !shapes || !utf8.Valid(b) {
		return
	}
	for k, n := range masking.Find(string(b)).Counts() {
		t.shapes[k] += n
		t.note(where)
	}
}

func newTally() *tally {
	return &tally{shapes: map[masking.Kind]int{}, canaries: map[int]int{}}
}

func (h *hunt) table(ctx context.Context, c conn, table string) error {
	columns, err := columnsOf(ctx, c, table)
	if err != nil || len(columns) == 0 {
		return err
	}
	tallies := make([]*tally, len(columns))
	for i := range columns {
		tallies[i] = newTally()
	}
	// Both ends: what leaked first, and what leaks now. Without an order the first is the cheapest to read.
	from := " FROM " + c.quote(table)
	read, err := h.rows(ctx, c, table, columns, tallies, "SELECT *"+from+fmt.Sprintf(" LIMIT %d", h.Rows))
	if err == nil && read == h.Rows {
		_, err = h.rows(ctx, c, table, columns, tallies, "SELECT *"+from+" ORDER BY "+c.quote(columns[0].Name())+fmt.Sprintf(" DESC LIMIT %d", h.Rows))
	}
	for i, t := range tallies {
		h.report(t, table, columns[i].Name())
	}
	return err
}

func (h *hunt) rows(ctx context.Context, c conn, table string, columns []*sql.ColumnType, tallies []*tally, text string) (int, error) {
	n := 0
	values, dest := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		dest[i] = &values[i]
	}
	err := c.query(ctx, func(r *sql.Rows) error {
		if err := r.Scan(dest...); err != nil {
			return errors.New("a row does not have the columns of its table; was the table changed?")
		}
		n++
		for i, v := range values {
			h.cell(tallies[i], table, columns[i], v, fmt.Sprintf("in row %d of those read", n))
		}
		return nil
	}, text)
	return n, err
}

func (h *hunt) cell(t *tally, table string, column *sql.ColumnType, v any, where string) {
	var b []byte
	switch x := v.(type) {
	case nil:
		return
	case []byte:
		b = x
	case string:
		b = []byte(x)
	default:
		b = fmt.Append(nil, x)
	}
	_, text := v.(string)
	_, raw := v.([]byte)
	shapes := (text || raw) && isText(column.DatabaseTypeName()) && !strings.HasPrefix(strings.ToLower(table), "confide_") && !h.open[columnKey(table, column.Name())]
	if m := h.v.reg.Load().byTable[strings.ToLower(table)]; m != nil {
		name := strings.ToLower(column.Name())
		// In sealed and index columns bytes that are sealed may look like anything.
		if m.cells[name] != nil && looksSealed(b) || m.blind[name] != nil && len(b) > 0 && !utf8.Valid(b) {
			shapes = false
		}
	}
	h.look(t, b, shapes, where)
}

// isText reports whether a column of that type may hold text. SQLite's columns may hold anything.
func isText(typeName string) bool {
	name := strings.ToUpper(typeName)
	for _, word := range []string{"INT", "SERIAL", "NUMERIC", "DECIMAL", "FLOAT", "DOUBLE", "REAL", "BOOL", "DATE", "TIME", "UUID"} {
		if strings.Contains(name, word) {
			return false
		}
	}
	return true
}

// log reads a log line by line, long lines in pieces that overlap.
func (h *hunt) log(name string, r io.Reader) error {
	t := newTally()
	in := bufio.NewReaderSize(r, leakLine)
	line := 1
	var tail []byte
	for {
		piece, err := in.ReadSlice('\n')
		if len(piece) > 0 {
			h.look(t, append(tail, piece...), true, fmt.Sprintf("in line %d", line))
		}
		switch {
		case err == nil:
			line++
			tail = nil
		case errors.Is(err, bufio.ErrBufferFull):
			tail = bytes.Clone(piece[len(piece)-256:])
		case errors.Is(err, io.EOF):
			h.report(t, "log", name)
			return nil
		default:
			return err
		}
	}
}
