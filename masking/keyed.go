package masking

import "github.com/confide-go/confide/masking/internal/detect"

// appendKeyed masks s as free text that stands under a key. The key is read as the words before s, so that
// eleven digits under order_id stay what they are.
func appendKeyed(dst []byte, key, s string, p Policy, l Level) []byte {
	if key == "" {
		return appendText(dst, s, p, l)
	}
	text := key + ": " + s
	from := len(text) - len(s)
	out := from
	for _, span := range detect.Append(nil, text) {
		if span.End <= from {
			continue
		}
		start := max(span.Start, from)
		dst = appendValid(dst, text[out:start])
		dst = p.appendSpan(dst, span, text[start:span.End], l)
		out = span.End
	}
	return appendValid(dst, text[out:])
}
