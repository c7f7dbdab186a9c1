package sqlsource

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

// A shape is what values a column has, in words that no engine owns.
type shape struct {
	kind      cell.Kind // of the portable values; Decimal for numbers of any form
	bits      int       // Int: 16, 32 or 64; Float: 32 or 64
	fixed     bool      // Decimal: with this precision and scale
	precision int
	scale     int
	size      int    // Text and Bytes: the longest, 0 if nothing is known
	layout    string // Instant in SQLite: how it is written
	json      bool   // Text that is JSON to the engine it comes from
}

// typeOf splits a declared type into its name, its arguments and what follows.
func typeOf(declared string) (name string, args []int, rest string) {
	name, tail, found := strings.Cut(declared, "(")
	if found {
		inner, after, _ := strings.Cut(tail, ")")
		for part := range strings.SplitSeq(inner, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				args = nil
				break
			}
			args = append(args, n)
		}
		rest = after
	} else if word, unsigned, ok := strings.Cut(name, " unsigned"); ok {
		name, rest = word, " unsigned"+unsigned
	}
	return strings.TrimSpace(name), args, rest
}

func arg(args []int, i int) int {
	if i < len(args) {
		return args[i]
	}
	return 0
}

// only is the refusal of a type that no other engine has.
func only(c backup.Column, engine string) error {
	return fmt.Errorf("is of type %s, which only %s has", c.Type, engine)
}

func pgShape(c backup.Column, seen *seen) (shape, error) {
	name, args, rest := typeOf(c.Type)
	switch name {
	case "boolean":
		return shape{kind: cell.Bool}, nil
	case "smallint":
		return shape{kind: cell.Int, bits: 16}, nil
	case "integer":
		return shape{kind: cell.Int, bits: 32}, nil
	case "bigint":
		return shape{kind: cell.Int, bits: 64}, nil
	case "real":
		return shape{kind: cell.Float, bits: 32}, nil
	case "double precision":
		return shape{kind: cell.Float, bits: 64}, nil
	case "numeric":
		if len(args) == 2 && args[1] >= 0 && args[1] <= args[0] {
			return shape{kind: cell.Decimal, fixed: true, precision: args[0], scale: args[1]}, nil
		}
		return shape{kind: cell.Decimal}, nil
	case "text", "uuid", "character varying", "character":
		return shape{kind: cell.Text, size: max(arg(args, 0), seen.runes)}, nil
	case "bytea":
		return shape{kind: cell.Bytes, size: seen.bytes}, nil
	case "json", "jsonb":
		return shape{kind: cell.JSON}, nil
	case "date":
		return shape{kind: cell.Date}, nil
	case "time", "time without time zone":
		if !strings.Contains(rest, " with time zone") {
			return shape{kind: cell.Time}, nil
		}
	case "timestamp with time zone":
		return shape{kind: cell.Instant}, nil
	case "timestamp", "timestamp without time zone":
		if strings.Contains(rest, " with time zone") {
			return shape{kind: cell.Instant}, nil
		}
		return shape{kind: cell.DateTime}, nil
	}
	return shape{}, only(c, "PostgreSQL")
}

func mysqlShape(c backup.Column, seen *seen) (shape, error) {
	name, args, rest := typeOf(strings.ToLower(c.Type))
	unsigned := strings.Contains(rest, "unsigned")
	switch name {
	case "tinyint":
		if arg(args, 0) == 1 && seen.truth {
			return shape{kind: cell.Bool}, nil
		}
		return shape{kind: cell.Int, bits: 16}, nil
	case "year":
		return shape{kind: cell.Int, bits: 16}, nil
	case "smallint":
		return integer(16, unsigned), nil
	case "mediumint":
		return shape{kind: cell.Int, bits: 32}, nil
	case "int":
		return integer(32, unsigned), nil
	case "bigint":
		return shape{kind: cell.Int, bits: 64}, nil
	case "float":
		return shape{kind: cell.Float, bits: 32}, nil
	case "double":
		return shape{kind: cell.Float, bits: 64}, nil
	case "decimal":
		return shape{kind: cell.Decimal, fixed: true, precision: arg(args, 0), scale: arg(args, 1)}, nil
	case "char", "varchar":
		return shape{kind: cell.Text, size: arg(args, 0)}, nil
	case "longtext":
		if c.Form == "json" {
			return shape{kind: cell.JSON}, nil
		}
		return shape{kind: cell.Text, size: seen.runes}, nil
	case "tinytext", "text", "mediumtext", "enum", "set":
		return shape{kind: cell.Text, size: seen.runes}, nil
	case "binary", "varbinary":
		return shape{kind: cell.Bytes, size: arg(args, 0)}, nil
	case "tinyblob", "blob", "mediumblob", "longblob", "bit":
		return shape{kind: cell.Bytes, size: seen.bytes}, nil
	case "json":
		return shape{kind: cell.JSON, json: true}, nil
	case "date":
		return shape{kind: cell.Date}, nil
	case "time":
		return shape{kind: cell.Time}, nil
	case "datetime":
		return shape{kind: cell.DateTime}, nil
	case "timestamp":
		return shape{kind: cell.Instant}, nil
	}
	return shape{}, only(c, "MySQL")
}

// integer gives an unsigned type the next larger signed one.
func integer(bits int, unsigned bool) shape {
	if unsigned {
		bits *= 2
	}
	return shape{kind: cell.Int, bits: bits}
}

// sqliteShape goes by the declared type as far as the values agree with it:
// SQLite lets any value into any column.
func sqliteShape(c backup.Column, seen *seen) (shape, error) {
	name, args, rest := typeOf(strings.ToUpper(c.Type))
	full := name + rest
	switch {
	case seen.empty():
		return sqliteDeclared(full, args), nil
	case seen.only(cell.Int):
		if strings.Contains(full, "BOOL") || full == "NUMERIC" {
			if seen.truth {
				return shape{kind: cell.Bool}, nil
			}
		}
		return shape{kind: cell.Int, bits: sqliteBits(full)}, nil
	case seen.only(cell.Float):
		if full == numberDecl {
			return shape{kind: cell.Decimal}, nil
		}
		return shape{kind: cell.Float, bits: 64}, nil
	case seen.only(cell.Int, cell.Float):
		return shape{kind: cell.Decimal}, nil
	case seen.only(cell.Bytes):
		return shape{kind: cell.Bytes, size: seen.bytes}, nil
	case full == numberDecl && seen.only(cell.Int, cell.Float, cell.Text):
		return shape{kind: cell.Decimal}, nil
	case seen.only(cell.Text):
		return sqliteText(c, full, args, seen)
	}
	return shape{}, fmt.Errorf("holds values of several kinds (%s)", seen.names())
}

// What a restore declares in SQLite for values that SQLite has no type for: the
// words TEXT and BLOB keep it from converting them.
const (
	decimalDecl = "DECIMAL TEXT"
	numberDecl  = "NUMBER BLOB"
	jsonDecl    = "JSON TEXT"
)

func sqliteBits(declared string) int {
	if declared == "SMALLINT" {
		return 16
	}
	return 64
}

// sqliteDeclared is the shape of a column without values.
func sqliteDeclared(full string, args []int) shape {
	has := func(word string) bool { return strings.Contains(full, word) }
	switch {
	case strings.HasPrefix(full, decimalDecl):
		return shape{kind: cell.Decimal, fixed: true, precision: arg(args, 0), scale: arg(args, 1)}
	case full == numberDecl:
		return shape{kind: cell.Decimal}
	case full == jsonDecl, full == "JSON":
		return shape{kind: cell.JSON}
	case has("BOOL"), full == "NUMERIC":
		return shape{kind: cell.Bool}
	case full == "DATE":
		return shape{kind: cell.Date}
	case full == "TIME":
		return shape{kind: cell.Time}
	case has("DATETIME"), has("TIMESTAMP"):
		return shape{kind: cell.Instant, layout: sqliteInstant}
	case has("INT"):
		return shape{kind: cell.Int, bits: sqliteBits(full)}
	case has("CHAR"), has("CLOB"), has("TEXT"):
		return shape{kind: cell.Text, size: arg(args, 0)}
	case has("BLOB"), full == "":
		return shape{kind: cell.Bytes}
	case has("REAL"), has("FLOA"), has("DOUB"):
		return shape{kind: cell.Float, bits: 64}
	}
	return shape{kind: cell.Decimal}
}

// sqliteText is the shape of a column that holds nothing but text.
func sqliteText(c backup.Column, full string, args []int, seen *seen) (shape, error) {
	declared := sqliteDeclared(full, args)
	wrong := func(what string) (shape, error) {
		return shape{}, fmt.Errorf("is declared %s and holds text that is %s", c.Type, what)
	}
	switch declared.kind {
	case cell.Text, cell.Bytes:
		return shape{kind: cell.Text, size: max(declared.size, seen.runes)}, nil
	case cell.JSON:
		if !seen.text(isJSON) {
			return wrong("no JSON")
		}
		return declared, nil
	case cell.Decimal:
		if !strings.HasPrefix(full, decimalDecl) && full != numberDecl || !seen.text(isDecimal) {
			return wrong("no number")
		}
		return declared, nil
	case cell.Time:
		if !seen.text(isTime) {
			return wrong("no time of day")
		}
		return declared, nil
	case cell.Date, cell.Instant:
		switch {
		case seen.text(isDate):
			return shape{kind: cell.Date}, nil
		case seen.text(isDateTime):
			return shape{kind: cell.DateTime}, nil
		case seen.text(isInstant):
			return shape{kind: cell.Instant, layout: sqliteInstant}, nil
		case seen.text(isRFC3339):
			return shape{kind: cell.Instant, layout: sqliteRFC3339}, nil
		}
		return wrong("not throughout a date, a date and time, or a time in UTC to the microsecond; a time zone or finer times would be lost")
	}
	return wrong("no value of this type")
}
