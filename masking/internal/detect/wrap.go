package detect

// A card or a telephone number can go on in the next line: 4111 1111\n1111 1111. Only a whole that is proven
// by its check digit or its grouping counts; the two lines are otherwise read for themselves.

// wrapAt returns where the digits go on that a line break behind the cluster interrupts, or 0.
func (c *cluster) wrapAt() int {
	i, n := c.next, 0
	for i < len(c.w) && n < 3 && (c.w[i] == ' ' || c.w[i] == '-' || c.w[i] == '=' || c.w[i] == '\r') {
		i++
		n++
	}
	if i >= len(c.w) || c.w[i] != '\n' || c.cut || c.n < 2 && n == 0 {
		return 0
	}
	for i++; i < len(c.w) && (c.w[i] == ' ' || c.w[i] == '>'); i++ {
		if n++; n > 6 {
			return 0
		}
	}
	if i >= len(c.w) || !isDigit(c.w[i]) {
		return 0
	}
	return i
}

// wrapped tries the last groups of the cluster together with the line that begins at next. It returns what
// it finds, and the group where that begins.
func (c *cluster) wrapped(next int) (Span, int) {
	rest := cluster{w: c.w}
	rest.read(next)
	both := *c
	sep := byte('-')
	if c.n > 1 {
		sep = c.groups[c.n-1].sep
	} else if c.w[c.next] == '=' { // a soft break within one group
		sep = joined
	}
	used := c.groups[c.n-1].from + c.groups[c.n-1].size
	for i := 0; i < rest.n && both.n < maxGroups; i++ {
		group := rest.groups[i]
		if used+group.size > maxClusterDigits {
			break
		}
		copy(both.digits[used:], rest.text(i, i))
		group.from = used
		if i == 0 {
			group.sep = sep
		}
		used += group.size
		both.groups[both.n] = group
		both.n++
	}
	for g := max(c.n-4, 0); g < c.n; g++ {
		if span, ok := both.whole(g); ok && span.End > next {
			return span, g
		}
	}
	return Span{}, 0
}

// whole finds what cannot be two things by chance.
func (c *cluster) whole(g int) (Span, bool) {
	if !c.plainStart(g) {
		return Span{}, false
	}
	if span, ok := c.card(g); ok && span.Rule == Checked {
		return span, true
	}
	if h, ok := c.mobile(g); ok {
		return c.phoneSpan(g, h, Shape, likely), true
	}
	if h, ok := c.american(g, false); ok {
		return c.phoneSpan(g, h, Shape, likely), true
	}
	return Span{}, false
}
