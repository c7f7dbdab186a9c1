package fold_test

import (
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"

	"github.com/confide-go/confide/masking/internal/fold"
)

func TestEveryDecimalDigitOfUnicodeIsRead(t *testing.T) {
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		v, script := fold.Rune(r)
		if unicode.Is(unicode.Nd, r) {
			n++
			assert.NotEqual(t, fold.None, script, "%U", r)
			assert.Equal(t, byte('0'+n%10-1+10*b2i(n%10 == 0)), v, "%U", r)
		}
	}
	assert.Greater(t, n, 600)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestChineseNumerals(t *testing.T) {
	for i, r := range []rune("零一二三四五六七八九") {
		v, script := fold.Rune(r)
		assert.Equal(t, byte('0'+i), v)
		assert.Equal(t, fold.Numeral, script)
	}
	for _, r := range "壹幺" {
		v, _ := fold.Rune(r)
		assert.Equal(t, byte('1'), v)
	}
	for _, r := range "十百千万两半a中" {
		_, script := fold.Rune(r)
		assert.Equal(t, fold.None, script, "%c", r)
	}
}

func TestDigitReportsItsWidth(t *testing.T) {
	v, w, script := fold.Digit("\uFF18", 0)
	assert.Equal(t, []any{byte('8'), 3, fold.Wide}, []any{v, w, script})
	_, w, _ = fold.Digit("\xff", 0)
	assert.Zero(t, w)
}

func TestSeparatorsAndInvisibles(t *testing.T) {
	for r, want := range map[rune]byte{' ': ' ', 0xA0: ' ', 0x3000: ' ', '-': '-', 0x2013: '-', 0xFF0D: '-', '.': '.', 0xFF08: '(', 0xFF0B: '+', 'a': 0, '\n': 0, '中': 0} {
		assert.Equal(t, want, fold.Separator(r), "%U", r)
	}
	for _, r := range []rune{0xAD, 0x200B, 0x200D, 0x202E, 0x2060, 0xFEFF, 0xFE0F} {
		assert.True(t, fold.Invisible(r), "%U", r)
	}
	for _, r := range []rune{' ', 'a', 0x2000, 0x3000} {
		assert.False(t, fold.Invisible(r), "%U", r)
	}
}
