package masking

// appendCard keeps the last four of 12 to 19 digits and the grouping; PCI keeps the first six as well.
func appendCard(dst []byte, s string, p Profile) []byte {
	head := func(digits int) int {
		if p == PCI && digits >= 15 {
			return 6
		}
		return 0
	}
	if len(s) >= 12 && len(s) <= 19 && plainDigits(s) {
		return appendStarred(dst, s, head(len(s)), 4)
	}
	var num number
	if !parseNumber(&num, s, false) || num.n < 12 || num.n > 19 {
		return append(dst, fixed...)
	}
	return num.appendKept(dst, s, 0, head(num.n), 4)
}
