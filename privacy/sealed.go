package privacy

import (
	"database/sql/driver"
	"fmt"
	"log/slog"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// sealed is what all sealed types have in common: everything but how a value goes in and comes out.
type sealed struct{ c *cell }

// Valid reports whether there is a value: not absent, not NULL, not erased.
func (s sealed) Valid() bool { return s.c.valid() }

// IsNull reports whether the value is NULL.
func (s sealed) IsNull() bool { return s.c != nil && s.c.state == stateNull }

// IsZero reports whether the value is absent: never set, or not read from the database.
func (s sealed) IsZero() bool { return s.c == nil }

// IsErased reports whether the person whose value it was has been erased.
func (s sealed) IsErased() bool { return s.c != nil && s.c.state == stateErased }

// MaskAt returns what a reader with that level may see. A sealed value is never shown above Partial: the
// value leaves through Reveal only.
func (s sealed) MaskAt(l masking.Level) string { return s.c.text(l) }

// String returns the mask.
func (s sealed) String() string { return s.c.text(masking.Partial) }

// GoString returns the mask.
func (s sealed) GoString() string { return s.c.goString() }

// Format writes the mask for every verb.
func (s sealed) Format(f fmt.State, verb rune) { s.c.format(f, verb) }

// LogValue returns the mask.
func (s sealed) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON writes an object that no client can mistake for the value: {"masked":true,"hint":"138****8000"}.
func (s sealed) MarshalJSON() ([]byte, error) { return s.c.marshalJSON() }

// MarshalText writes the mask.
func (s sealed) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// GobEncode fails: a mask must not come back as a value, and gob has no way to tell them apart.
func (s sealed) GobEncode() ([]byte, error) { return nil, errNoGob }

// GobDecode fails.
func (s *sealed) GobDecode([]byte) error { return errNoGob }

// Value is for database/sql. It returns ciphertext or an error, never the value.
func (s sealed) Value() (driver.Value, error) { return s.c.driverValue() }

// Scan is for database/sql. It stores the ciphertext; the plugin binds it to its row after the query.
func (s *sealed) Scan(src any) (err error) {
	s.c, err = scannedCell(src)
	return err
}

// GormDataType is for GORM.
func (sealed) GormDataType() string { return string(schema.Bytes) }

// GormDBDataType is for GORM's migrator.
func (sealed) GormDBDataType(db *gorm.DB, _ *schema.Field) string { return cellColumnType(db) }

func (s *sealed) sealedCell() *cell     { return s.c }
func (s *sealed) setSealedCell(c *cell) { s.c = c }
