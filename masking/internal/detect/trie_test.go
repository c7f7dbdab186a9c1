package detect

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// slowEndingAt is endingAt by trying every word of the lists.
func slowEndingAt(list map[string]topic, w string, end int) (top topic, size int) {
	if c := w[end-1]; end < len(w) && isLetter(c) && isLetter(w[end]) && lower(w[end]) != 's' && !isUpper(w[end]) {
		return 0, 0
	}
	for start := end - 1; start >= 0 && end-start <= 64; start-- {
		if found := list[strings.Map(plain, w[start:end])]; found != 0 && wordBoundary(w, start, end) {
			top, size = found, end-start
		}
	}
	return top, size
}

func TestWordsAreFoundAsByTryingTheLists(t *testing.T) {
	list := map[string]topic{}
	var text strings.Builder
	for _, l := range topicWords {
		for i, word := range strings.Fields(l.words) {
			list[strings.Map(plain, word)] |= l.topic
			text.WriteString([]string{word, strings.ToUpper(word), "x" + word, word + "s"}[i%4])
			text.WriteString([]string{" ", "", "，", "1", "-"}[i%5])
		}
	}
	w := text.String()
	for end := 1; end <= len(w); end++ {
		low := max(0, end-100)
		top, size := words.endingAt(w[low:], end-low)
		wantTop, wantSize := slowEndingAt(list, w[low:], end-low)
		require.Equal(t, []any{wantTop, wantSize}, []any{top, size}, "%q", w[max(0, end-40):end])
	}
	for word, top := range list {
		found, size := words.endingAt(word, len(word))
		require.Equal(t, []any{top, len(word)}, []any{found, size}, word)
	}
}
