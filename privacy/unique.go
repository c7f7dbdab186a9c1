package privacy

import (
	"bytes"
	"database/sql"
	"fmt"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// While a tenant has two index keys, two rows with the same value may have two different indexes, and then
// a unique index does not see that they are equal. So whoever writes an index that is unique looks, in the
// same transaction and after the write, whether another row has the value under another key. That is
// enough, without locks on values: the tenant's keys are held, so nobody writes with the former key any
// more; a row that has the former index is found here, and one that was re-indexed meanwhile, or written
// with the new key, collides in the unique index itself.

// A twin is an index that was written and those that must not be there.
type twin struct {
	index *indexField
	mine  Index
	other []Index
}

// addTwins notes what has to be looked at after the write.
func (j *sealJob) addTwins(keys *tenantKeys, x *indexField, region string, value []byte, mine Index) error {
	if keys.index == nil || len(keys.index.PRFs) < 2 || len(x.of.model.uniques(x)) == 0 {
		return nil
	}
	all, err := keys.blindAll(j.at.tenant, x, []string{x.form(string(value), region)})
	if err != nil {
		return err
	}
	t := twin{index: x, mine: mine}
	for _, i := range all {
		if !bytes.Equal(i, mine) {
			t.other = append(t.other, i)
		}
	}
	j.twins = append(j.twins, t)
	return nil
}

// uniques returns the unique indexes of a model that an index column is part of.
func (m *model) uniques(x *indexField) []*schema.Index {
	var out []*schema.Index
	for _, i := range m.unique {
		for _, f := range i.Fields {
			if f.Field == x.field {
				out = append(out, i)
			}
		}
	}
	if x.field.Unique && len(out) == 0 {
		out = append(out, &schema.Index{Class: "UNIQUE", Fields: []schema.IndexOption{{Field: x.field}}})
	}
	return out
}

const twinsOf = "confide:privacy:twins"

func rememberTwins(db *gorm.DB, jobs []*sealJob) {
	var all []twin
	for _, j := range jobs {
		all = append(all, j.twins...)
	}
	if len(all) > 0 {
		db.InstanceSet(twinsOf, all)
	}
}

// afterUnique fails a write that made two rows equal in a unique index.
func (v *Vault) afterUnique(db *gorm.DB) {
	all, ok := db.InstanceGet(twinsOf)
	if !ok || db.Error != nil || db.DryRun {
		return
	}
	c := conn{session(db.Statement.Context, db)}
	for _, t := range all.([]twin) {
		for _, unique := range t.index.of.model.uniques(t.index) {
			found, err := t.look(c, db, unique)
			if err != nil {
				_ = db.AddError(fmt.Errorf("privacy: look for %s in other rows: %w", t.index.of.logical, err))
				return
			}
			if found {
				_ = db.AddError(fmt.Errorf("%w: privacy: %s of another row is the same, and %s is unique", gorm.ErrDuplicatedKey, t.index.of.logical, t.index.column))
				return
			}
		}
	}
}

// look compares all columns of the unique index, as the database does: NULL equals nothing.
func (t twin) look(c conn, db *gorm.DB, unique *schema.Index) (bool, error) {
	m := t.index.of.model
	var same []string
	for _, f := range unique.Fields {
		if f.Field != t.index.field && f.Expression == "" && f.Field != nil {
			col := c.quote(f.DBName)
			same = append(same, "a."+col+" = b."+col)
		}
	}
	where := ""
	if unique.Where != "" {
		where = "(" + unique.Where + ") AND "
	}
	part := "(SELECT * FROM " + c.quote(m.table) + " WHERE " + where + c.quote(t.index.column)
	text := "SELECT 1 FROM " + part + " = ?) a JOIN " + part + " IN ?) b ON " + strings.Join(append(same, "1 = 1"), " AND ") + " LIMIT 1"
	if c.dialect() == "mysql" {
		text += " LOCK IN SHARE MODE" // what is committed now, and not the snapshot of the transaction
	}
	other := make([][]byte, len(t.other))
	for i, o := range t.other {
		other[i] = o
	}
	found := false
	err := c.query(db.Statement.Context, func(r *sql.Rows) error {
		found = true
		var one int
		return r.Scan(&one)
	}, text, []byte(t.mine), other)
	return found, err
}
