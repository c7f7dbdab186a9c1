package zh

import (
	"strings"
	"unicode/utf8"
)

// fakeTails end words that are no administrative divisions; fakeWords are none as a whole.
const (
	fakeTails = "小区 社区 园区 校区 景区 厂区 库区 院区 街区 超市 夜市 集市 菜市 门市 都市 住宅区 生活区 工业区"
	fakeWords = "城区 山区 片区 区县 地区 城市 楼市 股市 上市 早市 花市 县市 省市 本市 全市 我市 该市 各市"
)

var streetRunes = NewRunes("路街道巷弄号楼栋室镇乡村")

var (
	fakeTailSet, fakeWordSet = newSet(fakeTails), newSet(fakeWords)

	// quick tests: what ends a division anywhere, and what stands before the last character of a fake one
	endRunes  = NewRunes("区區县縣旗市州盟")
	fakeRunes = NewRunes(beforeLast(fakeTails))
)

func beforeLast(list string) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(list) {
		b.WriteString(word[len(word)-len("小区") : len(word)-len("区")])
	}
	return b.String()
}

// Division returns the length in bytes of the division s starts with: two to eight Han characters up to
// the first of the given endings, which are among endRunes, or 0.
func Division(s, endings string) int {
	const most = 8
	n := 0
	for i, r := range s {
		if r < 0x3400 || r > 0x9FFF {
			return 0
		}
		if n++; n > most+1 {
			return 0
		}
		if n < 2 || !endRunes.Has(r) || !among(endings, r) {
			if streetRunes.Has(r) {
				return 0
			}
			continue
		}
		end := i + utf8.RuneLen(r)
		if fake(s[:end]) {
			return 0
		}
		return end
	}
	return 0
}

func among(list string, r rune) bool {
	for _, c := range list {
		if c == r {
			return true
		}
	}
	return false
}

func fake(s string) bool {
	const two = len("小区")
	if len(s) == two && fakeWordSet.has(s) {
		return true
	}
	if before, _ := utf8.DecodeRuneInString(s[len(s)-two:]); !fakeRunes.Has(before) {
		return false
	}
	return fakeTailSet.has(s[len(s)-two:]) || len(s) >= len("住宅区") && fakeTailSet.has(s[len(s)-len("住宅区"):])
}
