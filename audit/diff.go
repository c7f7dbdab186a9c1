package audit

import (
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// A Diff makes the events of the GORM plugin say what changed: for each row and
// field the value before and after, as a commitment that nobody can read and that
// can be proved while its secret exists (Log.Secrets, Log.Forget). It costs two
// more reads for each statement, inside its transaction; the Store must be a SecretStore.
//
// What becomes of a column is said by the tag `audit:"…"` of its field, or by
// Fields, which counts more:
//
//	plain          the value itself: statuses, amounts, other people's business
//	mask=phone     what masking shows of it at the level Partial; any masking.Kind
//	-              nothing; the column is still named as written
//	subject        a commitment, and the value names the person whose secrets
//	               these are; subject=customer puts "customer:" before it
//
// Everything else is committed to. Without a subject column the person is the row
// itself, resource:row, such as "customer:5". A sealed field of package privacy is
// committed to as it is stored, in ciphertext: its plaintext is never touched.
type Diff struct {
	// Except names tables whose events name rows and fields only.
	Except []string

	// Fields says "plain", "mask=…", "-" or "subject" for "table.column".
	Fields map[string]string
}

// A rule says what becomes of a column's values.
type rule struct {
	form State // Committed, Plain or Masked; Absent to leave it out
	mask masking.Kind
}

// rules are those of a table.
type rules struct {
	columns map[string]rule // the others are committed to
	subject string          // column, or ""
	prefix  string
}

// maxPlain is the length of a plain or masked value in an event.
const maxPlain = 256

// A plan is what a watch does for one table.
type plan struct {
	table     string   // to read from
	keys      []string // primary key columns; nil if unknown
	rules     *rules   // nil: no diff
	subject   string
	read      bool
	generated bool // the database makes the key
}

func (l *Log) planFor(stmt *gorm.Statement, table string) (plan, error) {
	p := plan{table: table}
	s := stmt.Schema
	if s == nil {
		return p, nil
	}
	p.keys, p.generated = s.PrimaryFieldDBNames, generatedKey(s)
	if l.cfg.Diff == nil || len(p.keys) == 0 || slices.Contains(l.cfg.Diff.Except, bare(table)) {
		return p, nil
	}
	known, ok := l.rules.Load(s)
	if !ok {
		r, err := l.cfg.Diff.rulesOf(s)
		if err != nil {
			return p, err
		}
		known, _ = l.rules.LoadOrStore(s, r)
	}
	p.rules = known.(*rules)
	p.subject = p.rules.subject
	return p, nil
}

// bare is a table's name without its schema.
func bare(table string) string { return table[strings.LastIndexByte(table, '.')+1:] }

func (d *Diff) rulesOf(s *schema.Schema) (*rules, error) {
	r := &rules{columns: map[string]rule{}}
	for _, f := range s.Fields {
		if f.DBName == "" {
			continue
		}
		text, ok := d.Fields[s.Table+"."+f.DBName]
		if !ok {
			text = f.Tag.Get("audit")
		}
		if err := r.add(f.DBName, text); err != nil {
			return nil, fmt.Errorf("%w: %s.%s: %w", ErrInvalid, s.Table, f.DBName, err)
		}
	}
	return r, nil
}

func (r *rules) add(column, text string) error {
	name, value, _ := strings.Cut(text, "=")
	switch {
	case text == "":
	case text == "plain":
		r.columns[column] = rule{form: Plain}
	case text == "-":
		r.columns[column] = rule{form: Absent}
	case name == "mask":
		kind, err := masking.ParseKind(value)
		if err != nil {
			return err
		}
		r.columns[column] = rule{Masked, kind}
	case name == "subject":
		if r.subject != "" {
			return fmt.Errorf("a table has one subject, and it is %s", r.subject)
		}
		r.subject, r.prefix = column, value
	default:
		return fmt.Errorf("audit:%q is none of plain, mask=kind, subject, subject=prefix and -", text)
	}
	return nil
}

func (r *rules) of(column string) rule {
	if known, ok := r.columns[column]; ok {
		return known
	}
	return rule{form: Committed}
}

// tableOf is the table a statement writes to. stmt.Table may be an alias, and an
// alias must not make a table look like one that is ignored.
func tableOf(stmt *gorm.Statement) string {
	if stmt.TableExpr == nil {
		return stmt.Table
	}
	toks, clear := tokenize(stmt.TableExpr.SQL, stmt.Dialector.Name())
	if !clear || len(toks) == 0 || !toks[0].name() {
		if stmt.Schema != nil {
			return stmt.Schema.Table
		}
		return "?"
	}
	name := stmt.TableExpr.SQL[toks[0].start:toks[0].end]
	if toks[0].kind == 'q' {
		name = toks[0].text
	}
	for i := 1; at(toks, i).is(".") && at(toks, i+1).name(); i += 2 {
		name += "." + toks[i+1].text
	}
	return name
}

// A sideText is one side of a change before it is put into its form.
type sideText struct {
	state State // Absent, Null, Unknown, or Plain for a value
	text  string
}

func sideOf(m *image, r *imageRow, column string) sideText {
	v, ok := m.value(r, column)
	if !ok {
		return sideText{state: Absent}
	}
	text, null, err := valueText(v)
	switch {
	case err != nil:
		return sideText{state: Unknown}
	case null:
		return sideText{state: Null}
	}
	return sideText{Plain, text}
}

// A changedRow is a row an event names, with what changed in it.
type changedRow struct {
	id, subject string
	fields      []fieldChange
}

type fieldChange struct {
	column        string
	rule          rule
	before, after sideText
}

// changed compares the images. Rows and fields that are as they were are left out.
func (w *watch) changed() ([]changedRow, error) {
	after, err := w.readAfter()
	if err != nil {
		return nil, err
	}
	list := []changedRow{}
	pair := func(id string, b, a *imageRow) {
		r := changedRow{id: id, subject: w.subjectOf(id, b, a, after)}
		written := false
		for _, column := range w.fields() {
			c := fieldChange{column, w.plan.rules.of(column), sideOf(w.before, b, column), sideOf(after, a, column)}
			if c.before == c.after && c.before.state != Unknown || slices.Contains(w.plan.keys, column) && (a == nil || b == nil) {
				continue
			}
			written = true
			if c.rule.form != Absent {
				r.fields = append(r.fields, c)
			}
		}
		if written || a == nil || b == nil {
			list = append(list, r)
		}
	}
	if w.verb == "create" {
		for id, a := range after.rows {
			pair(id, w.before.all()[id], a)
		}
		return list, nil
	}
	for id, b := range w.before.rows {
		moved := clean(keyOf(w.movedKey(b.key)), maxID)
		a := after.rows[moved]
		pair(id, b, a)
		if moved != id && a != nil {
			list = append(list, changedRow{id: moved, subject: w.subjectOf(moved, nil, a, after)})
		}
	}
	return list, nil
}

func (w *watch) subjectOf(id string, b, a *imageRow, after *image) string {
	if w.plan.subject != "" {
		side := sideOf(after, a, w.plan.subject)
		if side.state != Plain {
			side = sideOf(w.before, b, w.plan.subject)
		}
		if side.state == Plain && w.plan.rules.prefix != "" {
			return clean(w.plan.rules.prefix+":"+side.text, maxID)
		}
		if side.state == Plain {
			return clean(side.text, maxID)
		}
	}
	return clean(resourceOf(w.stmt.DB)+":"+id, maxID)
}

// formed puts one side of a change into the form the event holds.
func formed(s sideText, r rule, secret []byte, resource, row, field string, after bool) Value {
	if s.state != Plain {
		return Value{State: s.state}
	}
	switch r.form {
	case Plain:
		return Value{State: Plain, Text: clean(s.text, maxPlain)}
	case Masked:
		return Value{State: Masked, Text: clean(masking.Mask(r.mask, masking.Partial, s.text), maxPlain)}
	}
	return Value{State: Committed, Sum: commit(secret, resource, row, field, after, s.text)}
}
