package backup

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/klauspost/compress/zstd"
)

const (
	chunkVersion   = 2 // of the object; version 1 was sealed by the repository's own key
	contentVersion = 1 // of what is inside
	tagSize        = 16
	macSize        = 32
	chunkHead1     = 1 + 4 + tagSize
	chunkHead2     = chunkHead1 + nameSize
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
// run or repository does not open here.
func (c *codec) binding(tag []byte, run ID, id chunkID, epoch []byte) []byte {
	return bind("confide/backup/chunk/v1", c.ring.repo, tag, number64(uint64(run)), id[:], epoch)
}

func (c *codec) binding2(head []byte, run ID, id chunkID) []byte {
	return bind("confide/backup/chunk/v2", c.ring.repo, number64(uint64(run)), id[:], head)
}

// mac proves to whoever has the KEK that the writer made this object, also when
// the data key that opens it is out of reach.
func (c *codec) mac(run ID, id chunkID, object []byte) ([]byte, error) {
	c.buf = append(c.buf[:0], bind("confide/backup/chunk-mac/v2", c.ring.repo, number64(uint64(run)), id[:])...)
	return c.ring.prf("confide/backup/chunk-mac/v2", append(c.buf, object...), macSize)
}

// seal turns a chunk's content into an object.
func (c *codec) seal(key *dataKey, tag []byte, id chunkID, content []byte) ([]byte, error) {
	head := append([]byte{chunkVersion}, number32(c.ring.epoch)...)
	head = append(append(head, tag...), key.name.name[:]...)
	c.buf = c.pack.EncodeAll(content, c.buf[:0])
	sealed, err := key.aead.Encrypt(c.buf, c.binding2(head, key.name.run, id))
	if err != nil {
		return nil, fmt.Errorf("backup: seal chunk: %w", err)
	}
	object := make([]byte, 0, len(head)+len(sealed)+macSize)
	object = append(append(object, head...), sealed...)
	mac, err := c.mac(key.name.run, id, object)
	return append(object, mac...), err
}

// check proves that an object is the chunk of this id as the writer made it. It
// returns the name of the data key that opens it, zero for version 1, which
// only opening proves.
func (c *codec) check(run ID, id chunkID, object []byte) (dataKeyName, error) {
	if len(object) < chunkHead1 {
		return dataKeyName{}, errors.New("is truncated")
	}
	switch object[0] {
	case 1:
		return dataKeyName{}, nil
	case chunkVersion:
	default:
		return dataKeyName{}, fmt.Errorf("has unknown version %d", object[0])
	}
	if len(object) < chunkHead2+macSize {
		return dataKeyName{}, errors.New("is truncated")
	}
	signed, mac := object[:len(object)-macSize], object[len(object)-macSize:]
	want, err := c.mac(run, id, signed)
	if err != nil {
		return dataKeyName{}, err
	}
	if !hmac.Equal(mac, want) {
		return dataKeyName{}, errors.New("has a wrong seal: it was changed, truncated, or belongs elsewhere")
	}
	return dataKeyName{run: run, name: [nameSize]byte(object[chunkHead1:chunkHead2])}, nil
}

// unseal opens an object that should be the chunk of this id. It proves that the
// content is what was sealed under that id, in this repository. A keyTrouble says
// nothing against the object.
func (c *codec) unseal(ctx context.Context, run ID, id chunkID, object []byte) ([]byte, error) {
	name, err := c.check(run, id, object)
	if err != nil {
		return nil, err
	}
	packed, err := c.decrypt(ctx, run, id, name, object)
	if err != nil {
		return nil, err
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

// keyTrouble is why a chunk could not be opened that is not to blame for it.
type keyTrouble struct{ error }

func (k keyTrouble) Unwrap() error { return k.error }

func (c *codec) decrypt(ctx context.Context, run ID, id chunkID, name dataKeyName, object []byte) ([]byte, error) {
	var packed []byte
	var err error
	if object[0] == 1 {
		packed, err = c.ring.aead.Decrypt(object[chunkHead1:], c.binding(object[5:chunkHead1], run, id, object[1:5]))
	} else {
		key, failed := c.ring.data.get(ctx, c.ring, name)
		if failed != nil {
			return nil, keyTrouble{failed}
		}
		packed, err = key.Decrypt(object[chunkHead2:len(object)-macSize], c.binding2(object[:chunkHead2], run, id))
	}
	if err != nil {
		return nil, errors.New("does not open: it was changed, truncated, or belongs elsewhere")
	}
	return packed, nil
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
