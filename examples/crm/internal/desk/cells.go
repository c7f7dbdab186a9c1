package desk

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/privacy"
)

// sealedRow is a stored row with sealed fields.
type sealedRow interface {
	Sealed(field string) *privacy.String
}

// cells says for each row and field what the caller may see. Fields that the
// caller's role sees in full are revealed, all of a page as one act and one event
// of the log; the others come masked.
func cells[T any, P interface {
	*T
	sealedRow
}](ctx context.Context, d *Desk, rows []T, fields []string, purpose string) ([]map[string]Cell, error) {
	views, err := d.Authz.View(ctx, rows)
	if err != nil {
		return nil, clarify(err)
	}
	shown := make([]map[string]Cell, len(rows))
	full := map[string][]int{} // by the fields seen in full: rows
	for i := range rows {
		shown[i] = map[string]Cell{}
		var open []string
		leaving := views[i].Export()
		for _, field := range fields {
			value := P(&rows[i]).Sealed(field)
			switch {
			case value.IsErased():
				shown[i][field] = Cell{Erased: true}
			case !value.Valid():
				shown[i][field] = Cell{}
			case views[i].Level(field) == masking.Full:
				open = append(open, field)
			default:
				revealable, err := d.offers(ctx, &views[i], "reveal", &rows[i])
				if err != nil {
					return nil, clarify(err)
				}
				shown[i][field] = Cell{Text: views[i].Text(field).Text, Masked: true, Revealable: revealable}
			}
		}
		for _, field := range fields {
			cell := shown[i][field]
			cell.exportable = leaving.Level(field) != masking.Hidden
			shown[i][field] = cell
		}
		if len(open) > 0 {
			key := strings.Join(open, ",")
			full[key] = append(full[key], i)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(full)) { // in one order, or the log would tell the same look in several ways
		if err := open[T, P](ctx, d, rows, full[key], strings.Split(key, ","), purpose, shown); err != nil {
			return nil, err
		}
	}
	return shown, nil
}

// open reveals some fields of some rows into their cells.
func open[T any, P interface {
	*T
	sealedRow
}](ctx context.Context, d *Desk, rows []T, at []int, fields []string, purpose string, shown []map[string]Cell) error {
	part := make([]T, len(at))
	for n, i := range at {
		part[n] = rows[i]
	}
	values, err := d.Vault.RevealRows(ctx, purpose, part, goNames(fields)...)
	if needs := (*Needs)(nil); errors.As(clarify(err), &needs) { // a page is no reason: masked, until somebody brings what is missing
		for _, i := range at {
			for _, field := range fields {
				shown[i][field] = Cell{Text: P(&rows[i]).Sealed(field).String(), Masked: true, Revealable: true}
			}
		}
		return nil
	}
	if err != nil {
		return clarify(err)
	}
	for n, i := range at {
		for _, field := range fields {
			shown[i][field] = Cell{Text: values[n][goName(field)], exportable: shown[i][field].exportable}
		}
	}
	return nil
}

// goName returns the name of the struct field of a column: first_name, FirstName.
func goName(column string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(column, "_") {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func goNames(columns []string) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = goName(c)
	}
	return names
}

// name joins the cells of a name for display.
func name(cells map[string]Cell) string {
	return strings.TrimSpace(cells["first_name"].Text + " " + cells["last_name"].Text)
}
