package detect

// resident finds resident identity numbers of the mainland: 18 characters with a check character, and the
// 15 digits of before 1999. A wrong check character is accepted only where a word says it is an ID,
// because people mistype and still mean someone.
func (c *cluster) resident(g int) (Span, bool) {
	const seps = " -."
	if d, end, h, ok := c.residentDigits(g, seps); ok && provinceCode(d[:2]) && dateIn(d[6:14]) {
		if residentCheck(d[:]) {
			return c.span(g, end, ID, Checked, certain), true
		}
		if c.nearest(g)&tCode == 0 && h >= 0 && c.all(g, tID) {
			return c.span(g, end, ID, Context, strong), true
		}
	}
	h := c.upTo(g, 15, seps)
	if h < 0 || h-g > 3 || !c.plainEnd(g, h) {
		return Span{}, false
	}
	d := c.text(g, h)
	if !provinceCode(d[:2]) || !yearlessDate(d[6:12]) {
		return Span{}, false
	}
	if c.all(g, tID) {
		return c.span(g, c.groups[h].end, ID, Context, certain), true
	}
	if c.nearest(g)&(tCode|tMoney|tCard) != 0 || g != h {
		return Span{}, false
	}
	return c.span(g, c.groups[h].end, ID, Checked, likely), true
}

// residentDigits collects 18 digits, or 17 and an X, from group g.
func (c *cluster) residentDigits(g int, seps string) (d [18]byte, end, h int, ok bool) {
	if h = c.upTo(g, 18, seps); h >= 0 && h-g <= 6 && c.plainEnd(g, h) {
		copy(d[:], c.text(g, h))
		return d, c.groups[h].end, h, true
	}
	if h = c.upTo(g, 17, seps); h < 0 || h-g > 6 {
		return d, 0, -1, false
	}
	size := checkX(c.w[c.groups[h].end:])
	if size == 0 {
		return d, 0, -1, false
	}
	copy(d[:], c.text(g, h))
	d[17] = 'X'
	return d, c.groups[h].end + size, h, true
}

// checkX returns the size of a final X in any form, with one separator before it at most.
func checkX(s string) int {
	skip := 0
	if len(s) > 1 && (s[0] == ' ' || s[0] == '-') {
		skip = 1
	}
	switch rest := s[skip:]; {
	case len(rest) > 0 && rest[0]|0x20 == 'x' && (len(rest) == 1 || !isWord(rest[1])):
		return skip + 1
	case hasPrefix(rest, "\uFF38"), hasPrefix(rest, "\uFF58"):
		return skip + 3
	}
	return 0
}

func hasPrefix(s, p string) bool { return len(s) >= len(p) && s[:len(p)] == p }

// provinceCode knows the first two digits of region codes; 81 to 83 are residence permits, 91 foreigners,
// 99 is kept for made-up people.
func provinceCode(d []byte) bool {
	switch d[0] {
	case '1':
		return d[1] >= '1' && d[1] <= '5'
	case '2':
		return d[1] >= '1' && d[1] <= '3'
	case '3':
		return d[1] >= '1' && d[1] <= '7'
	case '4':
		return d[1] >= '1' && d[1] <= '6'
	case '5':
		return d[1] >= '0' && d[1] <= '4'
	case '6':
		return d[1] >= '1' && d[1] <= '5'
	case '7':
		return d[1] == '1'
	case '8':
		return d[1] >= '1' && d[1] <= '3'
	case '9':
		return d[1] == '1' || d[1] == '9'
	}
	return false
}

func residentCheck(d []byte) bool {
	const weights = "\x07\x09\x0a\x05\x08\x04\x02\x01\x06\x03\x07\x09\x0a\x05\x08\x04\x02"
	sum := 0
	for i := range len(weights) {
		sum += int(d[i]-'0') * int(weights[i])
	}
	return "10X98765432"[sum%11] == d[17]
}

// dateIn reports whether yyyymmdd is a day a living person can be born on.
func dateIn(d []byte) bool {
	year := number(d[:4])
	return year >= 1880 && year <= 2049 && dayOf(year, number(d[4:6]), number(d[6:8]))
}

// yearlessDate is yymmdd of the century before.
func yearlessDate(d []byte) bool {
	return dayOf(1900+number(d[:2]), number(d[2:4]), number(d[4:6]))
}

func dayOf(year, month, day int) bool {
	if month < 1 || month > 12 || day < 1 {
		return false
	}
	days := 30 + (month+month>>3)&1 // odd months are long, and from August on even ones
	if month == 2 {
		days = 28
	}
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		days = 29
	}
	return day <= days
}

func number(d []byte) int {
	n := 0
	for _, c := range d {
		n = n*10 + int(c-'0')
	}
	return n
}

func (c *cluster) span(g, end int, k Kind, r Rule, score rank) Span {
	return Span{Start: c.groups[g].start, End: end, Kind: k, Rule: r, rank: score}
}
