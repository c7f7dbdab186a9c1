package spill

// Segment is the content of a segment with these records.
func SegmentBytes(key []byte, session [16]byte, number uint64, records ...string) []byte {
	at := place{session: session, segment: number}
	b := appendHeader(nil, at)
	for _, r := range records {
		b = appendRecord(b, key, at, []byte(r))
		at.index++
	}
	return b
}

// SlotBytes is one slot of a session's ledger.
func SlotBytes(key []byte, session [16]byte, turn uint64, ledger string) []byte {
	return (&session_{id: session, turn: turn}).slot(key, []byte(ledger))
}

type session_ = session
