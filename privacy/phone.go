package privacy

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// A region says how people there write their own numbers when they leave out the country code.
type region struct {
	code    string // country code
	trunk   string // prefix of a national number that is dropped behind the country code
	lengths []int  // digits of a national number, where it is written without a trunk prefix
	leads   string // if not empty: what such a number starts with
}

var phoneRegions = map[string]region{
	"AT": {"43", "0", nil, ""},
	"AU": {"61", "0", nil, ""},
	"BR": {"55", "0", []int{10, 11}, ""},
	"CA": {"1", "1", []int{10}, ""},
	"CH": {"41", "0", nil, ""},
	"CN": {"86", "0", []int{11}, "1"},
	"DE": {"49", "0", nil, ""},
	"ES": {"34", "", []int{9}, ""},
	"FR": {"33", "0", nil, ""},
	"GB": {"44", "0", nil, ""},
	"HK": {"852", "", []int{8}, ""},
	"IN": {"91", "0", []int{10}, ""},
	"JP": {"81", "0", nil, ""},
	"KR": {"82", "0", nil, ""},
	"MO": {"853", "", []int{8}, ""},
	"MY": {"60", "0", nil, ""},
	"NL": {"31", "0", nil, ""},
	"SG": {"65", "", []int{8}, ""},
	"TW": {"886", "0", nil, ""},
	"US": {"1", "1", []int{10}, ""},
}

func phoneRegion(name string) (region, bool) {
	r, ok := phoneRegions[name]
	return r, ok
}

// normalPhone returns the digits of a number with its country code, as far as that can be known: a number
// that is written with "+" or "00" is international, one that looks national in the region gets the
// region's code, and anything else is taken as its digits stand. Text without digits is folded like text,
// so that every value has an index.
func normalPhone(s, regionName string) string {
	s = norm.NFKC.String(s)
	digits, ext, plus := phoneParts(s)
	if digits == "" {
		return "text:" + foldText(s)
	}
	digits = international(digits, plus, regionName)
	if ext != "" {
		return digits + "x" + ext
	}
	return digits
}

// phoneCandidates returns what a number that is searched for may have been stored as. Bare digits may be a
// national number or an international one without its plus: 15147214711 is a mobile in China and a line in
// Montreal, so both are looked for.
func phoneCandidates(s, regionName string) []string {
	out := []string{normalPhone(s, regionName)}
	digits, ext, plus := phoneParts(norm.NFKC.String(s))
	if digits == "" || plus {
		return out
	}
	if ext != "" {
		ext = "x" + ext
	}
	add := func(s string) {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	add(digits + ext)
	// Of "+49 (0)711 …" somebody may have kept all digits. Country codes have up to three.
	for n := 1; n <= 3 && n < len(digits); n++ {
		if digits[n] == '0' && len(digits) >= 10 {
			add(digits[:n] + digits[n+1:] + ext)
		}
	}
	return out
}

// withoutTrunk drops the trunk prefix that some write behind the country code: +49 0711 is +49 711.
func withoutTrunk(digits string) string {
	for _, name := range []string{"AT", "AU", "CH", "CN", "DE", "FR", "GB", "IN", "JP", "KR", "MY", "NL", "TW"} {
		r, _ := phoneRegion(name)
		if rest, ok := strings.CutPrefix(digits, r.code+r.trunk); ok {
			return r.code + rest
		}
	}
	return digits
}

func international(digits string, plus bool, regionName string) string {
	if rest, ok := strings.CutPrefix(digits, "00"); ok && !plus {
		return withoutTrunk(rest)
	}
	if plus {
		return withoutTrunk(digits)
	}
	r, ok := phoneRegion(regionName)
	if !ok {
		return digits
	}
	if rest, ok := strings.CutPrefix(digits, r.trunk); ok && r.trunk != "" && r.trunk != r.code {
		return r.code + rest
	}
	if slices.Contains(r.lengths, len(digits)) && strings.HasPrefix(digits, r.leads) {
		return r.code + digits
	}
	return digits
}

// phoneParts splits a number, as NFKC leaves it, into digits and extension. A "(0)" behind an international
// prefix is the trunk prefix that nobody dials from abroad.
func phoneParts(s string) (digits, ext string, plus bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	plus = strings.HasPrefix(s, "+")
	if plus {
		s = strings.Replace(s, "(0)", "", 1)
	}
	for _, mark := range []string{";ext=", "extension", "ext", "x", "#", "转", "分机"} {
		if head, tail, ok := strings.Cut(s, mark); ok && onlyDigits(head) != "" {
			s, ext = head, onlyDigits(tail)
			break
		}
	}
	return onlyDigits(s), ext, plus
}

func onlyDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, s)
}
