package detect

// geo finds a latitude and a longitude. With four decimals or more they need no word.
func (c *cluster) geo(g int) (Span, bool) {
	h := g + 3
	if span, ok := c.coordinate(g); ok {
		return span, true
	}
	if h >= c.n || c.groups[g+1].sep != '.' || c.groups[g+3].sep != '.' || g > 0 && c.groups[g].sep == '.' {
		return Span{}, false
	}
	switch c.groups[g+2].sep {
	case comma, ' ', '/':
	default:
		return Span{}, false
	}
	a, b := number(c.text(g, g)), number(c.text(g+2, g+2))
	decimals := min(c.groups[g+1].size, c.groups[g+3].size)
	if a > 180 || b > 180 || a > 90 && b > 90 || c.groups[g+2].size > 3 || h+1 < c.n && c.groups[h+1].sep == '.' {
		return Span{}, false
	}
	nearest, all := c.near(g)
	if decimals < 2 || decimals < 4 && all&tGeo == 0 || nearest&(tMoney|tCode|tVersion) != 0 {
		return Span{}, false
	}
	span := c.span(g, c.groups[h].end, Geo, Checked, strong)
	if span.Start > 0 && c.w[span.Start-1] == '-' {
		span.Start--
	}
	return span, true
}

// coordinate finds one half of a position behind a word such as latitude.
func (c *cluster) coordinate(g int) (Span, bool) {
	h := g + 1
	if h >= c.n || c.groups[h].sep != '.' || c.groups[h].size < 3 || g > 0 && c.groups[g].sep == '.' || number(c.text(g, g)) > 180 ||
		h+1 < c.n && c.groups[h+1].sep != ' ' {
		return Span{}, false
	}
	if c.nearest(g)&tGeo == 0 || !closeBy(c.w, c.groups[g].start, 6) {
		return Span{}, false
	}
	span := c.span(g, c.groups[h].end, Geo, Context, likely)
	if h+2 < c.n && c.groups[h+2].sep == '.' {
		return Span{}, false // both halves, which geo reads
	}
	if span.Start > 0 && c.w[span.Start-1] == '-' {
		span.Start--
	}
	return span, true
}
