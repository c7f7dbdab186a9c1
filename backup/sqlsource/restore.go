package sqlsource

import (
	"context"
	"fmt"
	"iter"

	"github.com/confide-go/confide/backup"
)

// Begin implements backup.Target.
func (d *Database) Begin(ctx context.Context, schema backup.Schema) (backup.Loading, error) {
	if schema.Engine != d.cfg.Engine {
		return nil, fmt.Errorf("%w: the snapshot is of engine %q and the target is %q; restore into a %s database", backup.ErrUnsupported, schema.Engine, d.cfg.Engine, schema.Engine)
	}
	f := d.filter()
	for _, t := range schema.Tables {
		if !f.covers(t.Name) {
			return nil, fmt.Errorf("sqlsource: the snapshot holds table %q, which the target's Config does not cover", t.Name)
		}
	}
	s, err := openSession(ctx, d.cfg.DB)
	if err != nil {
		return nil, err
	}
	l := &loading{engine: d.engine, session: s, quarantine: d.cfg.Quarantine}
	if err := l.start(ctx, f, schema); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// loading is a restore under way.
type loading struct {
	engine   engine
	session  *session
	schema   backup.Schema
	tables   []*table
	created  []string // tables made, for engines that cannot roll them back
	finished bool

	quarantine bool
}

func (l *loading) start(ctx context.Context, f filter, schema backup.Schema) error {
	made, err := l.engine.prepare(ctx, l.session, func(existing []string) error {
		for _, name := range existing {
			if f.covers(name) {
				return fmt.Errorf("%w: it has %q; restore into a new database", backup.ErrNotEmpty, name)
			}
		}
		return nil
	})
	l.created = made
	if err != nil {
		return err
	}
	l.schema = schema
	if l.quarantine {
		if err := l.run(ctx, []string{"CREATE TABLE " + quarantine + " (id INT PRIMARY KEY)"}); err != nil {
			return err
		}
		l.created = append(l.created, quarantine)
	}
	if err := l.run(ctx, schema.Before); err != nil {
		return err
	}
	for _, t := range schema.Tables {
		if err := l.run(ctx, t.Create); err != nil {
			return err
		}
		l.created = append(l.created, t.Name)
	}
	var tables []string
	for _, t := range schema.Tables {
		tables = append(tables, t.Name)
	}
	if l.tables, err = l.engine.reread(ctx, l.session, tables); err != nil {
		return err
	}
	return l.compare()
}

// compare refuses a target that made other columns out of the same statements.
func (l *loading) compare() error {
	for i, want := range l.schema.Tables {
		var have []string
		for _, c := range l.tables[i].columns {
			have = append(have, c.name)
		}
		same := len(have) == len(want.Columns)
		for j := 0; same && j < len(have); j++ {
			same = have[j] == want.Columns[j].Name
		}
		if !same {
			return fmt.Errorf("sqlsource: table %q came out with other columns than the snapshot has", want.Name)
		}
	}
	return nil
}

func (l *loading) run(ctx context.Context, statements []string) error {
	for _, statement := range statements {
		if err := l.session.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (l *loading) find(name string) (*table, error) {
	return (&catalog{tables: l.tables}).find(name)
}

func (l *loading) Load(ctx context.Context, name string, rows iter.Seq2[backup.Row, error]) error {
	t, err := l.find(name)
	if err != nil {
		return err
	}
	return l.engine.load(ctx, l.session, t, rows)
}

func (l *loading) Finish(ctx context.Context) error {
	for _, t := range l.schema.Tables {
		if err := l.run(ctx, t.Finish); err != nil {
			return err
		}
	}
	return l.run(ctx, l.schema.After)
}

func (l *loading) Rows(ctx context.Context, name string) iter.Seq2[backup.Row, error] {
	t, err := l.find(name)
	if err != nil {
		return failed(err)
	}
	return l.engine.rows(ctx, l.session, t, selection{})
}

func (l *loading) Commit(ctx context.Context) error {
	if err := l.engine.commit(ctx, l.session); err != nil {
		return err
	}
	l.finished = true
	return l.Close()
}

func (l *loading) Close() error {
	if !l.finished {
		l.finished = true
		ctx, cancel := cleanup()
		defer cancel()
		if err := l.engine.abandon(ctx, l.session, l.created); err != nil {
			l.session.end()
			return err
		}
	}
	return l.session.end()
}
