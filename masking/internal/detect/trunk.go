package detect

// trunk finds national numbers by the digit that other numbers do not begin with: a leading zero, or the
// brackets around an area code, together with a grouping in which people write telephone numbers.
func (c *cluster) trunk(g int, open bool) (h int, ok bool) {
	first := c.text(g, g)
	if g+1 >= c.n || len(first) > 5 {
		return g, false
	}
	if open && c.groups[g+1].sep == ')' {
		return c.bracketed(g)
	}
	if h = g + 4; string(first) == "8" && h < c.n && c.sizes(g, h, 1, 3, 3, 2, 2) && c.groups[h].sep == '-' && c.groups[h-1].sep == '-' {
		return h, c.plainEnd(g, h)
	}
	if first[0] != '0' || len(first) < 2 || c.dateFrom(g) {
		return g, false
	}
	h, total := c.run(g, 11, " -.")
	if h == g || total < 9 || !c.plainEnd(g, h) {
		return g, false
	}
	switch sep := c.groups[g+1].sep; {
	case c.sizes(g, h, 2, 2, 2, 2, 2):
		return h, c.uniform(g, h) && first[1] != '0' && !c.counting(g, h)
	case h-g > 3 || c.smallest(g+1, h) < 2:
		return g, false
	case sep == '-' && h == g+1:
		return h, len(first) <= 3 && c.groups[h].size >= 7
	case sep == '-' && total >= 10, sep == '-' && c.groups[g+2].sep == ' ':
		return h, true
	case sep == ' ' && h > g+1 && total >= 10:
		return h, c.uniform(g, h) && c.smallest(g+1, h) >= 3
	case sep == ' ' && len(first) == 5 && h == g+1:
		return h, total >= 10
	}
	return g, false
}

// bracketed reads (0221) 471100 and (11) 91234-5678 from the area code on.
func (c *cluster) bracketed(g int) (h int, ok bool) {
	h, total := c.run(g, 12, " -.)")
	for h > g && total > 11 {
		total -= c.groups[h].size
		h--
	}
	first := c.text(g, g)
	if h == g || !c.plainEnd(g, h) {
		return g, false
	}
	switch {
	case first[0] == '0' && len(first) >= 2:
		return h, total >= 8 && c.smallest(g+1, h) >= 2
	case len(first) == 2 && h == g+2 && c.groups[h].size == 4 && c.groups[h].sep == '-':
		return h, c.groups[g+1].size == 4 || c.groups[g+1].size == 5
	}
	return g, false
}

// smallest is the size of the smallest group from g to h.
func (c *cluster) smallest(g, h int) int {
	n := maxClusterDigits
	for ; g <= h; g++ {
		n = min(n, c.groups[g].size)
	}
	return n
}

// counting reports 01 02 03 04 05.
func (c *cluster) counting(g, h int) bool {
	for i := g + 1; i <= h; i++ {
		if number(c.text(i, i)) != number(c.text(i-1, i-1))+1 {
			return false
		}
	}
	return true
}
