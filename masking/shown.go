package masking

import (
	"encoding/json"
	"fmt"
)

// Shown is a value as one reader sees it, together with how much of it that is. In JSON a full value is a
// plain string; anything less is an object that no client can mistake for the value:
//
//	{"masked":true,"hint":"138****5678"}
type Shown struct {
	Text  string
	Level Level
}

// Show masks s and says so.
func Show(k Kind, l Level, s string) Shown {
	if l > Full || !known(k) {
		l = Hidden
	}
	return Shown{Text: Mask(k, l, s), Level: l}
}

// String returns the text.
func (s Shown) String() string { return s.Text }

type shownJSON struct {
	Masked bool   `json:"masked"`
	Hint   string `json:"hint"`
}

// MarshalJSON writes a full value as a string and everything else as a mask.
func (s Shown) MarshalJSON() ([]byte, error) {
	if s.Level == Full {
		return json.Marshal(s.Text)
	}
	return json.Marshal(shownJSON{Masked: true, Hint: s.Text})
}

// UnmarshalJSON reads both forms. A mask comes back as Partial, whatever level below Full it had.
func (s *Shown) UnmarshalJSON(data []byte) error {
	*s = Shown{}
	if len(data) > 0 && data[0] == '"' {
		s.Level = Full
		return json.Unmarshal(data, &s.Text)
	}
	var m shownJSON
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("masking: a shown value is a string or a mask: %w", ErrSyntax)
	}
	if !m.Masked {
		return fmt.Errorf("masking: an object without \"masked\": true is no mask: %w", ErrSyntax)
	}
	s.Text, s.Level = m.Hint, Partial
	return nil
}
