package detect

import (
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/zh"
)

// unitRunes follow the numbers in a Chinese address.
var unitRunes = zh.NewRunes("号號弄栋棟幢室楼樓层層座巷组組房户戶社门門")

func addressUnit(w string, start, end int) bool {
	return unitSize(w[end:]) > 0 || mayBeHouse(w, start, end) || start >= 3 && behindUnit(w, start)
}

// behindUnit: 塔3座1202.
func behindUnit(w string, start int) bool {
	r, _ := utf8.DecodeLastRuneInString(w[:start])
	return r == '座' || r == '栋' || r == '棟' || r == '幢' || r == '楼' || r == '樓'
}

func unitSize(s string) int {
	if len(s) < 3 || s[0] < 0xE4 {
		return 0
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case unitRunes.Has(r):
		return size
	case strings.HasPrefix(s, "单元"):
		return len("单元")
	}
	return 0
}

// address finds a postal address from one of its numbers: back to where the division or street begins, and
// on to its last number.
func (c *cluster) address(g int) (Span, bool) {
	start, end := c.groups[g].start, c.groups[g].end
	if (g == 0 || c.groups[g].sep == comma || c.groups[g].sep == mixed) && mayBeHouse(c.w, start, end) {
		if span, ok := c.street(g); ok {
			return span, true
		}
	}
	h := g
	for h+1 < c.n && c.groups[h+1].sep == '-' { // 3-2-501室
		h++
	}
	size := unitSize(c.w[c.groups[h].end:])
	if size == 0 && !(start >= 3 && behindUnit(c.w, start)) {
		return Span{}, false
	}
	end = c.groups[h].end + size
	from, ok := addressStart(c.w, start)
	if !ok {
		return Span{}, false
	}
	return Span{from, addressTail(c.w, end), Address, Shape, likely}, true
}

const streetRunes = "路街道巷弄里村镇鎮乡鄉屯庄莊社区區苑园園寓厦廈城湾灣桥橋坊组隊队院场場段大中座塔栋棟幢楼樓"

// addressStart goes back over Han and numbers from the first number of an address.
func addressStart(w string, at int) (int, bool) {
	const longest = 120
	from := at
	for from > 0 && at-from < longest {
		r, size := utf8.DecodeLastRuneInString(w[:from])
		if !isHan(r) && !(r < utf8.RuneSelf && (isWord(byte(r)) || r == '-' || r == ' ')) && r != 0xFF08 && r != 0xFF09 {
			break
		}
		from -= size
	}
	segment := w[from:at]
	last, _ := utf8.DecodeLastRuneInString(segment)
	street := streetSet.Has(last)
	first := -1
	for i := 0; i < len(segment); {
		r, size := utf8.DecodeRuneInString(segment[i:])
		if isHan(r) && zh.Starts(r) && (zh.Province(segment[i:]) > 0 || zh.City(segment[i:]) > 0) && strings.ContainsAny(segment[i:], streetRunes+"区县縣市") {
			first = i
			break
		}
		i += size
	}
	if first >= 0 {
		return from + first, true
	}
	if !street {
		return 0, false
	}
	return roadStart(w, from, segment)
}

// roadStart finds the beginning of a road or district that no known city precedes.
func roadStart(w string, from int, segment string) (int, bool) {
	cut := 0
	for _, marker := range [...]string{"住在", "位于", "地址", "送到", "寄到", "搬到", "送至", "寄至", "家住", "住", "在", "到", "至", "于", "是"} {
		if i := strings.LastIndex(segment, marker); i >= 0 {
			cut = max(cut, i+len(marker))
		}
	}
	if i := strings.LastIndexByte(segment, ' '); i >= 0 && i+1 < len(segment) {
		cut = max(cut, i+1)
	}
	rest := segment[cut:]
	n := utf8.RuneCountInString(rest)
	if n < 2 {
		return 0, false
	}
	if n > 14 {
		i := len(rest)
		for range 4 {
			_, size := utf8.DecodeLastRuneInString(rest[:i])
			i -= size
		}
		cut += i
	}
	if strings.IndexFunc(segment[cut:], isHan) != 0 {
		return 0, false
	}
	return from + cut, strings.ContainsAny(segment[cut:], "路街道巷弄村镇鎮乡鄉段")
}

var (
	streetSet  = zh.NewRunes(streetRunes)
	tailSet    = zh.NewRunes(tailRunes)
	addressSet = zh.NewRunes("省市区區县縣路街道巷弄村镇鎮乡鄉号號")
)

const tailRunes = "号號楼樓室层層座栋棟幢单元單房户戶厦廈苑园園场場区區村寓城院组組队期社"

// addressTail extends an address over further numbers and buildings, up to punctuation.
func addressTail(w string, end int) int {
	const longest = 12
	best := end
	for i, n := end, 0; i < len(w) && n < longest; n++ {
		r, size := utf8.DecodeRuneInString(w[i:])
		switch {
		case isHan(r):
			if r == '之' && i == best && i+size < len(w) && isDigit(w[i+size]) { // 12號之3
				for i += size; i < len(w) && isDigit(w[i]); i++ {
				}
				best = i
				continue
			}
			i += size
			if tailSet.Has(r) || r == '门' && gate(w[:i]) {
				best, n = i, 0
			}
		case r < utf8.RuneSelf && (isWord(byte(r)) || r == '-' || r == '#'):
			number := i
			for i < len(w) && (isWord(w[i]) || w[i] == '-' || w[i] == '#') {
				i++
			}
			if n < 4 && i-number <= 8 && (number == best || unitSize(w[i:]) > 0) {
				best = i + unitSize(w[i:])
				i, n = best, 0
			}
		default:
			return best
		}
	}
	return best
}

// gate: 东门, but not 放门卫.
func gate(s string) bool {
	for _, g := range [...]string{"东门", "西门", "南门", "北门", "正门", "侧门", "大门"} {
		if strings.HasSuffix(s, g) {
			return true
		}
	}
	return false
}

// addressValue reads the rest of the clause behind 地址 or address.
func addressValue(w string, at int, marked bool) (Span, bool) {
	const longest = 150
	start := skipBlank(w, at, marked)
	end, digits, street := start, 0, 0
	for end < len(w) && end-start < longest {
		r, size := decode(w, end)
		if r == '\n' || r == ';' || r == '"' || r == '\t' || r == '{' || r == '}' || r == '|' || isStop(r) {
			break
		}
		if r == ',' && (start < len(w) && w[start] >= utf8.RuneSelf || end+1 < len(w) && w[end+1] != ' ') {
			break
		}
		if end > start && (size != 3 || words.hanEnd(w, end+size)) {
			if top, _ := words.endingAt(w, end+size); top&(tPhone|tName|tID|tCode) != 0 {
				end = max(start, keyStart(w, end+size))
				break
			}
		}
		if r == '.' && end+1 < len(w) && w[end+1] == ' ' && !isUpperAbbreviation(w, end) {
			break
		}
		if r >= '0' && r <= '9' {
			digits++
		}
		if addressSet.Has(r) {
			street++
		}
		end += size
	}
	end = start + len(strings.TrimRight(w[start:end], " .,（("))
	han := start < len(w) && w[start] >= utf8.RuneSelf
	if end-start < 8 || han && street == 0 || !han && (digits == 0 || !strings.Contains(w[start:end], " ")) || !marked && street < 2 {
		return Span{}, false
	}
	return Span{start, end, Address, Context, likely}, true
}

// keyStart is the beginning of the word that ends at w[:end].
func keyStart(w string, end int) int {
	_, size := words.endingAt(w, end)
	return end - size
}

func isUpperAbbreviation(w string, dot int) bool {
	return dot >= 2 && isLetter(w[dot-1]) && (!isLetter(w[dot-2]) || dot >= 3 && !isLetter(w[dot-3]) || dot >= 4 && !isLetter(w[dot-4]))
}

func isStop(r rune) bool {
	switch r {
	case '，', '。', '；', '、', '？', '！':
		return true
	}
	return false
}
