package rbactest

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gorm.io/gorm"

	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/internal/passage"
)

// AssertScoped fails the test at every statement that reaches a guarded table of db without the guard's
// scope: past removed callbacks, on the connection itself, or by rbac.System. Uses of System whose reasons
// are listed may pass; a listed reason that is not used until the test ends fails it too.
//
// Call it after db.Use(authorizer), before anything is done with db. It sees what goes through db and what
// is derived from it afterwards, not what goes through the *sql.DB below, db.DB() and db.Connection.
func AssertScoped(t testing.TB, db *gorm.DB, system ...string) {
	t.Helper()
	a, ok := db.Plugins["confide:rbac"].(*rbac.Authorizer)
	if !ok {
		t.Fatal("rbactest: AssertScoped: nothing guards this database: call db.Use(authorizer) before")
	}
	w := &watch{t: t, tables: a.Tables(), system: system, used: map[string]bool{}}
	db.ConnPool = &watched{db.ConnPool, w}
	db.Statement.ConnPool = db.ConnPool
	t.Cleanup(func() {
		for _, reason := range system {
			if !w.used[reason] {
				t.Errorf("rbactest: System(%q) is allowed to AssertScoped and reached no guarded table: take it off the list", reason)
			}
		}
	})
}

// watch judges statements.
type watch struct {
	t      testing.TB
	tables []string
	system []string
	used   map[string]bool
}

func (w *watch) see(ctx context.Context, query string) {
	table := w.guarded(query)
	if table == "" {
		return
	}
	w.t.Helper()
	switch mark := passage.Of(ctx); {
	case mark == nil:
		w.t.Errorf("rbactest: a statement reached the guarded table %s without scope: %s", table, shape(query))
	case mark.System == "":
	case slices.Contains(w.system, mark.System):
		w.used[mark.System] = true
	default:
		w.t.Errorf("rbactest: System(%q) reached the guarded table %s; allow it to AssertScoped by that reason, or give the work a caller: %s", mark.System, table, shape(query))
	}
}

// guarded returns the guarded table that the text names, or "".
func (w *watch) guarded(query string) string {
	for _, word := range regexp.MustCompile(`[\pL\pN_$]+`).FindAllString(withoutLiterals(query), -1) {
		for _, table := range w.tables {
			if strings.EqualFold(word, table) {
				return table
			}
		}
	}
	return ""
}

// withoutLiterals puts ? for strings. Text in double quotes is a string on MySQL and a name elsewhere, so it
// stays for finding names.
func withoutLiterals(query string) string {
	return regexp.MustCompile(`'(?:[^'\\]|''|\\.)*'?`).ReplaceAllString(query, "?")
}

// shape is the statement without values, cut where it gets long.
func shape(query string) string {
	query = withoutLiterals(query)
	query = regexp.MustCompile(`"[^"]*[^\pL\pN_"][^"]*"`).ReplaceAllString(query, "?") // a string of MySQL
	query = regexp.MustCompile(`(?s)/\*.*?\*/|--[^\n]*`).ReplaceAllString(query, "")
	query = regexp.MustCompile(`(^|[^\pL\pN_$])[0-9][0-9.xXa-fA-F]*`).ReplaceAllString(query, "${1}?")
	query = strings.Join(strings.Fields(query), " ")
	if const400 := 400; len(query) > const400 {
		query = fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(query[:const400], ""), len(query))
	}
	return query
}

// watched is a connection whose statements are seen.
type watched struct {
	gorm.ConnPool
	watch *watch
}

// watchedTx is one inside a transaction.
type watchedTx struct {
	watched
	gorm.TxCommitter
}

func (c *watched) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	c.watch.see(ctx, query)
	return c.ConnPool.PrepareContext(ctx, query)
}

func (c *watched) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	c.watch.see(ctx, query)
	return c.ConnPool.ExecContext(ctx, query, args...)
}

func (c *watched) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	c.watch.see(ctx, query)
	return c.ConnPool.QueryContext(ctx, query, args...)
}

func (c *watched) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	c.watch.see(ctx, query)
	return c.ConnPool.QueryRowContext(ctx, query, args...)
}

// BeginTx begins a transaction whose statements are seen.
func (c *watched) BeginTx(ctx context.Context, opts *sql.TxOptions) (gorm.ConnPool, error) {
	var tx gorm.ConnPool
	var err error
	switch pool := c.ConnPool.(type) {
	case gorm.TxBeginner:
		tx, err = pool.BeginTx(ctx, opts)
	case gorm.ConnPoolBeginner:
		tx, err = pool.BeginTx(ctx, opts)
	default:
		return nil, gorm.ErrInvalidTransaction
	}
	if err != nil {
		return nil, err
	}
	end, ok := tx.(gorm.TxCommitter)
	if !ok {
		return nil, gorm.ErrInvalidTransaction
	}
	return &watchedTx{watched{tx, c.watch}, end}, nil
}

// GetDBConn returns the pool below.
func (c *watched) GetDBConn() (*sql.DB, error) {
	switch pool := c.ConnPool.(type) {
	case *sql.DB:
		return pool, nil
	case gorm.GetDBConnector:
		return pool.GetDBConn()
	}
	return nil, gorm.ErrInvalidDB
}
