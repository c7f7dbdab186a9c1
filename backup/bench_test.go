package backup_test

import (
	"io"
	"os"
	osexec "os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/internal/testdb"
)

const benchRows = 500_000

// customers fills a PostgreSQL table of twelve columns as a CRM has it.
func customers(b *testing.B) testdb.DB {
	b.Helper()
	db := testdb.New(b, testdb.Postgres)
	exec(b, poolOf(b, db),
		`CREATE TABLE customer (id VARCHAR(36) PRIMARY KEY, tenant TEXT NOT NULL, owner_id INT, name BYTEA, phone BYTEA, email BYTEA, phone_index BYTEA,
			status TEXT, score NUMERIC(8,2), active BOOLEAN, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ)`,
		`INSERT INTO customer SELECT md5(i::text), 'main', i % 50, sha512(('n' || i)::bytea), sha512(('p' || i)::bytea), sha512(('e' || i)::bytea), sha256(('x' || i)::bytea),
			(ARRAY['new','open','won','lost'])[1 + i % 4], (i % 100000) / 100.0, i % 3 = 0, now() - i * interval '1 minute', now() FROM generate_series(1, 500000) i`,
		`CREATE INDEX ON customer (owner_id)`, `CREATE UNIQUE INDEX ON customer (phone_index)`, `ANALYZE customer`)
	return db
}

// BenchmarkFull copies 500,000 rows of PostgreSQL into a directory, sealed, and
// compares with pg_dump -Fc of the same table if that is on the PATH. The metric
// x/pg_dump is rows a second of ours divided by theirs.
func BenchmarkFull(b *testing.B) {
	db := customers(b)
	kek := backuptest.NewKEK(b)
	var ours, theirs time.Duration
	for b.Loop() {
		store, err := dirstore.Open(b.Context(), b.TempDir())
		require.NoError(b, err)
		r := open(b, store, kek, sourceOf(b, db))
		start := time.Now()
		s := run(b, r)
		ours += time.Since(start)
		require.Equal(b, int64(benchRows), s.Rows)
		b.ReportMetric(float64(s.Stored)/float64(benchRows), "stored-B/row")

		b.StopTimer()
		theirs += pgDump(b, db)
		b.StartTimer()
	}
	b.ReportMetric(benchRows*float64(b.N)/ours.Seconds(), "rows/s")
	if theirs > 0 {
		b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x/pg_dump")
	}
}

func pgDump(b *testing.B, db testdb.DB) time.Duration {
	b.Helper()
	path, err := osexec.LookPath("pg_dump")
	if err != nil {
		return 0
	}
	schema := one(b, db, "SELECT current_schema()")
	cmd := osexec.Command(path, "-Fc", "-n", schema, "-f", filepath.Join(b.TempDir(), "dump"), os.Getenv("CONFIDE_TEST_POSTGRES"))
	cmd.Stderr = io.Discard
	start := time.Now()
	require.NoError(b, cmd.Run(), "pg_dump")
	return time.Since(start)
}

// BenchmarkRestore restores the same rows into an empty schema, with indexes, and
// reads them back for the proof.
func BenchmarkRestore(b *testing.B) {
	db := customers(b)
	kek, store := backuptest.NewKEK(b), backup.NewMemory()
	run(b, open(b, store, kek, sourceOf(b, db)))
	r := open(b, store, kek, nil)
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		target := sourceOf(b, testdb.New(b, testdb.Postgres))
		b.StartTimer()
		start := time.Now()
		_, err := r.Restore(b.Context(), backup.Newest, target, backup.RestoreOptions{})
		require.NoError(b, err)
		spent += time.Since(start)
	}
	b.ReportMetric(benchRows*float64(b.N)/spent.Seconds(), "rows/s")
}

// BenchmarkVerify reads and hashes the same rows from memory.
func BenchmarkVerify(b *testing.B) {
	db := customers(b)
	kek, store := backuptest.NewKEK(b), backup.NewMemory()
	s := run(b, open(b, store, kek, sourceOf(b, db)))
	r := open(b, store, kek, nil)
	var bytes int64
	for _, t := range s.Tables {
		bytes += t.Bytes
	}
	b.SetBytes(bytes)
	for b.Loop() {
		_, err := r.Verify(b.Context(), backup.Newest, backup.VerifyOptions{})
		require.NoError(b, err)
	}
}
