package sqlsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// withoutValues keeps what a server says about statements and names, and drops
// what it says about data: "duplicate entry '+86 138...'" must not reach a log.
func withoutValues(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		// Class 42 is about names and syntax, 0A and 55 about what can be done now.
		if slices.ContainsFunc([]string{"42", "0A", "55", "57", "2B"}, func(class string) bool { return strings.HasPrefix(pg.Code, class) }) {
			return fmt.Errorf("%s (SQLSTATE %s)", pg.Message, pg.Code)
		}
		return fmt.Errorf("the server refused with SQLSTATE %s", pg.Code)
	}
	var my *mysqldriver.MySQLError
	if errors.As(err, &my) {
		// Syntax, unknown and existing names, rights, locks, changed definitions.
		if slices.Contains([]uint16{1005, 1044, 1045, 1050, 1051, 1054, 1064, 1142, 1146, 1205, 1213, 1215, 1412}, my.Number) {
			return fmt.Errorf("%s (error %d)", my.Message, my.Number)
		}
		return fmt.Errorf("the server refused with error %d", my.Number)
	}
	return err
}

// cancelled gives the reason why a statement ended: drivers have words of their
// own for it, SQLite's says "interrupted".
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
