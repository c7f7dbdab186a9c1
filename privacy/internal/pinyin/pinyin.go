// Package pinyin reads Chinese characters as Latin syllables without tones.
//
// The table is frozen: stored search tokens are made of it, so a better one is a new version beside it and
// never a change. It holds the commonest reading of each character from U+4E00 to U+9FFF, ü written v, and
// was made once from the dictionary of go-pinyin 0.21.0, whose licence is in NOTICE.
package pinyin

import (
	_ "embed"
	"strings"
)

// Version names the table in what is stored.
const Version = 1

const (
	first = 0x4E00
	last  = 0x9FFF
	none  = "--"
)

var (
	// One line of syllables in alphabetical order, and one with two digits of base 36 for each character.
	//
	//go:embed pinyin1.txt
	table string
)

// surnames are characters that are read otherwise at the beginning of a name.
const surnames = "单shan 曾zeng 仇qiu 解xie 查zha 任ren 区ou 盖ge 朴piao 尉yu 万mo 俟qi 翟zhai 种chong 繁po 召shao " +
	"员yun 冼xian 覃qin 缪miao 乐yue 宁ning 秘bi 洗xian 黑he 折she 那na 长zhang 沈shen 谷gu 褚chu 晟cheng 逄pang 郗xi 隗wei " +
	"教jiao 祭zhai 訾zi 撒sa 不fou 阚kan 牟mu 佴nai 卜bu 柏bai 车che 石shi 贾jia 薄bo 臧zang 殷yin 强qiang 燕yan 哈ha 适kuo"

// A Table reads characters. The zero Table is none; use New.
type Table struct {
	syllables []string
	codes     string
	surname   map[rune]string
}

// New returns the frozen table.
func New() *Table {
	names, codes, _ := strings.Cut(strings.TrimSpace(table), "\n")
	t := &Table{syllables: strings.Fields(names), codes: codes, surname: map[rune]string{}}
	for s := range strings.FieldsSeq(surnames) {
		for _, r := range s {
			t.surname[r] = strings.TrimPrefix(s, string(r))
			break
		}
	}
	return t
}

// Read returns the syllable of a character, "" if it has none.
func (t *Table) Read(r rune) string {
	if r < first || r > last {
		return ""
	}
	at := int(r-first) * 2
	code := t.codes[at : at+2]
	if code == none {
		return ""
	}
	return t.syllables[digit(code[0])*36+digit(code[1])]
}

// Surname returns how a character is read at the beginning of a name, where that differs from Read.
func (t *Table) Surname(r rune) string {
	if s := t.surname[r]; s != t.Read(r) {
		return s
	}
	return ""
}

func digit(c byte) int {
	if c <= '9' {
		return int(c - '0')
	}
	return int(c-'a') + 10
}
