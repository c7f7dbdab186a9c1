package masking

import "github.com/confide-go/confide/masking/internal/detect"

// appendKeyed masks s as free text that stands under a key. The key is read as the words before s, so that
// eleven digits under order_id stay what they are.
func appendKeyed(dst []byte, key, s string, p Policy, l Level) []byte {
	if key == "" {
		return appendText(dst, s, p, l)
	}
	f := finds{scan: detect.Scanner{Text: key + ": " + s}}
	f.scan.Spans = f.room[:0]
	return f.append(dst, p, s, l)
}
