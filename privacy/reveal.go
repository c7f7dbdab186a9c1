package privacy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
)

var errPurpose = errors.New("privacy: reveal: the purpose is empty; say why the value is needed, it goes into the log")

// reveal asks the gate once for all cells, opens them, records the look and returns the values. All cells
// are of one model. If any of that fails there are no values.
func (v *Vault) reveal(ctx context.Context, purpose string, cells []*cell) ([][]byte, error) {
	if strings.TrimSpace(purpose) == "" {
		return nil, errPurpose
	}
	tenant, err := v.tenant(ctx)
	if err != nil {
		return nil, err
	}
	var rows, fields, subjects []string
	add := func(list *[]string, s string) {
		if !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	for _, c := range cells {
		if c.at.tenant != tenant {
			return nil, fmt.Errorf("privacy: reveal: the value belongs to another tenant than the context; pass the context it was read with")
		}
		add(&rows, c.at.row)
		add(&fields, c.at.field.column)
		add(&subjects, c.at.subject)
	}
	resource := cells[0].at.field.model.resource
	if err := v.cfg.Gate.MayReveal(ctx, resource, rows, fields); err != nil {
		return nil, fmt.Errorf("privacy: reveal %s of %s: %w", strings.Join(fields, ", "), resource, err)
	}
	values := make([][]byte, len(cells))
	for i, c := range cells {
		if values[i], err = c.open(); err != nil {
			return nil, err
		}
	}
	err = v.cfg.Record.Record(ctx, resource+".reveal",
		slog.String("resource", resource), rowAttr(rows), slog.String("fields", strings.Join(fields, ",")),
		slog.String("subject", strings.Join(subjects, ",")), slog.String("purpose", purpose), slog.String("result", "ok"))
	if err != nil {
		return nil, fmt.Errorf("privacy: reveal: the look could not be recorded, so there is none: %w", err)
	}
	return values, nil
}

func rowAttr(rows []string) slog.Attr {
	if len(rows) == 1 {
		return slog.String("row", rows[0])
	}
	return slog.String("rows", strings.Join(rows, ","))
}

// RevealRows opens fields of a whole page at once: one question to the gate, one record, all or nothing.
// rows is a model, a slice of models, or a pointer to either, as Find filled it; fields are Go names, and
// none means all sealed ones. The result has one map per row in the same order, keyed by Go name; a field
// that is NULL, absent or of an erased person is not in it. The values of a Value are JSON, those of
// Bytes the bytes, and all others are text as FORMAT.md describes it.
func (v *Vault) RevealRows(ctx context.Context, purpose string, rows any, fields ...string) ([]map[string]string, error) {
	rv := structOf(reflect.ValueOf(rows))
	var list []reflect.Value
	switch rv.Kind() {
	case reflect.Struct:
		list = []reflect.Value{rv}
	case reflect.Slice, reflect.Array:
		for i := range rv.Len() {
			list = append(list, structOf(rv.Index(i)))
		}
	default:
		return nil, fmt.Errorf("privacy: reveal: rows is a %T; pass a model or a slice of models", rows)
	}
	out := make([]map[string]string, len(list))
	var cells []*cell
	var put []func(string)
	for i, row := range list {
		out[i] = map[string]string{}
		if !row.IsValid() {
			continue
		}
		picked, err := v.fieldsOf(row.Type(), fields)
		if err != nil {
			return nil, err
		}
		for _, f := range picked {
			c := f.get(ctx, row)
			if !c.valid() {
				continue
			}
			if c.at.vault != v {
				return nil, fmt.Errorf("%s: %w", f.logical, errOr(c.openForReveal()))
			}
			cells = append(cells, c)
			put = append(put, func(s string) { out[i][f.field.Name] = s })
		}
	}
	if len(cells) == 0 {
		return out, nil
	}
	values, err := v.reveal(ctx, purpose, cells)
	if err != nil {
		return nil, err
	}
	for i, b := range values {
		put[i](cells[i].holds().shown(b))
	}
	return out, nil
}

// errOr returns the reason why a cell cannot be revealed here.
func errOr(_ []byte, err error) error {
	if err == nil {
		return fmt.Errorf("%w of this vault", ErrUnbound)
	}
	return err
}

func (v *Vault) fieldsOf(t reflect.Type, names []string) ([]*sealedField, error) {
	m := v.reg.Load().byType[t]
	if m == nil {
		return nil, refuse("model "+t.Name(), "the vault does not know it", "pass it to vault.Migrate or vault.Register at start-up")
	}
	if len(names) == 0 {
		return m.sealed, nil
	}
	var out []*sealedField
	for _, name := range names {
		i := slices.IndexFunc(m.sealed, func(f *sealedField) bool { return f.field.Name == name })
		if i < 0 {
			return nil, refuse(m.resource, fmt.Sprintf("has no sealed field %q", name), "use the Go name of a sealed field")
		}
		out = append(out, m.sealed[i])
	}
	return out, nil
}
