package masking

import "fmt"

// Level says how much of a value its reader may see. The zero value shows nothing, so a forgotten level
// hides.
type Level uint8

const (
	// Hidden shows neither the value nor its length.
	Hidden Level = iota
	// Token shows a keyed pseudonym: the same value gives the same token. Without a key it is Hidden.
	Token
	// Partial shows the few characters by which a person recognises the value.
	Partial
	// Full shows the value.
	Full
)

var levelNames = [...]string{Hidden: "hidden", Token: "token", Partial: "partial", Full: "full"}

// ParseLevel reads "hidden", "token", "partial" or "full".
func ParseLevel(s string) (Level, error) {
	for l, name := range levelNames {
		if s == name {
			return Level(l), nil
		}
	}
	return Hidden, fmt.Errorf("masking: level %q: %w: write hidden, token, partial or full", clip(s), ErrUnknown)
}

func (l Level) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) {
	if int(l) >= len(levelNames) {
		return nil, fmt.Errorf("masking: %v: %w: the highest level is full", l, ErrUnknown)
	}
	return []byte(levelNames[l]), nil
}

// UnmarshalText reads what MarshalText writes. After an error the level is Hidden.
func (l *Level) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLevel(string(text))
	return err
}
