package detect

import "strings"

// ssn finds US social security numbers, 3-2-4; nine digits in a row need the word.
func (c *cluster) ssn(g int) (Span, bool) {
	h := c.upTo(g, 9, " -.")
	if h < 0 || !c.plainEnd(g, h) {
		return Span{}, false
	}
	d := c.text(g, h)
	if string(d[:3]) == "000" || string(d[:3]) == "666" || string(d[3:5]) == "00" || string(d[5:]) == "0000" {
		return Span{}, false
	}
	nearest, all := c.near(g)
	switch {
	case nearest&tSSN != 0, all&tSSN != 0 && nearest&tCode == 0:
		return c.span(g, c.groups[h].end, SSN, Context, strong), true
	case !c.sizes(g, h, 3, 2, 4) || !c.uniform(g, h) || c.groups[h].sep != '-':
		return Span{}, false
	}
	return c.span(g, c.groups[h].end, SSN, Shape, strong), nearest&(tCode|tPhone|tVersion) == 0
}

// numbered finds plain numbers that only a word identifies: QQ, military cards, passports and permits of
// digits, bank accounts.
func (c *cluster) numbered(g int) (Span, bool) {
	n, d := c.groups[g].size, c.text(g, g)
	start, end := c.groups[g].start, c.groups[g].end
	if n < 5 || !c.plainEnd(g, g) {
		return Span{}, false
	}
	if span, ok := militaryWords(c.w, start, end); ok && n >= 6 && n <= 8 {
		return span, true
	}
	nearest := c.nearest(g)
	switch {
	case nearest&tQQ != 0 && n <= 11 && d[0] != '0' && closeBy(c.w, start, 12):
		return c.span(g, end, Chat, Context, strong), true
	case nearest&tMilitary != 0 && n >= 6 && n <= 8:
		return c.span(g, end, Military, Context, strong), true
	case nearest&tPermit != 0 && (n == 8 || n == 10):
		return c.span(g, end, Permit, Context, strong), true
	case nearest&tPassport != 0 && (n == 8 || n == 9):
		return c.span(g, end, Passport, Context, strong), true
	case nearest&tID != 0 && n >= 7 && n <= 12 && !isMobile(d):
		return c.span(g, end, ID, Context, likely), true
	}
	return Span{}, false
}

// closeBy reports that no more than n bytes and no sentence stand between the nearest word and start.
func closeBy(w string, start, n int) bool {
	for i := start; i > 0 && start-i <= n; i-- {
		if top, _ := words.endingAt(w, i); top != 0 {
			return true
		}
	}
	return false
}

// militaryWords finds 军字第12345678号 around a number, of any arm.
func militaryWords(w string, start, end int) (Span, bool) {
	before := strings.TrimSuffix(strings.TrimRight(w[:start], " "), "第")
	head, ok := strings.CutSuffix(before, "字")
	if !ok {
		return Span{}, false
	}
	const arms = "军武兵士文空海政参后装警"
	size := len("军")
	if len(head) < size || !strings.Contains(arms, head[len(head)-size:]) {
		return Span{}, false
	}
	from := len(head) - size
	if strings.HasPrefix(w[end:], "号") {
		end += len("号")
	}
	return Span{Start: from, End: end, Kind: Military, Rule: Shape, rank: strong}, true
}
