package detect

import (
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/fold"
)

// phone finds telephone numbers. A few ways of writing are enough by themselves; the others need a word
// that says telephone, and every one gives way to a word that says order number.
func (c *cluster) phone(g int, start bool) (Span, bool) {
	plus, open := c.before(g)
	if plus {
		if h, ok := c.international(g); ok {
			return c.phoneSpan(g, h, Shape, strong), true
		}
		return Span{}, false
	}
	if !start || strings.HasSuffix(c.w[:c.groups[g].start], "第") {
		return Span{}, false
	}
	nearest := c.counted(g)
	if nearest == tSSN && !closeBy(c.w, c.groups[g].start, lookBack/2) {
		nearest = 0 // the number in between was meant
	}
	called := nearest&tPhone != 0 || nearest&(tCode|tMoney|tVersion|tCard|tID|tSSN|tBirth|tPassport|tPermit|tQQ) == 0 && c.all(g, tPhone) ||
		nearest&tDesk != 0 && closeBy(c.w, c.groups[g].start, 3)
	if h, ok := c.mobile(g); ok {
		if nearest&(tCode|tMoney|tCard) != 0 && !called || nearest&tQQ != 0 {
			return Span{}, false
		}
		return c.phoneSpan(g, h, Shape, strong), true
	}
	if h, ok := c.grouped(g, open); ok && (nearest&(tCode|tSSN|tMoney|tVersion) == 0 || called) {
		return c.phoneSpan(g, h, Shape, likely), true
	}
	if h, ok := c.trunk(g, open); ok && (nearest&(tCode|tSSN|tMoney|tVersion|tCard) == 0 || called) {
		return c.phoneSpan(g, h, Shape, guess), true
	}
	if !called && !announced(c, g) {
		return Span{}, false
	}
	if h, ok := c.loose(g); ok {
		return c.phoneSpan(g, h, Context, guess), true
	}
	return Span{}, false
}

// announced looks for a word just behind the number: 61234567 is my mobile.
func announced(c *cluster, g int) bool {
	const clause = 28
	h, ok := c.loose(g)
	return ok && soon(c.w, c.groups[h].end, clause)&(tPhone|tDesk) != 0
}

// before reports a plus sign or an opening bracket in front of group g.
func (c *cluster) before(g int) (plus, open bool) {
	s := c.w[:c.groups[g].start]
	if hanBefore(s, len(s)) {
		return false, false
	}
	for range 3 {
		r, size := utf8.DecodeLastRuneInString(s)
		switch sep := fold.Separator(r); {
		case size == 0:
			return false, open
		case sep == '+':
			return true, open
		case sep == '(' && !open:
			open = true
		case sep == ' ' && open, fold.Invisible(r):
		default:
			return false, open
		}
		s = s[:len(s)-size]
	}
	return false, open
}

// phoneSpan takes the plus sign, an opening bracket and an extension in.
func (c *cluster) phoneSpan(g, h int, r Rule, score rank) Span {
	span := c.span(g, c.groups[h].end, Phone, r, score)
	s := c.w[:span.Start]
	opened, most := false, 3
	if hanBefore(s, len(s)) {
		most = 0
	}
	for range most {
		r, size := utf8.DecodeLastRuneInString(s)
		sep := fold.Separator(r)
		if size == 0 || sep != '+' && !(sep == '(' && !opened && strings.ContainsAny(c.w[c.groups[g].start:span.End], ")\uFF09")) && !fold.Invisible(r) {
			break
		}
		s = s[:len(s)-size]
		if sep != 0 {
			span.Start = len(s)
		}
		opened = opened || sep == '('
	}
	span.End = extension(c.w, span.End)
	return span
}

// extension returns the end of "x123", " ext. 12", "转808" behind a number.
func extension(w string, end int) int {
	rest := w[end:]
	for rest != "" && (rest[0] == ' ' || rest[0] == ',') {
		rest = rest[1:]
	}
	if rest == "" || !extensionStarts[rest[0]] {
		return end
	}
	size := 0
	for _, word := range [...]string{"extension", "extn.", "extn", "ext.", ";ext=", "ext", "x", "#", "转分机", "转", "轉", "分机号", "分机", "内线", "內線", "-"} {
		if hasFold(rest, word) {
			size = len(word)
			break
		}
	}
	if size == 0 || len(w)-end-len(rest) > 2 {
		return end
	}
	if rest[:size] == "-" && (len(rest) < 2 || !isDigit(rest[1])) {
		return end
	}
	digits := strings.TrimLeft(rest[size:], " :")
	n := 0
	for n < len(digits) && isDigit(digits[n]) {
		n++
	}
	if n == 0 || n > 6 || n < len(digits) && isWord(digits[n]) {
		return end
	}
	return len(w) - len(digits) + n
}

// extensionStarts are the bytes that the words for an extension begin with.
var extensionStarts = [256]bool{'e': true, 'E': true, 'x': true, 'X': true, '#': true, '-': true, ';': true, 0xE8: true, 0xE5: true} // 转 and 轉, 分 and 内

// mobile finds mainland mobile numbers, with 86 or 0086 or without.
func (c *cluster) mobile(g int) (h int, ok bool) {
	const seps = " -."
	d := c.text(g, g)
	if h = c.upTo(g, 11, seps); h >= 0 && isMobile(c.text(g, h)) && c.mobileGroups(g, h) && c.plainEnd(g, h) {
		return h, true
	}
	switch string(d) {
	case "86", "086", "0086":
		if g+1 < c.n && allowed(c.groups[g+1].sep, " -.)(") {
			if h = c.upTo(g+1, 11, seps); h >= 0 && isMobile(c.text(g+1, h)) && c.plainEnd(g+1, h) {
				return h, true
			}
		}
	}
	for _, code := range [...]string{"86", "0086"} {
		if strings.HasPrefix(string(d), code) {
			if h = c.upTo(g, 11+len(code), seps); h >= 0 && isMobile(c.text(g, h)[len(code):]) && c.plainEnd(g, h) {
				return h, true
			}
		}
	}
	// With landline prefix 0, as some phone systems want it.
	if d[0] == '0' && len(d) == 12 && isMobile(d[1:]) && c.plainEnd(g, g) {
		return g, c.nearest(g)&tPhone != 0
	}
	return 0, false
}

func isMobile(d []byte) bool { return len(d) == 11 && d[0] == '1' && d[1] >= '3' }

func (c *cluster) mobileGroups(g, h int) bool {
	if g == h || c.singles(g, h) {
		return true
	}
	spelled := true
	for i := g + 1; i <= h; i++ {
		spelled = spelled && c.groups[i].sep == joined
	}
	return spelled || c.uniform(g, h) &&
		(c.sizes(g, h, 3, 4, 4) || c.sizes(g, h, 3, 8) || c.sizes(g, h, 7, 4) || c.sizes(g, h, 3, 3, 5) ||
			c.sizes(g, h, 3, 2, 2, 2, 2))
}

// grouped finds numbers whose grouping gives them away: area codes of China, mobiles of Taiwan and Hong
// Kong with their codes, North America.
func (c *cluster) grouped(g int, open bool) (h int, ok bool) {
	first := c.text(g, g)
	last := c.n - 1
	if last == g {
		return g, false
	}
	next := c.groups[g+1]
	switch {
	case areaCode(first) && (next.sep == '-' || next.sep == ')' || next.sep == '(' || next.sep == ' ' || next.sep == '/'):
		for _, n := range [...]int{8, 7} {
			if h = c.upTo(g+1, n, " -"); h >= 0 && h-g <= 2 && c.text(g+1, h)[0] >= '2' && (c.plainEnd(g, h) || c.direct(h)) {
				return h, next.sep != ' ' || h == g+1
			}
		}
		return g, false
	case string(first) == "852" || string(first) == "853":
		h = c.upTo(g+1, 8, " -")
		return h, h >= 0 && allowed(next.sep, "- )") && c.text(g+1, h)[0] >= '2' && c.plainEnd(g, h)
	case string(first) == "886":
		if h = c.upTo(g+1, 9, " -"); h >= 0 && allowed(next.sep, "- )") && c.plainEnd(g, h) {
			return h, true
		}
	case len(first) == 4 && first[0] == '0' && first[1] == '9' && next.sep == '-':
		h = c.upTo(g+1, 6, "-")
		return h, h >= 0 && c.plainEnd(g, h)
	case string(first) == "00" || strings.HasPrefix(string(first), "00") && len(first) > 2:
		h, total := c.run(g, 16, " -.)(")
		return h, total >= 11 && h > g+1 && c.plainEnd(g, h)
	}
	if c.groups[g].size == 1 && first[0] == '1' && (next.sep == '-' || next.sep == '.' || next.sep == '(' || next.sep == ' ' && g+2 < c.n && c.groups[g+2].sep == '-') {
		if h, ok = c.american(g+1, next.sep == '('); ok {
			return h, true
		}
	}
	return c.american(g, open)
}

// direct reports a direct dialling number behind group h: 010-80001234-8012.
func (c *cluster) direct(h int) bool {
	return h+1 < c.n && c.groups[h+1].sep == '-' && c.groups[h+1].size <= 5 && (h+2 == c.n || c.groups[h+2].sep != '-')
}

// american is 541-754-3010, (541) 754-3010 or 541.754.3010.
func (c *cluster) american(g int, open bool) (h int, ok bool) {
	h = g + 2
	if h >= c.n || !c.sizes(g, h, 3, 3, 4) || !c.plainEnd(g, h) {
		return g, false
	}
	a, b := c.groups[g+1].sep, c.groups[g+2].sep
	area := c.text(g, g)[0]
	switch {
	case open && a == ')':
		return h, b == '-' || b == '.' || b == ' '
	case area < '2':
		return g, false
	case a == '-' && b == '-', a == '.' && b == '.', a == '/' && b == '-', a == ' ' && b == '-':
		return h, true
	}
	return g, false
}

// loose takes any number of seven to thirteen digits; only a word makes it a telephone number.
func (c *cluster) loose(g int) (h int, ok bool) {
	h, total := c.run(g, 13, " -.)(/")
	if total < 7 || c.dateFrom(g) {
		return g, false
	}
	for i := g + 1; i <= h; i++ {
		if c.groups[i].size == 1 && !c.singles(g, h) && c.groups[i].sep != '(' || c.groups[i].sep == '.' && h == g+1 {
			return g, false
		}
	}
	return h, c.plainEnd(g, h)
}

// run takes groups from g while they fit into most digits and keep to the separators.
func (c *cluster) run(g, most int, seps string) (h, total int) {
	h, total = g, c.groups[g].size
	for i := g + 1; i < c.n && allowed(c.groups[i].sep, seps) && total+c.groups[i].size <= most; i++ {
		h, total = i, total+c.groups[i].size
	}
	if total > most {
		return g, 0
	}
	return h, total
}

// areaCode knows the area codes of the mainland: 010, 02x, 0310 to 0999.
func areaCode(d []byte) bool {
	switch {
	case len(d) == 3:
		return d[0] == '0' && (d[1] == '1' && d[2] == '0' || d[1] == '2')
	case len(d) == 4:
		return d[0] == '0' && d[1] >= '3' && d[1] <= '9'
	}
	return false
}

// international reads the number behind a plus sign by the lengths of its country's plan.
func (c *cluster) international(g int) (h int, ok bool) {
	_, available := c.run(g, 40, " -.)(/")
	if available < 8 {
		return g, false
	}
	var d [4]byte
	copy(d[:], c.digits[c.groups[g].from:min(len(c.digits), c.groups[g].from+4)])
	code, least, most := plan(d)
	if code == 0 {
		return g, false
	}
	best, total := -1, 0
	for i := g; i < c.n; i++ {
		if i > g && !allowed(c.groups[i].sep, " -.)(/") {
			break
		}
		total += c.groups[i].size
		trunk := 0
		if i > g && c.groups[g+1].size == 1 && c.digits[c.groups[g+1].from] == '0' && c.groups[g+1].sep == '(' {
			trunk = 1
		}
		if total-trunk > code+most+1 {
			break
		}
		if total-trunk >= code+least {
			best = i
			if total-trunk >= code+most {
				break
			}
		}
	}
	if best < 0 {
		return g, false
	}
	end := c.groups[best].end
	return best, end == len(c.w) || !isLetter(c.w[end]) || extension(c.w, end) > end
}

// plan returns the length of the country code that d starts with and the least and most digits behind it.
func plan(d [4]byte) (code, least, most int) {
	for _, p := range plans {
		if strings.HasPrefix(string(d[:]), p.code) {
			return len(p.code), int(p.least), int(p.most)
		}
	}
	switch {
	case d[0] == '0':
		return 0, 0, 0
	case strings.Contains("2 3 4 5 6 8 9", string(d[:1])):
		return 3, 6, 11
	}
	return 0, 0, 0
}

var plans = [...]struct {
	code        string
	least, most uint8
}{
	{"86", 9, 11}, {"852", 8, 8}, {"853", 8, 8}, {"886", 8, 9}, {"1", 10, 10}, {"7", 10, 10}, {"44", 9, 10},
	{"33", 9, 9}, {"49", 7, 11}, {"61", 9, 9}, {"81", 9, 10}, {"82", 8, 10}, {"91", 10, 10}, {"65", 8, 8}, {"60", 8, 10},
	{"66", 8, 9}, {"84", 9, 10}, {"62", 8, 12}, {"63", 9, 10}, {"64", 8, 10}, {"55", 10, 11}, {"52", 10, 10}, {"54", 10, 11},
	{"56", 9, 9}, {"57", 10, 10}, {"34", 9, 9}, {"39", 6, 11}, {"31", 9, 9}, {"32", 8, 9}, {"41", 9, 9}, {"43", 7, 12},
	{"45", 8, 8}, {"46", 7, 10}, {"47", 8, 8}, {"48", 9, 9}, {"30", 10, 10}, {"36", 8, 9}, {"40", 9, 9}, {"90", 10, 10},
	{"20", 8, 10}, {"27", 9, 9}, {"92", 9, 10}, {"93", 9, 9}, {"94", 9, 9}, {"95", 7, 10}, {"98", 10, 10}, {"51", 8, 9},
	{"53", 8, 8}, {"58", 10, 10}, {"38", 8, 10},
}
