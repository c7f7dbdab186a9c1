// Package sqlsource reads SQLite, PostgreSQL and MySQL or MariaDB databases for
// a backup, from the catalog and not from models, and restores them into an
// empty database of the same engine or another one.
//
// A restore into another engine first reads all rows of the snapshot, chooses
// types that hold them, and converts every value there and back. What would not
// come back the same is refused by the names of table and column before anything
// is written: numbers out of range, unsigned 64-bit numbers above the signed
// ones, NUL in PostgreSQL's text, time zones and nanoseconds, dates that only one
// engine has, names too long. Columns, keys, plain indexes, foreign keys and
// counters are made again; defaults, checks, collations, computed columns and
// partial indexes are written in one engine's SQL and stand in Report.Omitted.
// Text then compares by its bytes, as a key may need it to.
//
// A snapshot is one transaction: REPEATABLE READ READ ONLY on PostgreSQL, WITH
// CONSISTENT SNAPSHOT on MySQL, one read transaction on SQLite (which blocks
// nobody in WAL mode). PostgreSQL must be opened with pgx, as GORM does.
//
// What would be lost silently is refused: a table without a primary key, a
// storage engine without snapshots, a partitioned table. Exclude such a table by
// name, or change it. What holds no rows of its own (views, triggers, functions)
// is not copied and stands in Snapshot.Omitted.
package sqlsource

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/confide-go/confide/backup"
)

// The engines, by the names GORM's dialectors give themselves.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
	MySQL    = "mysql"
)

// Config says which database and which of its tables.
type Config struct {
	DB     *sql.DB // required
	Engine string  // SQLite, Postgres or MySQL; required

	// Include names the only tables covered; empty means all. Exclude names tables
	// that are not. As a source, each named table must exist, so that a misspelt
	// name cannot let a table in or leave it out. As a target, only covered tables
	// must be absent.
	Include, Exclude []string

	// Quarantine marks what a restore brings as not to be used, until
	// backup.Promote has let it out. An application asks Quarantined when it starts.
	Quarantine bool
}

// A Database is a backup.Source and a backup.Target.
type Database struct {
	cfg    Config
	engine engine
}

var (
	_ backup.Source = (*Database)(nil)
	_ backup.Target = (*Database)(nil)
)

// An engine is what differs between the databases.
type engine interface {
	reader
	loader
	tracker
	merger
}

type reader interface {
	// begin starts the read transaction and describes the covered tables.
	begin(ctx context.Context, s *session, f filter) (*catalog, error)
	// rows yields a table's rows within the session's transaction.
	rows(ctx context.Context, s *session, t *table, which selection) iter.Seq2[backup.Row, error]
	// reread describes the tables as restored, to write and read them back.
	reread(ctx context.Context, s *session, names []string) ([]*table, error)
}

type loader interface {
	// prepare begins a restore, unless check refuses what is there already. It
	// returns the tables it made itself.
	prepare(ctx context.Context, s *session, check func(existing []string) error) (made []string, err error)
	// load stores rows.
	load(ctx context.Context, s *session, t *table, rows iter.Seq2[backup.Row, error]) error
	// commit ends a restore; abandon undoes it as far as a rollback does not.
	commit(ctx context.Context, s *session) error
	abandon(ctx context.Context, s *session, created []string) error
}

// A catalog is a schema with what is needed to read it.
type catalog struct {
	schema backup.Schema
	tables []*table
}

func (c *catalog) find(name string) (*table, error) {
	for _, t := range c.tables {
		if t.name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("sqlsource: there is no table %q in this snapshot", name)
}

// New returns the database as a source and target.
func New(cfg Config) (*Database, error) {
	if cfg.DB == nil {
		return nil, errors.New("sqlsource: Config.DB is nil")
	}
	d := &Database{cfg: cfg}
	switch cfg.Engine {
	case SQLite:
		d.engine = sqlite{}
	case Postgres:
		d.engine = postgres{}
	case MySQL:
		d.engine = mysql{}
	default:
		return nil, fmt.Errorf("sqlsource: Config.Engine is %q; use %q, %q or %q", cfg.Engine, SQLite, Postgres, MySQL)
	}
	for _, name := range cfg.Include {
		if slices.Contains(cfg.Exclude, name) {
			return nil, fmt.Errorf("sqlsource: table %q is both included and excluded", name)
		}
	}
	return d, nil
}

func (d *Database) filter() filter { return filter{include: d.cfg.Include, exclude: d.cfg.Exclude} }

// Snapshot implements backup.Source.
func (d *Database) Snapshot(ctx context.Context) (backup.View, error) {
	s, err := openSession(ctx, d.cfg.DB)
	if err != nil {
		return nil, err
	}
	c, err := d.engine.begin(ctx, s, d.filter())
	if err != nil {
		s.end()
		return nil, err
	}
	v := &view{db: d.cfg.DB, engine: d.engine, session: s, catalog: c}
	if err := v.tracking(ctx); err != nil {
		s.end()
		return nil, err
	}
	return v, nil
}

type view struct {
	db      *sql.DB
	tracked map[string]*tracked
	engine  engine
	session *session
	catalog *catalog
}

func (v *view) Schema() backup.Schema { return v.catalog.schema }

func (v *view) Rows(ctx context.Context, name string) iter.Seq2[backup.Row, error] {
	t, err := v.catalog.find(name)
	if err != nil {
		return failed(err)
	}
	return v.engine.rows(ctx, v.session, t, selection{ordered: true})
}

func (v *view) Close() error { return v.session.end() }

func failed(err error) iter.Seq2[backup.Row, error] {
	return func(yield func(backup.Row, error) bool) { yield(nil, err) }
}
