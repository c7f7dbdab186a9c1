package masking

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/detect"
	"github.com/confide-go/confide/masking/internal/fold"
)

// found maps what the detector finds to kinds.
var found = [...]Kind{
	detect.Phone: KindPhone, detect.Email: KindEmail, detect.Name: KindName, detect.ID: KindID,
	detect.Card: KindCard, detect.Address: KindAddress, detect.Plate: KindPlate,
	detect.Passport: KindPassport, detect.Permit: KindPermit, detect.Military: KindMilitary,
	detect.USCC: KindUSCC, detect.IP: KindIP, detect.MAC: KindMAC, detect.IBAN: KindIBAN,
	detect.SSN: KindSSN, detect.BirthDate: KindBirthDate, detect.Geo: KindGeo,
	detect.Secret: KindSecret, detect.Chat: KindChat,
}

// Text masks the personal data it finds in s for the caller in ctx.
func (p Policy) Text(ctx context.Context, s string) string { return p.text(s, p.level(ctx)) }

// text returns s itself where there is nothing to mask.
func (p Policy) text(s string, l Level) string {
	if l == Full {
		return toValid(s)
	}
	f := finds{scan: detect.Scanner{Text: s}}
	f.scan.Spans = f.room[:0]
	for f.next() {
		if len(f.scan.Spans) > 0 {
			return f.text(p, s, l)
		}
	}
	return toValid(s)
}

// text is append for a text of its own. What is made of a piece goes to the result while it is in the cache.
func (f *finds) text(p Policy, s string, l Level) string {
	made := make([]byte, 0, min(len(s)+len(s)/8, 2*piece))
	if len(s) <= piece {
		return string(f.append(made, p, s, l))
	}
	var all strings.Builder
	all.Grow(len(s) + len(s)/32)
	for more := true; more; {
		made, more = f.appendPiece(made[:0], p, s, l)
		all.Write(made)
	}
	return all.String()
}

// appendText appends s with every find masked at level l.
func appendText(dst []byte, s string, p Policy, l Level) []byte {
	f := finds{scan: detect.Scanner{Text: s}}
	f.scan.Spans = f.room[:0]
	return f.append(dst, p, s, l)
}

// finds goes through a text in pieces, so that what is found in one is masked before the next is looked at.
type finds struct {
	scan detect.Scanner
	room [24]detect.Span
	out  int // how much of the text has been passed on
}

// piece is how much text is looked at before its finds are masked. The output does not depend on its size.
const piece = 2 << 10

// next looks at the next piece. It returns false at the end.
func (f *finds) next() bool {
	if f.scan.Pos >= len(f.scan.Text) {
		return false
	}
	f.scan.Run(min(len(f.scan.Text), f.scan.Pos+piece))
	return true
}

// append appends s, the end of the scanned text, with every find masked. What stands in front of s is read
// and not shown.
func (f *finds) append(dst []byte, p Policy, s string, l Level) []byte {
	for more := true; more; {
		dst, more = f.appendPiece(dst, p, s, l)
	}
	return dst
}

// appendPiece is append for one more piece, as far as nothing behind it can change what was found.
func (f *finds) appendPiece(dst []byte, p Policy, s string, l Level) (made []byte, more bool) {
	from := len(f.scan.Text) - len(s)
	more = f.next()
	done := 0
	for _, span := range f.scan.Spans {
		if more && span.End > f.scan.Pos-detect.Behind {
			break
		}
		done++
		if span.End <= from {
			continue
		}
		start, end := max(span.Start-from, 0), span.End-from
		dst = appendValid(dst, s[f.out:start])
		dst = p.appendSpan(dst, span.Kind, s[start:end], l)
		f.out = end
	}
	f.scan.Settle(done)
	if more {
		return dst, true
	}
	return appendValid(dst, s[f.out:]), false
}

// appendSpan masks one find. A find can hold one half of a pair of direction controls: that half stays, or
// the mask would turn the rest of the line around.
func (p Policy) appendSpan(dst []byte, k detect.Kind, s string, l Level) []byte {
	if l == Partial { // the common case
		dst = appendPartial(dst, found[k], p.Profile.orStrict(), s)
	} else {
		dst = p.appendValue(dst, found[k], l, s)
	}
	if strings.IndexByte(s, 0xE2) >= 0 {
		return appendUnbalanced(dst, s)
	}
	return dst
}

func appendUnbalanced(dst []byte, s string) []byte {
	open := 0
	for _, r := range s {
		opens, closes := fold.Bidi(r)
		switch {
		case opens:
			open++
		case closes && open > 0:
			open--
		case closes:
			dst = utf8.AppendRune(dst, r)
		}
	}
	for _, r := range s {
		if opens, _ := fold.Bidi(r); opens && open > 0 {
			open--
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst
}

// clean reports that s is valid UTF-8 and holds nothing to mask.
func clean(s string) bool { return detect.Clean(s) && utf8.ValidString(s) }

// toValid replaces every byte that is not UTF-8 by the replacement character.
func toValid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string(appendValid(nil, s))
}

// validShort is utf8.ValidString, quicker for what stands between two finds.
func validShort(s string) bool {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c < utf8.RuneSelf:
			i++
		case c > 0xE0 && c < 0xED && i+2 < len(s) && s[i+1]&0xC0 == 0x80 && s[i+2]&0xC0 == 0x80:
			i += 3
		default:
			return utf8.ValidString(s[i:])
		}
		if i >= 64 {
			return utf8.ValidString(s[i:])
		}
	}
	return true
}

func appendValid(dst []byte, s string) []byte {
	if validShort(s) {
		return append(dst, s...)
	}
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		dst = utf8.AppendRune(dst, r)
		i += w
	}
	return dst
}
