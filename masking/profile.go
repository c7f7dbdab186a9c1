package masking

import "fmt"

// Profile chooses between the conventions for the Partial level. The zero value is for screens.
type Profile uint8

const (
	// Screen is what users of Chinese and international systems expect to read: 138****5678.
	Screen Profile = iota
	// Log shows less, because logs live long and travel far: 138******78, ID 1****************4.
	Log
	// Waybill hides what the national standard for express waybills asks for: at least six digits of
	// a phone number, the given name, and the unit and room of an address.
	Waybill
	// PCI shows the most that PCI DSS 3.4.1 permits of a card: the first six and the last four digits.
	PCI
	// Compat shows region and last four digits of a resident ID, as many old screens do. About 2,700
	// people remain, or 11 bits: do not use it where the birth date is known.
	Compat
)

var profileNames = [...]string{Screen: "screen", Log: "log", Waybill: "waybill", PCI: "pci", Compat: "compat"}

// ParseProfile reads "screen", "log", "waybill", "pci" or "compat".
func ParseProfile(s string) (Profile, error) {
	for p, name := range profileNames {
		if s == name {
			return Profile(p), nil
		}
	}
	return Log, fmt.Errorf("masking: profile %q: %w: write screen, log, waybill, pci or compat", clip(s), ErrUnknown)
}

func (p Profile) String() string {
	if int(p) < len(profileNames) {
		return profileNames[p]
	}
	return fmt.Sprintf("Profile(%d)", uint8(p))
}

// orStrict makes a profile that does not exist the strict one.
func (p Profile) orStrict() Profile {
	if int(p) >= len(profileNames) {
		return Log
	}
	return p
}
