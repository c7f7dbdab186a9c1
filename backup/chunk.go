package backup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/klauspost/compress/zstd"
)

const (
	chunkVersion   = 1 // of the object
	contentVersion = 1 // of what is inside
	tagSize        = 16
	chunkOverhead  = 1 + 4 + tagSize
)

// A codec seals and opens chunks; it is used by one goroutine.
type codec struct {
	ring *keyring
	pack *zstd.Encoder
	open *zstd.Decoder
	buf  []byte
}

func newCodec(ring *keyring) (*codec, error) {
	pack, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("backup: compressor: %w", err)
	}
	open, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*maxRow))
	if err != nil {
		return nil, fmt.Errorf("backup: decompressor: %w", err)
	}
	return &codec{ring: ring, pack: pack, open: open}, nil
}

func (c *codec) close() {
	c.pack.Close()
	c.open.Close()
}

// chunkHeader begins a chunk's content and makes it describe itself, so that a
// row is never read under another table's or another version's columns.
func chunkHeader(t Table) []byte {
	out := []byte{contentVersion}
	out = appendSized(out, t.Name)
	out = binary.AppendUvarint(out, uint64(len(t.Columns)))
	for _, col := range t.Columns {
		out = appendSized(out, col.Name)
	}
	return out
}

func appendSized(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// tag is the name of a table outside of sealed content.
func (k *keyring) tag(table string) ([]byte, error) {
	return k.prf("confide/backup/table/v1", []byte(table), tagSize)
}

// id is the name of a chunk: the keyed hash of its content.
func (c *codec) id(content []byte) (chunkID, error) {
	c.buf = append(append(c.buf[:0], bind("confide/backup/chunk-id/v1")...), content...)
	sum, err := c.ring.hash.ComputePrimaryPRF(c.buf, 32)
	if err != nil {
		return chunkID{}, fmt.Errorf("backup: keyed hash: %w", err)
	}
	return chunkID(sum), nil
}

// binding ties a chunk to its place: the same content sealed for another table,
// generation or repository does not open here.
func (c *codec) binding(tag []byte, generation ID, id chunkID, epoch []byte) []byte {
	return bind("confide/backup/chunk/v1", c.ring.repo, tag, number64(uint64(generation)), id[:], epoch)
}

// seal turns a chunk's content into an object.
func (c *codec) seal(tag []byte, generation ID, id chunkID, content []byte) ([]byte, error) {
	epoch := number32(c.ring.epoch)
	c.buf = c.pack.EncodeAll(content, c.buf[:0])
	sealed, err := c.ring.aead.Encrypt(c.buf, c.binding(tag, generation, id, epoch))
	if err != nil {
		return nil, fmt.Errorf("backup: seal chunk: %w", err)
	}
	object := make([]byte, 0, chunkOverhead+len(sealed))
	object = append(object, chunkVersion)
	object = append(object, epoch...)
	object = append(object, tag...)
	return append(object, sealed...), nil
}

// unseal opens an object that should be the chunk of this id. It proves that the
// content is what was sealed under that id, in this repository.
func (c *codec) unseal(generation ID, id chunkID, object []byte) ([]byte, error) {
	if len(object) < chunkOverhead {
		return nil, errors.New("is truncated")
	}
	if object[0] != chunkVersion {
		return nil, fmt.Errorf("has unknown version %d", object[0])
	}
	epoch, tag := object[1:5], object[5:chunkOverhead]
	packed, err := c.ring.aead.Decrypt(object[chunkOverhead:], c.binding(tag, generation, id, epoch))
	if err != nil {
		return nil, errors.New("does not open: it was changed, truncated, or belongs elsewhere")
	}
	content, err := c.open.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("does not decompress: %w", err)
	}
	got, err := c.id(content)
	if err != nil {
		return nil, err
	}
	if got != id {
		return nil, errors.New("holds other content than its name says")
	}
	return content, nil
}

// rowsOf yields the rows of a chunk's content, which must be one of this table.
func rowsOf(table Table, content []byte) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		header := chunkHeader(table)
		if len(content) < len(header) || string(content[:len(header)]) != string(header) {
			yield(nil, fmt.Errorf("is not a chunk of table %q with these columns", table.Name))
			return
		}
		for rest := content[len(header):]; len(rest) > 0; {
			size, n := binary.Uvarint(rest)
			if n <= 0 || size > uint64(len(rest)-n) {
				yield(nil, errors.New("ends inside a row"))
				return
			}
			end := n + int(size)
			if !yield(rest[n:end:end], nil) {
				return
			}
			rest = rest[end:]
		}
	}
}
