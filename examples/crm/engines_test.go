package main

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
)

// TestEngines takes one customer's life through every database: imported, found,
// backed up, moved by an attacker, erased.
func TestEngines(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		data := filepath.Join(t.TempDir(), "data")
		crm := func(want int, args ...string) string {
			t.Helper()
			var out bytes.Buffer
			code := run(t.Context(), withFlags(args, "-data", data, "-db", dsn(db)), &out, &out)
			require.Equal(t, want, code, "%v: %s", args, &out)
			return out.String()
		}
		crm(exitDone, "import", "employees", "demo/employees.csv")
		require.Contains(t, crm(exitDone, "import", "customers", "demo/customers.csv"), "customers: 59 new, 0 updated, 0 unchanged, 0 refused")
		require.Contains(t, crm(exitDone, "import", "customers", "demo/customers.csv"), "customers: 0 new, 0 updated, 59 unchanged, 0 refused")
		require.Contains(t, crm(exitDone, "import", "invoices", "demo/invoices.csv"), "invoices: 412 new, 0 updated, 0 unchanged, 0 refused")
		crm(exitDone, "backup", "run")
		crm(exitDone, "backup", "verify")
		require.Contains(t, crm(exitDone, "backup", "drill"), "drill 1 of snapshot 1 on "+db.Engine)
		crm(exitDone, "doctor")

		require.NoError(t, db.Exec("UPDATE customers SET fax = phone WHERE id = '2'").Error)
		require.Contains(t, crm(exitFound, "doctor"), "customers.fax of row 2")
		require.NoError(t, db.Exec("UPDATE customers SET fax = NULL, fax_index = NULL WHERE id = '2'").Error)
		crm(exitDone, "doctor")
		require.Error(t, db.Exec("UPDATE customers SET phone = '+49 0711 2842222' WHERE id = '2'").Error, "the database took plaintext")

		crm(exitDone, "subject", "erase", "1")
		require.Contains(t, crm(exitDone, "audit", "verify"), "chain, tree, signatures and anchors fit")

		restored, empty := filepath.Join(t.TempDir(), "restored"), testdb.New(t, db.Engine)
		require.Contains(t, crm(exitUsage, "backup", "restore", "-to", restored), "-to-db")
		require.Contains(t, crm(exitDone, "backup", "restore", "-to", restored, "-to-db", dsn(empty), "1"), "1 erased people stay erased")
		require.Contains(t, crm(exitDone, "audit", "verify", "-data", restored, "-db", dsn(empty)), "chain, tree, signatures and anchors fit")
		crm(exitDone, "doctor", "-data", restored, "-db", dsn(empty))
		require.Contains(t, crm(exitFailed, "backup", "restore", "-to", restored+"2", "-to-db", dsn(empty), "1"), "restore into a new database")

		require.NoError(t, db.Exec("DELETE FROM confide_audit_entries WHERE seq = 2").Error)
		crm(exitFound, "audit", "verify")
	})
}

// withFlags puts flags behind the verb.
func withFlags(args []string, flags ...string) []string {
	words := 1
	if args[0] != "import" && args[0] != "doctor" {
		words = 2
	}
	return append(append(append([]string{}, args[:words]...), flags...), args[words:]...)
}

// dsn returns the database of a test as -db takes it.
func dsn(db testdb.DB) string {
	switch db.Engine {
	case testdb.MySQL:
		return "mysql://" + db.DSN
	case testdb.Postgres:
		return db.DSN
	}
	return "sqlite://" + db.DSN
}

func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"-h"}, exitDone, "Usage: crm VERB"},
		{[]string{"help"}, exitDone, "Exit status: 0 done; 1 failed; 2 wrong usage; 3 a check found something."},
		{[]string{"serve", "-h"}, exitDone, "address to serve on"},
		{[]string{"frobnicate", "now"}, exitUsage, `there is no verb "frobnicate now"`},
		{[]string{"audit"}, exitUsage, `there is no verb "audit"`},
		{[]string{"serve", "-lang", "fr"}, exitUsage, "-lang is zh or en"},
		{[]string{"serve", "-addr", "0.0.0.0:80"}, exitUsage, "can be reached from outside; give -tls-cert and -tls-key, or serve on 127.0.0.1"},
		{[]string{"serve", "-addr", ":80"}, exitUsage, "can be reached from outside"},
		{[]string{"serve", "-addr", "nowhere"}, exitUsage, "-addr is host:port"},
		{[]string{"serve", "extra"}, exitUsage, "serve takes no arguments"},
		{[]string{"backup", "restore"}, exitUsage, "give the folder to restore into with -to"},
		{[]string{"backup", "verify", "one"}, exitUsage, "give the number of one snapshot"},
		{[]string{"subject", "erase"}, exitUsage, "takes the id of one customer"},
		{[]string{"backup", "list", "-data", t.TempDir(), "-db", "oracle://x"}, exitUsage, "-db begins with postgres://, mysql:// or sqlite://"},
		{[]string{"import", "-data", t.TempDir(), "-log", "loud", "employees", "demo/employees.csv"}, exitUsage, "-log is debug, info, warn or error"},
	} {
		var out bytes.Buffer
		require.Equal(t, test.code, run(context.Background(), test.args, &out, &out), "%v: %s", test.args, &out)
		require.Contains(t, out.String(), test.text, "%v", test.args)
	}
}
