package privacy

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"gorm.io/gorm"
)

// BlindIndex returns the cells that rows of the context's tenant whose sealed field has the normal form of this
// text may have in an index column of the model's table: one for each index key in use. A text that is empty
// in its normal form has none, and neither has a tenant without keys. An authorizer compares sealed fields
// with attributes of its caller by it. A search also tries what else a value may have been stored as; this does not,
// for 15147214711 is one person's number in China and another's in Montreal, and neither may pass for the
// other. Keys that are not cached are read through db. The cells are pseudonyms: do not log them.
func (v *Vault) BlindIndex(ctx context.Context, db *gorm.DB, model any, index, value string) ([][]byte, error) {
	t := reflect.TypeOf(model)
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	m := v.reg.Load().byType[t]
	if m == nil {
		return nil, refuse(fmt.Sprintf("model %T", model), "the vault does not know it", "pass it to vault.Migrate or vault.Register at start-up")
	}
	x := m.blind[strings.ToLower(index)]
	switch {
	case x == nil:
		return nil, refuse(m.resource, fmt.Sprintf("has no index column %q", index), "name the column of a privacy.Index")
	case !x.isWhole() || len(x.parts) > 0:
		return nil, refuse(m.resource+"."+x.column, "is an index of a part, a bucket or several fields, which other values share", "name an index of whole values")
	case x.of.form != formText:
		return nil, refuse(x.of.logical, "holds a "+x.of.form.typeName()+" and is compared with text", "compare only a privacy.String")
	}
	form := x.norm.apply(value, v.cfg.Region)
	if strings.TrimSpace(strings.TrimPrefix(form, "text:")) == "" {
		return nil, nil
	}
	tenant := &tenantIndex{ctx: ctx, v: v, db: db}
	if err := tenant.load(); err != nil || tenant.keys == nil {
		return nil, err
	}
	all, err := tenant.keys.blindAll(tenant.tenant, x, []string{form})
	cells := make([][]byte, len(all))
	for i, c := range all {
		cells[i] = c
	}
	return cells, err
}
