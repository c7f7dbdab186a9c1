package masking

import (
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/zh"
)

// appendAddress keeps a Chinese address down to its district and says nothing about the rest, not even
// its length. Log keeps it down to the city. Waybill keeps it down to the building. An address it cannot
// read shows nothing.
func appendAddress(dst []byte, s string, p Profile) []byte {
	if !hanEnds(s) {
		s = strings.TrimSpace(s)
	}
	if !validShort(s) {
		return append(dst, fixed...)
	}
	kept := districtEnd(s, p == Log)
	if kept == 0 {
		return append(dst, fixed...)
	}
	if p == Waybill {
		kept += buildingEnd(s[kept:])
	}
	return append(append(dst, s[:kept]...), "****"...)
}

// hanEnds reports that s begins and ends with Han, the common case in which there is nothing to trim.
func hanEnds(s string) bool {
	han := func(c byte) bool { return c >= 0xE4 && c <= 0xE9 }
	return len(s) >= 3 && han(s[0]) && han(s[len(s)-3]) && s[len(s)-1]&0xC0 == 0x80
}

// districtEnd returns how much of s is province, city and district.
func districtEnd(s string, cityOnly bool) int {
	end := zh.Province(s)
	end += gap(s[end:])
	if n := zh.City(s[end:]); n > 0 {
		end += n
	} else if n := zh.Division(s[end:], "市州盟"); n > 0 {
		end += n
	}
	if end == 0 || cityOnly {
		return end
	}
	end += gap(s[end:])
	for range 2 { // a county-level city or district, below a prefecture
		if n := zh.Division(s[end:], "区區县縣旗市"); n > 0 {
			end += n
		}
	}
	return end
}

// gap is the length of one space between the parts.
func gap(s string) int {
	if strings.HasPrefix(s, " ") {
		return 1
	}
	return 0
}

// buildingEnd returns how much of s ends with the street number or building; unit and room come after it.
func buildingEnd(s string) int {
	const longest = 40 * 3
	end := 0
	for i, r := range s {
		if i > longest || r == '室' || r == '房' || r == '户' || r == '单' && strings.HasPrefix(s[i:], "单元") || r == '层' || r == '楼' {
			break
		}
		if r == '号' || r == '號' || r == '栋' || r == '幢' || r == '弄' {
			end = i + utf8.RuneLen(r)
			if r != '弄' {
				break
			}
		}
	}
	if strings.HasPrefix(s[end:], "楼") && end > 0 {
		end += len("楼")
	}
	if strings.HasPrefix(s[end:], "室") || strings.HasPrefix(s[end:], "房") {
		return 0
	}
	return end
}
