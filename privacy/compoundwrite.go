package privacy

import (
	"database/sql"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// makeCompounds makes the compound indexes of which an UPDATE assigns a part. What it does not assign is read
// from the row, under the row's lock, and opened.
func (u *update) makeCompounds(db *gorm.DB, row, person string) error {
	u.compounds = map[*indexField]Index{}
	assigned := map[*sealedField]*sealJob{}
	for _, j := range u.sealing.jobs {
		assigned[j.field] = j
	}
	var kept []*sealedField
	for _, x := range u.m.compounds {
		n, null := 0, false
		for _, p := range x.parts {
			if j := assigned[p.of]; j != nil {
				n++
				null = null || j.in.state == stateNull
			}
		}
		if n == 0 {
			continue
		}
		u.compounds[x] = nil
		for _, p := range x.parts {
			if !null && assigned[p.of] == nil {
				kept = append(kept, p.of)
			}
		}
	}
	boxes, found, err := u.readKept(db, row, kept)
	if err != nil {
		return err
	}
	if !found {
		// A row that appears from now on has a value that was not read.
		u.stmt.AddClause(clause.Where{Exprs: []clause.Expression{clause.Expr{SQL: "1 = 0"}}})
		return nil
	}
	return u.fillCompounds(assigned, boxes, row, person)
}

func (u *update) fillCompounds(assigned map[*sealedField]*sealJob, boxes map[*sealedField][]byte, row, person string) error {
	given := valueIn(u.sealing.jobs)
	for x := range u.compounds {
		var broken error
		var first *sealJob
		values, ok := x.partValues(func(f *sealedField) ([]byte, bool) {
			if j := assigned[f]; j != nil {
				first = j
				return given(f)
			}
			box := boxes[f]
			if box == nil || broken != nil {
				return nil, false
			}
			value, err := u.sealing.own[person].open(box, place{vault: u.sealing.v, field: f, tenant: u.sealing.tenant, row: row, subject: person})
			if err != nil {
				broken = fmt.Errorf("%w: %s of row %s is indexed together with what is assigned, and does not open; assign both", err, f.logical, row)
			}
			return value, err == nil
		})
		if broken != nil {
			return broken
		}
		if !ok {
			continue
		}
		idx, err := u.sealing.compound(x, values, first)
		if err != nil {
			return err
		}
		u.compounds[x] = idx
	}
	return nil
}

// readKept reads cells of the row that the statement leaves alone.
func (u *update) readKept(db *gorm.DB, row string, fields []*sealedField) (boxes map[*sealedField][]byte, found bool, err error) {
	key, ok := u.m.keyOf(u.stmt.Context, row)
	if len(fields) == 0 || !ok {
		return nil, len(fields) == 0, nil
	}
	c := conn{session(u.stmt.Context, db)}
	where := []clause.Expression{u.m.where([]rowKey{key}, "")}
	if u.m.tenant != nil {
		where = append(where, clause.Eq{Column: clause.Column{Name: u.m.tenant.DBName}, Value: u.sealing.tenant})
	}
	var columns []string
	for _, f := range fields {
		columns = append(columns, f.column)
	}
	tail := ""
	if c.dialect() != "sqlite" {
		tail = " FOR UPDATE"
	}
	boxes = map[*sealedField][]byte{}
	err = c.query(u.stmt.Context, func(r *sql.Rows) error {
		found = true
		cells, dest := make([][]byte, len(fields)), make([]any, len(fields))
		for i := range cells {
			dest[i] = &cells[i]
		}
		err := r.Scan(dest...)
		for i, f := range fields {
			boxes[f] = cells[i]
		}
		return err
	}, "SELECT ? FROM "+c.quote(u.stmt.Table)+" WHERE ?"+tail, columnList(columns), clause.AndConditions{Exprs: where})
	if err != nil {
		return nil, false, fmt.Errorf("privacy: read what is indexed together with an assigned value: %w", err)
	}
	return boxes, found, nil
}
