package masking

// appendCard keeps the last four of 12 to 19 digits and the grouping; PCI keeps the first six as well.
func appendCard(dst []byte, s string, p Profile) []byte {
	var num number
	if !parseNumber(&num, s, false) || num.n < 12 || num.n > 19 {
		return append(dst, fixed...)
	}
	head := 0
	if p == PCI && num.n >= 15 {
		head = 6
	}
	return num.appendKept(dst, s, 0, head, 4)
}
