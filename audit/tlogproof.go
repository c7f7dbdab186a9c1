package audit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A TLogProof says that one entry is in a log, in the format of
// c2sp.org/tlog-proof: it can be checked offline, with the log's verifier key
// and nothing else. Of an event, Extra is the entry itself. Of a tenant's
// checkpoint in the top log, Extra is the hash of the entry before it.
type TLogProof struct {
	Extra      []byte // not signed by itself: the check recomputes the leaf from it
	Index      int64
	Hashes     []tlog.Hash // from the leaf's sibling to the root's child
	Checkpoint []byte      // the signed note of the tree
}

const (
	proofHeader = "c2sp.org/tlog-proof@v1"
	mostHashes  = 63        // the depth of the largest tree, and C2SP's limit for consistency proofs
	mostProof   = 256 << 10 // an entry, its hashes and a checkpoint with some cosignatures
)

// MarshalText implements encoding.TextMarshaler.
func (p TLogProof) MarshalText() ([]byte, error) {
	if p.Index < 0 || len(p.Hashes) > mostHashes || len(p.Checkpoint) == 0 {
		return nil, fmt.Errorf("%w: the proof is not complete; only Prover makes them", ErrInvalid)
	}
	b := append([]byte(proofHeader), '\n')
	if len(p.Extra) > 0 {
		b = append(base64.StdEncoding.AppendEncode(append(b, "extra "...), p.Extra), '\n')
	}
	b = append(strconv.AppendInt(append(b, "index "...), p.Index, 10), '\n')
	b = appendHashes(b, p.Hashes)
	return append(append(b, '\n'), p.Checkpoint...), nil
}

// UnmarshalText implements encoding.TextUnmarshaler. It checks the form only;
// OpenEvent and OpenLink check what the proof says.
func (p *TLogProof) UnmarshalText(text []byte) error {
	malformed := func(what string) error {
		return fmt.Errorf("audit: tlog-proof: %s: %w", what, errMalformed)
	}
	if len(text) > mostProof {
		return malformed("size")
	}
	head, checkpoint, ok := bytes.Cut(text, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !ok || lines[0] != proofHeader || len(lines) < 2 {
		return malformed("first lines")
	}
	lines = lines[1:]
	var q TLogProof
	if extra, ok := strings.CutPrefix(lines[0], "extra "); ok {
		var err error
		if q.Extra, err = base64.StdEncoding.Strict().DecodeString(extra); err != nil || len(q.Extra) == 0 {
			return malformed("extra")
		}
		lines = lines[1:]
	}
	if len(lines) == 0 {
		return malformed("index")
	}
	index, ok := strings.CutPrefix(lines[0], "index ")
	if q.Index, ok = parseDecimal(index, ok); !ok {
		return malformed("index")
	}
	if q.Hashes, ok = parseHashes(lines[1:]); !ok {
		return malformed("hashes")
	}
	q.Checkpoint = bytes.Clone(checkpoint)
	*p = q
	return nil
}

func appendHashes(b []byte, hashes []tlog.Hash) []byte {
	for _, h := range hashes {
		b = append(base64.StdEncoding.AppendEncode(b, h[:]), '\n')
	}
	return b
}

func parseHashes(lines []string) ([]tlog.Hash, bool) {
	if len(lines) > mostHashes {
		return nil, false
	}
	var hashes []tlog.Hash
	for _, line := range lines {
		h, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(h) != tlog.HashSize {
			return nil, false
		}
		hashes = append(hashes, tlog.Hash(h))
	}
	return hashes, true
}

// parseDecimal reads the one spelling of a number that is not negative.
func parseDecimal(s string, ok bool) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, ok && err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}

// includes checks that the tree of c has this leaf at the proof's index.
func (p TLogProof) includes(c Checkpoint, leaf tlog.Hash) error {
	if p.Index >= c.Size {
		return fmt.Errorf("%w: the proof is about entry %d, its checkpoint has %d", ErrTampered, p.Index, c.Size)
	}
	if err := tlog.CheckRecord(p.Hashes, c.Size, c.Root, p.Index, leaf); err != nil {
		return fmt.Errorf("%w: entry %d is not in the signed tree of %d entries", ErrTampered, p.Index, c.Size)
	}
	return nil
}

// OpenEvent checks the proof of an event and returns the event and the
// checkpoint of its tenant's log. That checkpoint is only a part of the whole: check
// with OpenLink that the top log has it, or let History.Check do both.
func (p TLogProof) OpenEvent(keys Keys) (Event, Checkpoint, error) {
	return p.openEvent(keys, anywhere)
}

func (p TLogProof) openEvent(keys Keys, at int64) (Event, Checkpoint, error) {
	if err := keys.check(); err != nil {
		return Event{}, Checkpoint{}, err
	}
	c, err := keys.open(p.Checkpoint, at)
	if err != nil {
		return Event{}, c, fmt.Errorf("%w: the proof's checkpoint is not signed by %s: %w", ErrTampered, keys.name(), err)
	}
	log, ok := logOf(keys.name(), c.Origin)
	if !ok {
		return Event{}, c, fmt.Errorf("%w: the proof's checkpoint is not one of a tenant's log", ErrTampered)
	}
	if err := p.includes(c, tlog.RecordHash(p.Extra)); err != nil {
		return Event{}, c, err
	}
	e, ev, err := openEntry(p.Extra)
	if err != nil || e.kind != kindEvent || e.seq != p.Index || ev.Actor.Tenant != log {
		return Event{}, c, fmt.Errorf("%w: what is proven is not an event of log %q", ErrTampered, log)
	}
	ev.Seq = e.seq
	return ev, c, nil
}

// OpenLink checks the proof that a tenant's checkpoint is an entry of the top
// log, and returns the checkpoint of the top log: the one to compare with an anchor.
func (p TLogProof) OpenLink(tenant []byte, keys Keys) (Checkpoint, error) {
	if err := keys.check(); err != nil {
		return Checkpoint{}, err
	}
	c, err := keys.open(p.Checkpoint, topItself)
	if err != nil || !isTopOrigin(keys.name(), c.Origin) {
		return c, fmt.Errorf("%w: the link's checkpoint is not one of the whole signed by %s", ErrTampered, keys.name())
	}
	if len(p.Extra) != tlog.HashSize {
		return c, fmt.Errorf("%w: the link does not carry the hash of the entry before", ErrTampered)
	}
	data := entry{kind: kindCheckpoint, seq: p.Index, prev: tlog.Hash(p.Extra), body: tenant}.encode()
	return c, p.includes(c, tlog.RecordHash(data))
}
