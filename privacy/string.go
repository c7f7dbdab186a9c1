package privacy

import (
	"context"
	"encoding/json"

	"gorm.io/gorm/schema"
)

// String is text that is stored sealed. Whatever prints it shows a mask; the text itself comes out of
// Reveal only.
//
// Its zero value is absent: Create stores NULL for it and every update leaves the stored value alone, so
// that saving a row that was read in part loses nothing. Null stores NULL. New("") is a value.
type String struct{ sealed }

// New returns s, to be sealed when the row it is assigned to is saved.
func New(s string) String { return String{sealed{plainCell([]byte(s), formText)}} }

// Null returns the value that is stored as NULL.
func Null() String { return String{sealed{nullCell()}} }

// Reveal returns the text if the vault's gate lets the caller in ctx see it and the vault's recorder has
// written down that and why. The purpose must not be empty.
func (s String) Reveal(ctx context.Context, purpose string) (string, error) {
	b, err := s.c.reveal(ctx, purpose)
	return string(b), err
}

// UnmarshalJSON reads a new value from a JSON string, NULL from null, and refuses a mask.
func (s *String) UnmarshalJSON(data []byte) (err error) {
	s.c, err = cellOfJSON(data, formText, s.c)
	return err
}

func (String) form() form { return formText }

// jsonText reads a JSON string.
func jsonText(data []byte) (string, bool) {
	var text string
	if len(data) == 0 || data[0] != '"' || json.Unmarshal(data, &text) != nil {
		return "", false
	}
	return text, true
}

var _ schema.GormDataTypeInterface = String{}
