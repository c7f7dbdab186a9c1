// Package testdb gives every test its own empty database on each engine that
// Confide supports.
//
// SQLite always runs. PostgreSQL and MySQL (or MariaDB) run when
// CONFIDE_TEST_POSTGRES and CONFIDE_TEST_MYSQL hold a DSN of a user who may
// create schemas and databases; without them the subtest is skipped, and
// .ci/run counts such skips as failures.
package testdb

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// The engines, by the names GORM's dialectors give themselves.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
	MySQL    = "mysql"
)

// Engines lists all engines, the embedded one first.
func Engines() []string { return []string{SQLite, Postgres, MySQL} }

// A DB is one throw-away database.
type DB struct {
	*gorm.DB
	Engine string // SQLite, Postgres or MySQL
	DSN    string // opens the same database again, also from another process
}

// Each runs f as one subtest per engine, each with an empty database.
func Each(t *testing.T, f func(t *testing.T, db DB)) {
	t.Helper()
	for _, engine := range Engines() {
		t.Run(engine, func(t *testing.T) { f(t, New(t, engine)) })
	}
}

// EachInFull is Each for what the race detector learns nothing more of on a second
// engine: large tables of cases, and plans of large tables that EXPLAIN shows.
// Under -short, as under the race detector in CI, only SQLite runs.
func EachInFull(t *testing.T, f func(t *testing.T, db DB)) {
	t.Helper()
	for _, engine := range EnginesInFull() {
		t.Run(engine, func(t *testing.T) { f(t, New(t, engine)) })
	}
}

// EnginesInFull lists the engines of EachInFull.
func EnginesInFull() []string {
	if testing.Short() {
		return []string{SQLite}
	}
	return Engines()
}

// New creates an empty database on one engine and drops it when the test ends.
// It skips the test if the engine's environment variable is not set.
func New(t testing.TB, engine string) DB {
	t.Helper()
	switch engine {
	case SQLite:
		return DB{Engine: engine, DSN: SQLiteDSN(filepath.Join(t.TempDir(), "test.db"))}.open(t)
	case Postgres:
		return newPostgres(t)
	case MySQL:
		return newMySQL(t)
	}
	t.Fatalf("testdb: unknown engine %q; use one of %v", engine, Engines())
	return DB{}
}

// SQLiteDSN is how the tests and the example app open a SQLite file: write-ahead
// log, full synchronisation, foreign keys on, and transactions that take the
// write lock at BEGIN so that they cannot fail half way with a stale snapshot.
func SQLiteDSN(path string) string {
	path = strings.NewReplacer("%", "%25", "#", "%23", "?", "%3f").Replace(filepath.ToSlash(path)) // it is a URI
	return "file:" + path + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
}

// Reopen opens the same database through a second, independent pool.
func (db DB) Reopen(t testing.TB) DB {
	t.Helper()
	return DB{Engine: db.Engine, DSN: db.DSN}.open(t)
}

func (db DB) open(t testing.TB) DB {
	t.Helper()
	g, err := gorm.Open(Dialector(db.Engine, db.DSN), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatalf("testdb: open %s: %v", db.Engine, err)
	}
	pool, err := g.DB()
	if err != nil {
		t.Fatalf("testdb: pool of %s: %v", db.Engine, err)
	}
	pool.SetMaxOpenConns(8)
	t.Cleanup(func() { pool.Close() })
	db.DB = g
	return db
}

// Dialector returns GORM's dialector for an engine and DSN.
func Dialector(engine, dsn string) gorm.Dialector {
	switch engine {
	case Postgres:
		return postgres.Open(dsn)
	case MySQL:
		return mysql.Open(dsn)
	}
	return sqlite.Open(dsn)
}

func newPostgres(t testing.TB) DB {
	t.Helper()
	dsn := os.Getenv("CONFIDE_TEST_POSTGRES")
	if dsn == "" {
		t.Skip("CONFIDE_TEST_POSTGRES is not set")
	}
	schema := "confide_" + random(t)
	admin(t, Postgres, dsn, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { admin(t, Postgres, dsn, "DROP SCHEMA "+schema+" CASCADE") })
	return DB{Engine: Postgres, DSN: withSearchPath(dsn, schema)}.open(t)
}

func newMySQL(t testing.TB) DB {
	t.Helper()
	dsn := os.Getenv("CONFIDE_TEST_MYSQL")
	if dsn == "" {
		t.Skip("CONFIDE_TEST_MYSQL is not set")
	}
	cfg, err := mysqldriver.ParseDSN(dsn)
	if err != nil {
		t.Fatal("testdb: CONFIDE_TEST_MYSQL is not a DSN of the form user:password@tcp(host:port)/name")
	}
	name := "confide_" + random(t)
	admin(t, MySQL, dsn, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4")
	t.Cleanup(func() { admin(t, MySQL, dsn, "DROP DATABASE "+name) })
	cfg.DBName, cfg.ParseTime = name, true
	if err := cfg.Apply(mysqldriver.Charset("utf8mb4", "")); err != nil {
		t.Fatalf("testdb: charset: %v", err)
	}
	return DB{Engine: MySQL, DSN: cfg.FormatDSN()}.open(t)
}

// admin runs one statement through a connection of its own. It uses its own
// context: cleanups run after the test's context is gone.
func admin(t testing.TB, engine, dsn, statement string) {
	t.Helper()
	g, err := gorm.Open(Dialector(engine, dsn), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		t.Fatalf("testdb: connect to %s: %v", engine, err)
	}
	pool, err := g.DB()
	if err != nil {
		t.Fatalf("testdb: pool of %s: %v", engine, err)
	}
	defer pool.Close()
	if _, err := pool.ExecContext(context.Background(), statement); err != nil {
		t.Fatalf("testdb: %s: %v", statement, err)
	}
}

func withSearchPath(dsn, schema string) string {
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		q := u.Query()
		q.Set("search_path", schema)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return fmt.Sprintf("%s search_path=%s", dsn, schema)
}

func random(t testing.TB) string {
	t.Helper()
	var b [6]byte
	if _, err := rand.Read(b[:]); err != nil {
		t.Fatalf("testdb: random name: %v", err)
	}
	return hex.EncodeToString(b[:])
}
