package testdb

import (
	"context"
	"database/sql"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// A Snapshot remembers every row of a database. A test that damages a database over
// and over fills it once and puts the rows back, which takes a small part of the time
// of making another one.
type Snapshot struct {
	db     DB
	tables []tableRows
}

type tableRows struct {
	name    string
	columns []string
	rows    [][]any
}

// Snapshot reads all rows. The tables must have no foreign keys.
func (db DB) Snapshot(t testing.TB) Snapshot {
	t.Helper()
	names, err := db.Migrator().GetTables()
	if err != nil {
		t.Fatalf("testdb: list the tables: %v", err)
	}
	s := Snapshot{db: db}
	for _, name := range names {
		if !strings.HasPrefix(name, "sqlite_") {
			s.tables = append(s.tables, read(t, db.pool(t), name))
		}
	}
	return s
}

// Restore puts back the rows of tables that have others now. It undoes neither
// changes of the structure nor those of counters that give out keys.
func (s Snapshot) Restore(t testing.TB) {
	t.Helper()
	tx, err := s.db.pool(t).BeginTx(context.Background(), nil)
	if err != nil {
		t.Fatalf("testdb: restore: %v", err)
	}
	defer tx.Rollback() // after Commit it does nothing
	for _, want := range s.tables {
		if reflect.DeepEqual(read(t, tx, want.name), want) {
			continue
		}
		if _, err := tx.Exec("DELETE FROM " + want.name); err != nil {
			t.Fatalf("testdb: restore %s: %v", want.name, err)
		}
		for _, row := range want.rows {
			if _, err := tx.Exec(s.db.insert(want), row...); err != nil {
				t.Fatalf("testdb: restore %s: %v", want.name, err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatalf("testdb: restore: %v", err)
	}
}

func (db DB) insert(table tableRows) string {
	places := make([]string, len(table.columns))
	for i := range places {
		if places[i] = "?"; db.Engine == Postgres {
			places[i] = fmt.Sprintf("$%d", i+1)
		}
	}
	return "INSERT INTO " + table.name + " (" + strings.Join(table.columns, ", ") + ") VALUES (" + strings.Join(places, ", ") + ")"
}

func (db DB) pool(t testing.TB) *sql.DB {
	t.Helper()
	pool, err := db.DB.DB()
	if err != nil {
		t.Fatalf("testdb: pool of %s: %v", db.Engine, err)
	}
	return pool
}

func read(t testing.TB, from interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}, name string) tableRows {
	t.Helper()
	table := tableRows{name: name}
	rows, err := from.QueryContext(context.Background(), "SELECT * FROM "+name)
	if err != nil {
		t.Fatalf("testdb: read %s: %v", name, err)
	}
	defer rows.Close()
	if table.columns, err = rows.Columns(); err != nil {
		t.Fatalf("testdb: read %s: %v", name, err)
	}
	for rows.Next() {
		row, into := make([]any, len(table.columns)), make([]any, len(table.columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatalf("testdb: read %s: %v", name, err)
		}
		for i, v := range row {
			if b, ok := v.([]byte); ok && b == nil { // the SQLite driver's empty bytes; NULL is nil without a type
				row[i] = []byte{}
			}
		}
		table.rows = append(table.rows, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("testdb: read %s: %v", name, err)
	}
	return table
}
