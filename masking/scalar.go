package masking

// Phone shows a telephone number partly: 138****5678, +86 138****5678, 0755-*****678.
func Phone(s string) string { return Mask(KindPhone, Partial, s) }

// Email shows an e-mail address partly: d***@example.com.
func Email(s string) string { return Mask(KindEmail, Partial, s) }

// Name shows a person's name partly: 王**, 欧阳**, 阿***·买***, J*** S****.
func Name(s string) string { return Mask(KindName, Partial, s) }

// ID shows a resident identity number partly: 110***********1234.
func ID(s string) string { return Mask(KindID, Partial, s) }

// Card shows the last four digits of a bank card number: ************1234.
func Card(s string) string { return Mask(KindCard, Partial, s) }

// Address shows a postal address down to the district: 广东省深圳市南山区****.
func Address(s string) string { return Mask(KindAddress, Partial, s) }

// Text masks the personal data it finds in free text and leaves the rest as it is.
func Text(s string) string { return Mask(KindText, Partial, s) }

// AppendPhone appends Phone(s) to dst without allocating.
func AppendPhone(dst []byte, s string) []byte {
	if s == "" {
		return dst
	}
	if plainMobile(s) {
		return append(dst, '1', s[1], s[2], '*', '*', '*', '*', s[7], s[8], s[9], s[10])
	}
	return appendPhone(dst, s, Screen)
}

// AppendEmail appends Email(s) to dst.
func AppendEmail(dst []byte, s string) []byte { return appendPartial(dst, KindEmail, Screen, s) }

// AppendName appends Name(s) to dst.
func AppendName(dst []byte, s string) []byte { return appendPartial(dst, KindName, Screen, s) }

// AppendID appends ID(s) to dst.
func AppendID(dst []byte, s string) []byte { return appendPartial(dst, KindID, Screen, s) }

// AppendCard appends Card(s) to dst.
func AppendCard(dst []byte, s string) []byte { return appendPartial(dst, KindCard, Screen, s) }

// AppendAddress appends Address(s) to dst.
func AppendAddress(dst []byte, s string) []byte { return appendPartial(dst, KindAddress, Screen, s) }

// plainMobile is the common case, eleven plain digits, which does not wait for the parser of the others.
func plainMobile(s string) bool {
	if len(s) != 11 || s[0] != '1' || s[1] < '3' || s[1] > '9' {
		return false
	}
	for i := 2; i < len(s); i++ {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return true
}
