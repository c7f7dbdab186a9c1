package masking

import (
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/detect"
)

// found maps what the detector finds to kinds.
var found = [...]Kind{
	detect.Phone: KindPhone, detect.Email: KindEmail, detect.Name: KindName, detect.ID: KindID,
	detect.Card: KindCard, detect.Address: KindAddress, detect.Plate: KindPlate,
	detect.Passport: KindPassport, detect.Permit: KindPermit, detect.Military: KindMilitary,
	detect.USCC: KindUSCC, detect.IP: KindIP, detect.MAC: KindMAC, detect.IBAN: KindIBAN,
	detect.SSN: KindSSN, detect.BirthDate: KindBirthDate, detect.Geo: KindGeo,
	detect.Secret: KindSecret, detect.Chat: KindChat,
}

// appendText appends s with every find masked at level l.
func appendText(dst []byte, s string, p Policy, l Level) []byte {
	var buf [16]detect.Span
	out := 0
	for _, span := range detect.Append(buf[:0], s) {
		dst = append(dst, strings.ToValidUTF8(s[out:span.Start], "\uFFFD")...)
		dst = p.append(dst, found[span.Kind], l, s[span.Start:span.End])
		out = span.End
	}
	return append(dst, strings.ToValidUTF8(s[out:], "\uFFFD")...)
}

// clean reports that nothing in s needs masking.
func clean(s string) bool {
	var buf [4]detect.Span
	return len(detect.Append(buf[:0], s)) == 0 && utf8.ValidString(s)
}
