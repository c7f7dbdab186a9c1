package masking

import (
	"context"
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
	spans := detect.Append(nil, s)
	if len(spans) == 0 {
		return toValid(s)
	}
	return string(p.appendSpans(make([]byte, 0, len(s)+len(s)/8), s, spans, l))
}

// appendText appends s with every find masked at level l.
func appendText(dst []byte, s string, p Policy, l Level) []byte {
	return p.appendSpans(dst, s, detect.Append(nil, s), l)
}

func (p Policy) appendSpans(dst []byte, s string, spans []detect.Span, l Level) []byte {
	if !utf8.ValidString(s) {
		out := 0
		for _, span := range spans {
			dst = appendValid(dst, s[out:span.Start])
			dst = p.appendSpan(dst, span, s[span.Start:span.End], l)
			out = span.End
		}
		return appendValid(dst, s[out:])
	}
	out := 0
	for _, span := range spans {
		dst = append(dst, s[out:span.Start]...)
		dst = p.appendSpan(dst, span, s[span.Start:span.End], l)
		out = span.End
	}
	return append(dst, s[out:]...)
}

// appendSpan masks one find. A find can hold one half of a pair of direction controls: that half stays, or
// the mask would turn the rest of the line around.
func (p Policy) appendSpan(dst []byte, span detect.Span, s string, l Level) []byte {
	dst = p.appendValue(dst, found[span.Kind], l, s)
	for i := 0; i < len(s); i++ {
		if s[i] == 0xE2 {
			return appendUnbalanced(dst, s)
		}
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

func appendValid(dst []byte, s string) []byte {
	if utf8.ValidString(s) {
		return append(dst, s...)
	}
	for i := 0; i < len(s); {
		r, w := utf8.DecodeRuneInString(s[i:])
		dst = utf8.AppendRune(dst, r)
		i += w
	}
	return dst
}
