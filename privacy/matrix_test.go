package privacy_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

var update = flag.Bool("update", false, "write MATRIX.md anew")

// A path is one way through GORM. It works, which its own checks prove, or it ends with a refusal.
type path struct {
	group, name string
	refused     string // part of the refusal's text; empty: works
	run         func(m *maze) error
}

// maze is what a path runs in: two customers, the first with two invoices.
type maze struct {
	*house
	t *testing.T
}

const (
	anaName, anaPhone, anaEmail = "Canarino Luís Gonçalves", "+55 (12) 3923-5555", "luisg@embraer.com.br"
	bobName, bobPhone, bobEmail = "Canarino Köhler", "138 0013 8000", "leonekohler@surfeu.de"
	newName, newPhone, newEmail = "Canarino Nuevo", "+49 0711 2842222", "nuevo@canarino.example"
)

// needles stand for the plaintext of every value above, as given and as normalised.
var needles = []string{"Canarino", "3923-5555", "39235555", "luisg", "embraer", "138 0013", "13800138", "leonekohler", "surfeu", "2842222", "nuevo", "canarino", "Vegan", "87-05-14", "81234.5", "-7651234", "leak"}

func (m *maze) seed() {
	m.wipe()
	ana, bob := customer("1", anaName, anaPhone, anaEmail), customer("2", bobName, bobPhone, bobEmail)
	ana.Prefs = privacy.NewValue(Prefs{Diet: "Vegan"})
	require.NoError(m.t, m.gorm().Create([]*Customer{ana, bob}).Error)
	require.NoError(m.t, m.gorm().Create(&[]Invoice{
		{ID: "i1", CustomerID: "1", BillingName: privacy.New(anaName), Total: 10},
		{ID: "i2", CustomerID: "1", BillingName: privacy.New(anaName), Total: 20},
	}).Error)
}

func (m *maze) wipe() {
	pool, err := m.db.DB.DB()
	require.NoError(m.t, err)
	for _, table := range []string{"customers", "invoices", "plains", "people", "patients", "pupils", "confide_tokens", "confide_subject_keys"} {
		_, err := pool.Exec("DELETE FROM " + table)
		require.NoError(m.t, err)
	}
}

// dump returns every byte of every table.
func (m *maze) dump() string {
	pool, err := m.db.DB.DB()
	require.NoError(m.t, err)
	var all bytes.Buffer
	for _, table := range []string{"customers", "invoices", "plains", "people", "patients", "pupils", "confide_tokens", "confide_subject_keys", "confide_tenant_keys"} {
		rows, err := pool.Query("SELECT * FROM " + table)
		require.NoError(m.t, err)
		columns, err := rows.Columns()
		require.NoError(m.t, err)
		for rows.Next() {
			values := make([]any, len(columns))
			cells := make([][]byte, len(columns))
			for i := range values {
				values[i] = &cells[i]
			}
			require.NoError(m.t, rows.Scan(values...))
			all.Write(bytes.Join(cells, []byte{'|'}))
		}
		require.NoError(m.t, rows.Err())
		require.NoError(m.t, rows.Close())
	}
	return all.String()
}

// customer loads a row and returns it with its values revealed: name, phone, email.
func (m *maze) read(id string) (name, phone, email string) {
	var c Customer
	require.NoError(m.t, m.gorm().First(&c, "id = ?", id).Error)
	return m.opt(c.Name), m.opt(c.Phone), m.opt(c.Email)
}

// opt reveals a value that may be NULL.
func (m *maze) opt(s privacy.String) string {
	if s.IsNull() {
		return "NULL"
	}
	return reveal(m.t, s)
}

// found returns the ids that a search by phone finds.
func (m *maze) found(phone string) []string {
	var ids []string
	require.NoError(m.t, m.gorm().Model(&Customer{}).Where("phone = ?", privacy.New(phone)).Order("id").Pluck("id", &ids).Error)
	return ids
}

func (m *maze) equal(want, got any) { m.t.Helper(); require.Equal(m.t, want, got) }

// sqlLog keeps what GORM logs at its most talkative.
type sqlLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *sqlLog) LogMode(logger.LogLevel) logger.Interface { return l }
func (l *sqlLog) Info(_ context.Context, s string, a ...any) {
	l.add(fmt.Sprintf(s, a...))
}
func (l *sqlLog) Warn(_ context.Context, s string, a ...any)  { l.add(fmt.Sprintf(s, a...)) }
func (l *sqlLog) Error(_ context.Context, s string, a ...any) { l.add(fmt.Sprintf(s, a...)) }
func (l *sqlLog) Trace(_ context.Context, _ time.Time, f func() (string, int64), err error) {
	sql, _ := f()
	l.add(fmt.Sprintf("%s %v", sql, err))
}

func (l *sqlLog) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(s + "\n")
}

func (l *sqlLog) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.text.String()
	l.text.Reset()
	return s
}

func TestMatrix(t *testing.T) {
	all := slices.Concat(writePaths(), readPaths(), searchPaths(), refusedPaths(), typePaths(), partPaths(), compoundPaths())
	results := map[string]map[string]string{}
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		db, heard := tapped(t, db)
		h := peopleHouse(t, db)
		require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Patient{}, &Pupil{}))
		if db.Engine == testdb.SQLite {
			pool, err := db.DB.DB()
			require.NoError(t, err)
			pool.SetMaxOpenConns(1) // a second connection would wait for ever
		}
		log := &sqlLog{}
		db.DB.Logger = log
		column := map[string]string{}
		for _, p := range all {
			t.Run(p.group+"/"+p.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				h.ctx = ctx
				column[p.group+"/"+p.name] = walk(&maze{h, t}, p, log)
			})
		}
		h.ctx = context.Background()
		results[db.Engine] = column
		sent := heard()
		require.Contains(t, sent, "customers")
		for _, needle := range needles {
			require.False(t, strings.Contains(sent, needle), "plaintext %q reached the database server, or SQLite's files", needle)
		}
	})
	for _, p := range all {
		for _, engine := range testdb.EnginesInFull() {
			t.Logf("%-12s %-70s %-9s %s", p.group, p.name, engine, results[engine][p.group+"/"+p.name])
		}
	}
	checkMatrix(t, all, results)
}

// walk runs one path and checks what holds for all of them.
func walk(m *maze, p path, log *sqlLog) string {
	m.seed()
	log.take()
	err := p.run(m)
	stored, logged := m.dump(), log.take()
	for _, needle := range needles {
		require.NotContains(m.t, stored, needle, "plaintext at rest")
		require.NotContains(m.t, logged, needle, "plaintext in the SQL log")
		if err != nil {
			require.NotContains(m.t, err.Error(), needle, "plaintext in the error")
		}
	}
	// Whatever happened, what is stored opens where it stands and is found by its index.
	findings, doctorErr := m.vault.Doctor(m.ctx, m.db.DB)
	require.NoError(m.t, doctorErr)
	require.Empty(m.t, findings)
	if p.refused == "" {
		require.NoError(m.t, err)
		return "works"
	}
	require.Error(m.t, err)
	require.Contains(m.t, strings.ToLower(err.Error()), strings.ToLower(p.refused))
	var refusal *privacy.Refusal
	switch {
	case errors.As(err, &refusal):
		require.ErrorIs(m.t, err, privacy.ErrRefused)
		require.NotEmpty(m.t, refusal.Field)
		require.NotEmpty(m.t, refusal.Remedy)
		return "refused: " + refusal.Field + " " + refusal.Why
	case errors.Is(err, privacy.ErrUnbound):
		return "error: not bound to a row"
	case errors.Is(err, privacy.ErrUnreadable) && strings.Contains(err.Error(), "no such"):
		return "error: there is no such value"
	case errors.Is(err, privacy.ErrUnreadable):
		return "error: read from another row or field"
	}
	require.Contains(m.t, strings.ToLower(err.Error()), "constraint")
	return "refused by the database's CHECK constraint"
}

// checkMatrix compares the outcome with MATRIX.md, the columns of databases that did not run aside.
func checkMatrix(t *testing.T, all []path, results map[string]map[string]string) {
	if t.Failed() {
		return
	}
	file := "MATRIX.md"
	if *update {
		require.Len(t, results, 3, "all databases must run to write %s", file)
		require.NoError(t, os.WriteFile(file, []byte(renderMatrix(all, results)), 0o644))
	}
	old, err := os.ReadFile(filepath.Clean(file))
	require.NoError(t, err, "run go test ./privacy -run Matrix -update")
	if len(results) == len(testdb.Engines()) {
		require.Equal(t, string(old), renderMatrix(all, results), "run go test ./privacy -run Matrix -update, and look at what changed")
	}
	for _, engine := range testdb.Engines() {
		for _, p := range all {
			if results[engine] == nil {
				continue
			}
			line := matrixLine(p, results[engine][p.group+"/"+p.name])
			require.Contains(t, string(old), line, "%s says otherwise about %s", file, engine)
		}
	}
}

func matrixLine(p path, outcome string) string {
	return fmt.Sprintf("| %s | %s |", p.name, outcome)
}

func renderMatrix(all []path, results map[string]map[string]string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Every path through GORM, and where it ends

Generated by %[1]sgo test ./privacy -run Matrix -update%[1]s from matrix_test.go and its paths, run on SQLite
(with a single connection), PostgreSQL and MySQL. After each path the tests read every byte of every table and
GORM's log at its most talkative, and find no plaintext; and every stored value opens where it stands and is
found by its index. At the end they search every byte that was sent to the servers, and thus all that could
be in their statement logs, files and backups, and the bytes of SQLite's files with all freed pages. There is
no third outcome beside these two: it works, or it is an error.

`, "`")
	group, n := "", 0
	for _, p := range all {
		if p.group != group {
			group = p.group
			fmt.Fprintf(&b, "\n## %s\n\n| path | SQLite, PostgreSQL, MySQL |\n|---|---|\n", group)
		}
		seen := []string{}
		for _, engine := range testdb.Engines() {
			if o := results[engine][p.group+"/"+p.name]; !slices.Contains(seen, o) {
				seen = append(seen, o)
			}
		}
		for _, o := range seen {
			fmt.Fprintln(&b, matrixLine(p, o))
		}
		n++
	}
	fmt.Fprintf(&b, "\n%d paths on 3 databases.\n", n)
	return b.String()
}
