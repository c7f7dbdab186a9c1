package privacy

import (
	"context"
	"database/sql"
	"fmt"
)

// A namedRow is a value with search tokens that Doctor came across.
type namedRow struct {
	row    rawRow
	field  *sealedField
	value  []byte
	opened bool
	empty  bool // NULL, or of an erased person: there must be no tokens
	erased bool
}

// checkTokens compares the tokens of a page with its values.
func (d *examination) checkTokens(ctx context.Context, tk *tenantKeys) error {
	byField := map[*sealedField][]namedRow{}
	for _, n := range d.names {
		byField[n.field] = append(byField[n.field], n)
	}
	d.names = nil
	for f, list := range byField {
		var ids []string
		for _, n := range list {
			ids = append(ids, d.m.tokenRow(joinRowID(n.row.keys)))
		}
		stored := map[string]map[string]bool{}
		err := d.c.query(ctx, func(r *sql.Rows) error {
			var id string
			var token []byte
			if err := r.Scan(&id, &token); err != nil {
				return err
			}
			if stored[id] == nil {
				stored[id] = map[string]bool{}
			}
			stored[id][string(token)] = true
			return nil
		}, "SELECT row_id, token FROM confide_tokens WHERE tenant = ? AND field = ? AND row_id IN ?", d.tenant, f.logical, ids)
		if err != nil {
			return fmt.Errorf("read the search tokens (was Migrate called?): %w", err)
		}
		for i, n := range list {
			if err := d.checkName(n, stored[ids[i]], tk); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *examination) checkName(n namedRow, stored map[string]bool, tk *tenantKeys) error {
	switch {
	case n.erased && len(stored) > 0:
		d.add(findErased, n.field.column, n.row, "the person was erased but still has search tokens; call vault.ReplayErasures")
	case n.empty && len(stored) > 0:
		d.add(findIndex, n.field.column, n.row, "there are search tokens but no value; call vault.Reindex")
	case n.opened:
		ok, err := d.v.tokensFit(tk, d.tenant, n.field, string(n.value), stored)
		if err != nil {
			return err
		}
		if !ok {
			d.add(findIndex, n.field.column, n.row, "the search tokens do not fit the value, so searches miss the row; call vault.Reindex")
		}
	}
	return nil
}

// tokensFit reports whether the stored tokens are those of the value, each under any index key.
func (v *Vault) tokensFit(tk *tenantKeys, tenant string, f *sealedField, value string, stored map[string]bool) (bool, error) {
	texts := cutName(value).tokens(v.names)
	seen := 0
	for _, text := range texts {
		cells, err := tk.tokenAll(tenant, f, text)
		if err != nil {
			return false, err
		}
		found := false
		for _, c := range cells {
			if stored[string(c.(Index))] {
				found = true
				seen++
			}
		}
		if !found {
			return false, nil
		}
	}
	return seen == len(stored), nil
}

// strayTokens finds tokens of rows that are not there any more: somebody deleted them past the vault.
func (d *examination) strayTokens(ctx context.Context) error {
	for _, f := range d.m.sealed {
		if !f.search {
			continue
		}
		for after := ""; ; {
			var ids []string
			err := d.c.query(ctx, func(r *sql.Rows) error {
				var id string
				err := r.Scan(&id)
				ids = append(ids, id)
				return err
			}, fmt.Sprintf("SELECT DISTINCT row_id FROM confide_tokens WHERE tenant = ? AND field = ? AND row_id > ? ORDER BY row_id LIMIT %d", doctorPage), d.tenant, f.logical, after)
			if err != nil || len(ids) == 0 {
				return err
			}
			stray, err := d.m.missing(ctx, d.c, ids)
			if err != nil {
				return err
			}
			for _, id := range stray {
				d.out = append(d.out, Finding{findIndex, d.m.table, f.column, id, "there are search tokens of a row that is gone; call vault.Reindex"})
			}
			after = ids[len(ids)-1]
		}
	}
	return nil
}

// missing returns those of the rows that do not exist.
func (m *model) missing(ctx context.Context, c conn, ids []string) ([]string, error) {
	var keys []rowKey
	for _, id := range ids {
		if key, ok := m.tokenKey(ctx, id); ok {
			keys = append(keys, key)
		}
	}
	there, err := m.keysWhere(ctx, c, m.table, m.where(keys, ""))
	if err != nil {
		return nil, err
	}
	have := map[string]bool{}
	for _, k := range there {
		have[m.tokenRow(k.id)] = true
	}
	var out []string
	for _, id := range ids {
		if !have[id] {
			out = append(out, id)
		}
	}
	return out, nil
}
