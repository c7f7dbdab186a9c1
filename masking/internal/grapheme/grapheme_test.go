package grapheme_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/confide-go/confide/masking/internal/grapheme"
)

func TestClusters(t *testing.T) {
	for _, clusters := range [][]string{
		{"a", "b"}, {"e\u0301", "x"}, {"\r\n", "a"}, {"👨\u200d👩\u200d👧", "x"}, {"🇨🇳", "🇩🇪"}, {"👍🏽", "!"}, {"각", "나"}, {"\u1100\u1161\u11a8", "a"},
		{"नि", "a"}, {"กำ"[:3], "ำ"}, {"❤\ufe0f", "a"}, {"张", "三"}, {"🏴\U000E0067\U000E007F", "x"}, {"\xff", "a"}, {"\u0600a", "b"},
	} {
		s := strings.Join(clusters, "")
		for _, want := range clusters {
			size, _ := grapheme.Next(s)
			assert.Equal(t, want, s[:size])
			s = s[size:]
		}
		assert.Equal(t, len(clusters), grapheme.Count(strings.Join(clusters, ""), 10))
	}
	size, _ := grapheme.Next("")
	assert.Zero(t, size)
	assert.Equal(t, 3, grapheme.Count("aaaaaa", 3))
}
