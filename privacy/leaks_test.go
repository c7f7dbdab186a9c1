package privacy_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func TestFindLeaks(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := openHouse(t, db, newKEK(t), func(c *privacy.Config) { c.Open = map[string]string{"suppliers.mail": "companies only"} })
		require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &Person{}))
		for i := range 30 {
			id := fmt.Sprint(i)
			require.NoError(t, h.gorm().Create(customer(id, "Canarino", "13800138000", "canarino@example.com")).Error)
		}
		require.NoError(t, h.gorm().Create(person(t, "1")).Error)
		canaries := []string{"Canarino", "13800138000", "canarino@example.com", "81234.5"}
		find := func(l privacy.Leaks) string {
			t.Helper()
			l.Canaries = canaries
			found, err := h.vault.FindLeaks(h.ctx, h.db.DB, l)
			require.NoError(t, err)
			var all strings.Builder
			for _, f := range found {
				fmt.Fprintln(&all, f)
			}
			for _, c := range canaries {
				require.NotContains(t, all.String(), c, "a finding shows the value")
			}
			return all.String()
		}
		logs := func(text string) map[string]io.Reader {
			return map[string]io.Reader{"app.log": strings.NewReader(text)}
		}
		require.Empty(t, find(privacy.Leaks{Logs: logs("started\nserved 12 requests in 138ms\n")}))

		// A plain column of a model.
		require.NoError(t, h.gorm().Create(&Plain{ID: "1", Note: "call 13912345678 or mail x@example.com, says Canarino"}).Error)
		found := find(privacy.Leaks{})
		require.Contains(t, found, "canary: plains.note: canary 1 of the list")
		require.Contains(t, found, "shape: plains.note: what looks like personal data (phone)")
		require.Contains(t, found, "(email)")
		require.Contains(t, found, "first in row 1 of those read")
		require.NoError(t, h.gorm().Delete(&Plain{ID: "1"}).Error)

		// A table without a model, a number, and a column declared open.
		pool, err := h.db.DB.DB()
		require.NoError(t, err)
		exec := func(text string) {
			t.Helper()
			_, err := pool.Exec(text)
			require.NoError(t, err)
		}
		exec("CREATE TABLE suppliers (id varchar(36), mail varchar(99), tel bigint)")
		exec("INSERT INTO suppliers VALUES ('1', 'info@example.com', 13800138000)")
		require.Equal(t, "canary: suppliers.tel: canary 2 of the list stands there in the clear, 1 times, first in row 1 of those read\n", find(privacy.Leaks{}))
		exec("DROP TABLE suppliers")

		// Plaintext in an index column and in a sealed one, once the constraints are gone, and as hexadecimal.
		exec("CREATE TABLE loose (id varchar(36), body text)")
		exec("INSERT INTO loose VALUES ('1', '\\\\x43616E6172696E6F')")
		require.Contains(t, find(privacy.Leaks{}), "canary: loose.body")
		exec("DROP TABLE loose")
		dropChecks(t, h, "customers", "phone_index", "phone")
		exec("UPDATE customers SET phone_index = " + text(h, "13800138000") + " WHERE id = '7'")
		exec("UPDATE customers SET phone = " + text(h, "+86 139 1234 5678") + " WHERE id = '8'")
		found = find(privacy.Leaks{})
		require.Contains(t, found, "canary: customers.phone_index")
		require.Contains(t, found, "shape: customers.phone_index")
		require.Contains(t, found, "shape: customers.phone: what looks like personal data (phone)")

		// Both ends of a table are read, and no more than that.
		exec("UPDATE customers SET phone_index = NULL, phone = NULL")
		exec("UPDATE customers SET owner = 'Canarino' WHERE id IN ('9')")
		require.Contains(t, find(privacy.Leaks{Rows: 3}), "customers.owner")

		// Logs, with long lines, and with the value across the border of what is read at once.
		exec("UPDATE customers SET owner = 'e3'")
		require.Contains(t, find(privacy.Leaks{Logs: logs("ok\nfailed for Canarino\n")}), "canary: log.app.log: canary 1 of the list stands there in the clear, 1 times, first in line 2")
		require.Contains(t, find(privacy.Leaks{Logs: logs("ok\ntel 13912345678")}), "shape: log.app.log")
		require.Contains(t, find(privacy.Leaks{Logs: logs(strings.Repeat("x ", (64<<10)/2-2) + "Canarino" + strings.Repeat(" y", 9))}), "canary: log.app.log")
		_, err = h.vault.FindLeaks(h.ctx, h.db.DB, privacy.Leaks{Logs: map[string]io.Reader{"a": iotest.ErrReader(errors.New("disk"))}})
		require.ErrorContains(t, err, "log a: disk")
		_, err = h.vault.FindLeaks(h.ctx, h.db.DB, privacy.Leaks{Canaries: []string{"abc"}})
		require.ErrorContains(t, err, "4 at least")
		require.NotContains(t, err.Error(), "abc")
	})
}

func text(h *house, s string) string {
	if h.db.Engine == testdb.Postgres {
		return "'" + s + "'::bytea"
	}
	return "'" + s + "'"
}

// dropChecks takes the CHECK constraints away, as a careless administrator would.
func dropChecks(t *testing.T, h *house, table string, columns ...string) {
	t.Helper()
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	if h.db.Engine == testdb.SQLite {
		pool.SetMaxOpenConns(1)
		_, err := pool.Exec("PRAGMA ignore_check_constraints = 1")
		require.NoError(t, err)
		return
	}
	for _, c := range columns {
		_, err := pool.Exec("ALTER TABLE " + table + " DROP CONSTRAINT sealed_" + table + "_" + c)
		require.NoError(t, err)
	}
}
