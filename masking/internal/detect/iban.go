package detect

// ibanLengths holds country and length of the national account numbers in use.
const ibanLengths = "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BR29BY28CH21CR22CY28CZ24DE22DK18DO28EE20EG29ES24FI18FO18FR27GB22GE22GI23GL18" +
	"GR27GT28HR21HU28IE22IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19MR27MT31MU30NL18NO15PK24" +
	"PL28PS29PT25QA29RO24RS22SA24SC31SE24SI19SK24SM27ST25SV28TL23TN24TR26UA29VA22VG24XK20"

// iban finds an international account number from its first letter, with or without groups. Groups of other
// sizes than four must not look like words.
func iban(w string, start int) (Span, bool) {
	if len(w)-start < 15 || !isLetter(w[start]) || !isLetter(w[start+1]) || !isDigit(w[start+2]) || !isDigit(w[start+3]) {
		return Span{}, false
	}
	want := ibanLength(upper(w[start]), upper(w[start+1]))
	if want == 0 {
		return Span{}, false
	}
	var compact [34]byte
	n, end, odd, small := 0, start, false, false
	for end < len(w) && n < want {
		switch c := w[end]; {
		case isDigit(c) || isLetter(c):
			compact[n] = upper(c)
			small = small || c != compact[n]
			n++
		case (c == ' ' || c == '-') && n >= 4 && w[end-1] != c:
			odd = odd || n%4 != 0
		default:
			return Span{}, false
		}
		end++
	}
	if n < want || odd && (small || !allDigits(string(compact[8:n]))) || end < len(w) && isWord(w[end]) || !mod97(compact[:n]) {
		return Span{}, false
	}
	return Span{start, end, IBAN, Checked, certain}, true
}

func ibanLength(a, b byte) int {
	for i := 0; i < len(ibanLengths); i += 4 {
		if ibanLengths[i] == a && ibanLengths[i+1] == b {
			return int(ibanLengths[i+2]-'0')*10 + int(ibanLengths[i+3]-'0')
		}
	}
	return 0
}

// mod97 is ISO 7064 over the number with its first four characters moved to the end.
func mod97(s []byte) bool {
	rest := 0
	for i := range len(s) {
		c := s[(i+4)%len(s)]
		if isDigit(c) {
			rest = (rest*10 + int(c-'0')) % 97
		} else {
			rest = (rest*100 + int(c-'A') + 10) % 97
		}
	}
	return rest == 1
}
