package backup

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/confide-go/confide/backup/cell"
)

// Where a chunk may end. Boundaries depend on primary keys alone, so an update
// moves none and an insert at most one; the sizes keep chunks between a bound
// that makes objects worth their overhead and one that bounds memory.
const (
	minChunk  = 256 << 10 // no boundary before
	softChunk = 1 << 20   // boundaries become 16 times as likely
	maxChunk  = 4 << 20   // always a boundary; one row may be larger
	maxRow    = 512 << 20 // larger rows are refused

	rareBoundary   = 2048 // one key in so many ends a chunk
	likelyBoundary = 128
)

// A cutter collects the rows of one table into chunk contents.
type cutter struct {
	table  Table
	mac    hash.Hash
	header []byte

	buf    []byte
	rows   int64
	last   int   // where the last row begins in buf
	offset []int // where each cell of the last row began, and its end
	digest []byte
}

func newCutter(boundaryKey []byte, table Table) *cutter {
	return &cutter{table: table, mac: hmac.New(sha256.New, boundaryKey), header: chunkHeader(table)}
}

// start begins a chunk in buf, whose content is dropped.
func (c *cutter) start(buf []byte) {
	c.buf, c.rows = append(buf[:0], c.header...), 0
}

// append adds a row to the chunk.
func (c *cutter) append(row Row) error {
	if len(row) > maxRow {
		return fmt.Errorf("%w: a row of table %q has %d bytes, more than %d; exclude the table", ErrUnsupported, c.table.Name, len(row), maxRow)
	}
	if err := c.parse(row); err != nil {
		return fmt.Errorf("backup: row of table %q: %w", c.table.Name, err)
	}
	c.buf = binary.AppendUvarint(c.buf, uint64(len(row)))
	c.last = len(c.buf)
	c.buf = append(c.buf, row...)
	c.rows++
	return nil
}

// lastKey returns the cells of the last row's primary key.
func (c *cutter) lastKey() (key []byte) {
	row := c.buf[c.last:]
	for _, i := range c.table.Key {
		key = append(key, row[c.offset[i]:c.offset[i+1]]...)
	}
	return key
}

// add appends a row and reports whether the chunk ends here.
func (c *cutter) add(row Row) (bool, error) {
	if err := c.append(row); err != nil {
		return false, err
	}
	switch size := len(c.buf); {
	case size < minChunk:
		return false, nil
	case size < softChunk:
		return c.key(row)%rareBoundary == 0, nil
	case size < maxChunk:
		// Of large rows so few fit that only their sizes would decide, and one more
		// row would move all boundaries behind it.
		likely := min(likelyBoundary, max(1, softChunk/len(row)))
		return c.key(row)%uint64(likely) == 0, nil
	}
	return true, nil
}

// parse checks that the row is what the table declares.
func (c *cutter) parse(row Row) error {
	c.offset = c.offset[:0]
	rest := []byte(row)
	for len(rest) > 0 {
		c.offset = append(c.offset, len(row)-len(rest))
		var err error
		if _, rest, err = cell.Next(rest); err != nil {
			return err
		}
	}
	if len(c.offset) != len(c.table.Columns) {
		return fmt.Errorf("has %d cells for %d columns", len(c.offset), len(c.table.Columns))
	}
	c.offset = append(c.offset, len(row))
	for _, i := range c.table.Key {
		if cell.Kind(row[c.offset[i]]) == cell.Null {
			return fmt.Errorf("%w: column %q of the primary key is NULL; give each row a key, or exclude the table", ErrUnsupported, c.table.Columns[i].Name)
		}
	}
	return nil
}

// key is the keyed hash of the row's primary key.
func (c *cutter) key(row Row) uint64 {
	c.mac.Reset()
	for _, i := range c.table.Key {
		c.mac.Write(row[c.offset[i]:c.offset[i+1]]) // cells delimit themselves
	}
	c.digest = c.mac.Sum(c.digest[:0])
	return binary.BigEndian.Uint64(c.digest)
}
