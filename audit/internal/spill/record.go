package spill

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// MaxRecord bounds a record, so that a forged length cannot make a reader allocate.
	MaxRecord = 64 << 10

	magic      = "confide audit spill\n"
	version    = 1
	sessionLen = 16
	headerLen  = len(magic) + 1 + sessionLen + 8
	macLen     = sha256.Size
)

// A place is where a record stands. It goes into the record's MAC, so that a
// record cannot be moved, repeated or taken out of the middle unnoticed.
type place struct {
	session [sessionLen]byte
	segment uint64
	index   uint64
}

func (p place) mac(key, data []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte("record"))
	h.Write(p.session[:])
	var n [20]byte
	binary.BigEndian.PutUint64(n[:], p.segment)
	binary.BigEndian.PutUint64(n[8:], p.index)
	binary.BigEndian.PutUint32(n[16:], uint32(len(data)))
	h.Write(n[:])
	h.Write(data)
	return h.Sum(nil)
}

func appendHeader(b []byte, p place) []byte {
	b = append(b, magic...)
	b = append(append(b, version), p.session[:]...)
	return binary.BigEndian.AppendUint64(b, p.segment)
}

func appendRecord(b, key []byte, p place, data []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	return append(b, p.mac(key, data)...)
}

// A Fault is a part of a file that cannot be read. It names no content.
type Fault struct {
	File    string // base name
	Records int    // how many records it concerns, at least
	Why     string
}

// readSegment hands the records of a segment to f in order. A last record that
// is not whole was never acknowledged and is left out silently; everything else
// that cannot be read is a Fault.
func readSegment(r io.Reader, name string, keys [][]byte, want place, f func([]byte) error) (*Fault, error) {
	in := bufio.NewReader(r)
	header := make([]byte, headerLen)
	n, err := io.ReadFull(in, header)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		if bytes.HasPrefix(appendHeader(nil, want), header[:n]) {
			return nil, nil // torn before the first record
		}
		return &Fault{name, 1, "it does not begin like a segment"}, nil
	case err != nil:
		return nil, fmt.Errorf("spill: read %s: %w", name, err)
	case !strings.HasPrefix(string(header), magic):
		return &Fault{name, 1, "it does not begin like a segment"}, nil
	case header[len(magic)] != version:
		return &Fault{name, 1, fmt.Sprintf("its version %d is not known; upgrade the library", header[len(magic)])}, nil
	case !bytes.Equal(header, appendHeader(nil, want)):
		return &Fault{name, 1, "it belongs to another session"}, nil
	}
	return readRecords(in, name, keys, want, f)
}

func readRecords(in *bufio.Reader, name string, keys [][]byte, at place, f func([]byte) error) (*Fault, error) {
	var fault *Fault
	bad := func(why string) {
		if fault == nil {
			fault = &Fault{File: name, Why: why}
		}
		fault.Records++
	}
	for ; ; at.index++ {
		data, sum, err := readRecord(in)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, errTorn):
			return fault, nil
		case errors.Is(err, errLength):
			bad("a record's length is impossible; what follows cannot be found")
			return fault, nil
		case err != nil:
			return nil, fmt.Errorf("spill: read %s: %w", name, err)
		case !slices.ContainsFunc(keys, func(key []byte) bool { return hmac.Equal(sum, at.mac(key, data)) }):
			bad("a record is not what was written, or was written with another key")
			continue
		}
		if err := f(data); err != nil {
			return nil, err
		}
	}
}

var (
	errTorn   = errors.New("spill: torn record")
	errLength = errors.New("spill: impossible length")
)

func readRecord(in *bufio.Reader) (data, sum []byte, err error) {
	var length [4]byte
	if _, err := io.ReadFull(in, length[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTorn
		}
		return nil, nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n == 0 {
		return nil, nil, zeroTail(in)
	}
	if n > MaxRecord {
		return nil, nil, errLength
	}
	b := make([]byte, int(n)+macLen)
	if _, err := io.ReadFull(in, b); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTorn
		}
		return nil, nil, err
	}
	return b[:n], b[n:], nil
}

// zeroTail tells a length of zero in the middle, which nobody wrote, from the
// zeros that a file system leaves where a crash kept the data from arriving.
func zeroTail(in io.Reader) error {
	var b [4096]byte
	for {
		n, err := in.Read(b[:])
		for _, c := range b[:n] {
			if c != 0 {
				return errLength
			}
		}
		if errors.Is(err, io.EOF) {
			return errTorn
		}
		if err != nil {
			return err
		}
	}
}
