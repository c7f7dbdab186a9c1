package masking

import "fmt"

// Kind names what a value is, and with it the way it is masked. It is what a `mask:"…"` tag holds.
type Kind string

const (
	KindPhone     Kind = "phone"     // mobile or fixed line, any country
	KindEmail     Kind = "email"     // e-mail address, internationalised too
	KindName      Kind = "name"      // a person's name, any script
	KindID        Kind = "id"        // resident identity number (GB 11643), and those of HK, TW
	KindCard      Kind = "card"      // bank or credit card number
	KindAddress   Kind = "address"   // postal address
	KindPlate     Kind = "plate"     // vehicle number plate
	KindPassport  Kind = "passport"  // passport number
	KindPermit    Kind = "permit"    // travel permits between the mainland, HK, MO and TW
	KindMilitary  Kind = "military"  // military identity card
	KindUSCC      Kind = "uscc"      // unified social credit code (GB 32100)
	KindIP        Kind = "ip"        // IPv4 or IPv6 address
	KindMAC       Kind = "mac"       // hardware address
	KindIBAN      Kind = "iban"      // international bank account number
	KindSSN       Kind = "ssn"       // US social security number
	KindBirthDate Kind = "birthdate" // date of birth
	KindGeo       Kind = "geo"       // latitude and longitude
	KindSecret    Kind = "secret"    // password, token, key
	KindChat      Kind = "chat"      // WeChat or QQ account
	KindText      Kind = "text"      // free text in which personal data is looked for
)

var kinds = [...]Kind{
	KindPhone, KindEmail, KindName, KindID, KindCard, KindAddress, KindPlate, KindPassport, KindPermit,
	KindMilitary, KindUSCC, KindIP, KindMAC, KindIBAN, KindSSN, KindBirthDate, KindGeo, KindSecret,
	KindChat, KindText,
}

// Kinds returns every kind.
func Kinds() []Kind { return append([]Kind(nil), kinds[:]...) }

// ParseKind returns the kind of that exact name.
func ParseKind(s string) (Kind, error) {
	for _, k := range kinds {
		if s == string(k) {
			return k, nil
		}
	}
	return "", fmt.Errorf("masking: kind %q: %w: the kinds are %v", clip(s), ErrUnknown, kinds)
}
