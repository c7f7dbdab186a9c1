package privacy

import (
	"database/sql/driver"
	"fmt"
	"io"
	"log/slog"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// Index is a blind index: a column that holds a keyed pseudonym of another field, so that equality can be
// searched without the database ever seeing a value. The plugin fills it and uses it; declare it with a
// plain or a unique index and leave it alone:
//
//	PhoneIndex privacy.Index `gorm:"index" privacy:"of=Phone,norm=phone"`
type Index []byte

// Format writes nothing of the index.
func (x Index) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, x.String()) }

// String says whether there is an index.
func (x Index) String() string {
	if len(x) == 0 {
		return ""
	}
	return "[index]"
}

// LogValue is String.
func (x Index) LogValue() slog.Value { return slog.StringValue(x.String()) }

// MarshalJSON writes null: an index is of no use outside the database.
func (x Index) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// Value is for database/sql.
func (x Index) Value() (driver.Value, error) {
	if len(x) == 0 {
		return nil, nil
	}
	return []byte(x), nil
}

// Scan is for database/sql.
func (x *Index) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*x = nil
	case []byte:
		*x = append(Index(nil), v...)
	case string:
		*x = Index(v)
	default:
		return fmt.Errorf("privacy: an index column holds bytes, not %T", src)
	}
	return nil
}

// GormDataType is for GORM.
func (Index) GormDataType() string { return string(schema.Bytes) }

// GormDBDataType is for GORM's migrator.
func (Index) GormDBDataType(db *gorm.DB, _ *schema.Field) string {
	switch db.Dialector.Name() {
	case "postgres":
		return "bytea"
	case "mysql":
		return "varbinary(32)"
	}
	return "blob"
}

func cellColumnType(db *gorm.DB) string {
	if db.Dialector.Name() == "postgres" {
		return "bytea"
	}
	return "blob"
}
