// Package gormstore keeps an audit log in the database an application already
// has: SQLite, PostgreSQL or MySQL (MariaDB), through GORM's connection.
//
// Call Open once at start-up and give the result to audit.Config. It makes the
// tables confide_audit_pending, confide_audit_entries, confide_audit_rows,
// confide_audit_heads, confide_audit_nodes and confide_audit_revisions. Statements go straight to the
// connection, past GORM's callbacks, so that no plugin sees or changes them.
//
// Events of a transaction are inserted through its own connection: nothing here
// opens a second one while a transaction is open, which is what dead-locks
// SQLite. Transactions of the store itself are repeated when the database
// reports a serialization failure, a dead-lock or a busy file.
package gormstore
