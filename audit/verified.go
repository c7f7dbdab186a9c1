package audit

import (
	"encoding/json"
	"fmt"
)

// Verified is how far a log was verified: the heads of all logs, each with a
// signed checkpoint. Keep it outside the database, as text, and give it to the
// next verification as VerifyOptions.Since.
type Verified struct {
	Heads []Head
}

// verifiedFormat is the first field of a state's text, with its version.
const verifiedFormat = "confide-audit-verified/1"

type verifiedText struct {
	Format string         `json:"format"`
	Heads  []verifiedHead `json:"heads"`
}

type verifiedHead struct {
	Log  string `json:"log"`
	Size int64  `json:"size"`
	Tip  []byte `json:"tip"`
	Edge []byte `json:"edge"`
	Note []byte `json:"note"`
}

// MarshalText implements encoding.TextMarshaler.
func (s Verified) MarshalText() ([]byte, error) {
	text := verifiedText{Format: verifiedFormat}
	for _, h := range s.Heads {
		text.Heads = append(text.Heads, verifiedHead{h.Log, h.Size, h.Tip, h.Edge, h.Note})
	}
	return json.Marshal(text)
}

// UnmarshalText implements encoding.TextUnmarshaler. The signatures are checked
// when it is used.
func (s *Verified) UnmarshalText(b []byte) error {
	var text verifiedText
	if err := json.Unmarshal(b, &text); err != nil || text.Format != verifiedFormat {
		return fmt.Errorf("%w: this is not a verified state in the format %s", ErrInvalid, verifiedFormat)
	}
	s.Heads = nil
	for _, h := range text.Heads {
		s.Heads = append(s.Heads, Head{Log: h.Log, Size: h.Size, Tip: h.Tip, Edge: h.Edge, Note: h.Note})
	}
	return nil
}

// begin checks the state of an earlier verification: each head must be what its
// signature says, or it could skip what nobody has verified.
func (v *verifier) begin(s *Verified) error {
	if s == nil {
		return nil
	}
	v.since = make(map[string]Head, len(s.Heads))
	for _, h := range s.Heads {
		if _, err := v.keys.checkHead(h); err != nil {
			return fmt.Errorf("%w: VerifyOptions.Since is not what an earlier verification gave: %w", ErrInvalid, err)
		}
		if _, twice := v.since[h.Log]; twice {
			return fmt.Errorf("%w: VerifyOptions.Since has log %q twice", ErrInvalid, h.Log)
		}
		v.since[h.Log] = h
	}
	top, ok := v.since[topLog]
	if !ok {
		return fmt.Errorf("%w: VerifyOptions.Since has no checkpoint of the whole", ErrInvalid)
	}
	v.report.Since = top.Size
	v.report.Anchored, v.report.AnchoredTo = true, top.Size
	return nil
}
