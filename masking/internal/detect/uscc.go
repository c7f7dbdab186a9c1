package detect

import "strings"

const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// uscc finds a unified social credit code that happens to have no letter. One of 31 long numbers passes the
// check, so it has to be a registry of enterprises or stand behind the word.
func (c *cluster) uscc(g int) (Span, bool) {
	if c.groups[g].size != 18 || !c.plainEnd(g, g) || !creditCode(c.text(g, g)) {
		return Span{}, false
	}
	nearest, all := c.near(g)
	registry := string(c.text(g, g)[:2])
	common := registry == "91" || registry == "92" || registry == "93"
	return c.span(g, c.groups[g].end, USCC, Checked, certain), all&tUSCC != 0 || common && nearest&tCode == 0
}

// creditCode checks GB 32100-2015: registry, region, alphabet and the mod 31 character.
func creditCode(d []byte) bool {
	if len(d) != 18 || strings.IndexByte("123456789AGNY", upper(d[0])) < 0 || !provinceOrCentral(d[2:4]) {
		return false
	}
	sum, weight := 0, 1
	for i, c := range d {
		v := strings.IndexByte(usccAlphabet, upper(c))
		if v < 0 || i >= 2 && i < 8 && v > 9 {
			return false
		}
		if i < 17 {
			sum += v * weight
			weight = weight * 3 % 31
			continue
		}
		return v == (31-sum%31)%31
	}
	return false
}

func provinceOrCentral(d []byte) bool {
	return d[0] == '1' && d[1] == '0' || isDigit(d[0]) && isDigit(d[1]) && provinceCode(d)
}

func upper(c byte) byte {
	if c-'a' < 26 {
		return c &^ 0x20
	}
	return c
}
