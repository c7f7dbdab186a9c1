package backup

import "encoding/binary"

// bind encodes a label and fields so that no two different lists give the same
// bytes: each is preceded by its length in four bytes.
func bind(label string, fields ...[]byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(label)))
	out = append(out, label...)
	for _, f := range fields {
		out = binary.BigEndian.AppendUint32(out, uint32(len(f)))
		out = append(out, f...)
	}
	return out
}

func number32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func number64(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
