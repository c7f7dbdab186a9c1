package backup_test

import (
	"fmt"
	"io"
	"net/url"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/internal/testdb"
)

// benchRows is how many rows the benchmarks work on; CONFIDE_BACKUP_BENCH_ROWS
// says otherwise, to see what grows with them.
func benchRows(b *testing.B) int64 {
	b.Helper()
	text := os.Getenv("CONFIDE_BACKUP_BENCH_ROWS")
	if text == "" {
		return 500_000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	require.NoError(b, err)
	return n
}

// peak is the most memory this process has had, in MiB, or zero where that is unknown.
func peak(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

// customers fills a PostgreSQL table of twelve columns as a CRM has it.
func customers(b *testing.B) testdb.DB {
	b.Helper()
	db := testdb.New(b, testdb.Postgres)
	exec(b, poolOf(b, db),
		`CREATE TABLE customer (id VARCHAR(36) PRIMARY KEY, tenant TEXT NOT NULL, owner_id INT, name BYTEA, phone BYTEA, email BYTEA, phone_index BYTEA,
			status TEXT, score NUMERIC(8,2), active BOOLEAN, created_at TIMESTAMPTZ, updated_at TIMESTAMPTZ)`,
		`INSERT INTO customer SELECT md5(i::text), 'main', i % 50, sha512(('n' || i)::bytea), sha512(('p' || i)::bytea), sha512(('e' || i)::bytea), sha256(('x' || i)::bytea),
			(ARRAY['new','open','won','lost'])[1 + i % 4], (i % 100000) / 100.0, i % 3 = 0, now() - i * interval '1 minute', now() FROM generate_series(1, `+fmt.Sprint(benchRows(b))+`) i`,
		`CREATE INDEX ON customer (owner_id)`, `CREATE UNIQUE INDEX ON customer (phone_index)`, `ANALYZE customer`)
	return db
}

// BenchmarkFull copies 500,000 rows of PostgreSQL into a directory, sealed, and
// compares with pg_dump -Fc of the same table if that is on the PATH. The metric
// x/pg_dump is rows a second of ours divided by theirs.
func BenchmarkFull(b *testing.B) {
	db := customers(b)
	kek := backuptest.NewKEK(b)
	var ours, theirs, restics time.Duration
	rows := benchRows(b)
	for b.Loop() {
		store, err := dirstore.Open(b.Context(), b.TempDir())
		require.NoError(b, err)
		r := open(b, store, kek, sourceOf(b, db))
		start := time.Now()
		s := run(b, r)
		ours += time.Since(start)
		require.Equal(b, rows, s.Rows)
		b.ReportMetric(float64(s.Stored)/float64(rows), "stored-B/row")

		b.StopTimer()
		theirs += pgDump(b, db)
		restics += restic(b, db)
		b.StartTimer()
	}
	b.ReportMetric(float64(rows)*float64(b.N)/ours.Seconds(), "rows/s")
	b.ReportMetric(peak(b), "peak-MiB")
	if theirs > 0 {
		b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x/pg_dump")
	}
	if restics > 0 {
		b.ReportMetric(restics.Seconds()/ours.Seconds(), "x/restic")
	}
}

// BenchmarkIncremental changes one row in a hundred and runs, beside a full run of
// the same rows. Recent: the changed rows lie together, as those of a growing
// table do. Scattered: they lie everywhere, so that every chunk has some.
func BenchmarkIncremental(b *testing.B) {
	for name, where := range map[string]string{
		"recent":    "id < '028f5c28'",
		"scattered": "('x' || right(id, 4))::bit(16)::int % 100 = 0",
		"nothing":   "false",
	} {
		b.Run(name, func(b *testing.B) {
			db := customers(b)
			_, err := sourceOf(b, db).Track(b.Context())
			require.NoError(b, err)
			kek := backuptest.NewKEK(b)
			var full, part time.Duration
			for b.Loop() {
				store, err := dirstore.Open(b.Context(), b.TempDir())
				require.NoError(b, err)
				r := open(b, store, kek, sourceOf(b, db))
				start := time.Now()
				run(b, r)
				full += time.Since(start)
				exec(b, poolOf(b, db), "UPDATE customer SET score = score + 1 WHERE "+where)
				start = time.Now()
				s := runKind(b, r, backup.Incremental)
				part += time.Since(start)
				require.Equal(b, backup.Incremental, s.Kind)
				require.Empty(b, s.Missed)
				b.ReportMetric(float64(s.Work.Read)/float64(s.Rows), "read/row")
			}
			b.ReportMetric(part.Seconds()/full.Seconds(), "x/full")
		})
	}
}

// restic has no reader of databases: it takes what pg_dump writes, which it
// compresses and seals itself.
func restic(b *testing.B, db testdb.DB) time.Duration {
	b.Helper()
	path, err := osexec.LookPath("restic")
	if err != nil {
		return 0
	}
	env := append(os.Environ(), "RESTIC_PASSWORD=benchmark", "RESTIC_REPOSITORY="+b.TempDir(), "RESTIC_CACHE_DIR="+b.TempDir())
	create := osexec.Command(path, "init")
	create.Env = env
	require.NoError(b, create.Run(), "restic init")
	dump := osexec.Command("pg_dump", "-Fp", "-n", one(b, db, "SELECT current_schema()"), os.Getenv("CONFIDE_TEST_POSTGRES"))
	store := osexec.Command(path, "backup", "--stdin", "--quiet")
	store.Env = env
	store.Stdin, err = dump.StdoutPipe()
	require.NoError(b, err)
	start := time.Now()
	require.NoError(b, dump.Start())
	require.NoError(b, store.Run(), "restic backup")
	require.NoError(b, dump.Wait(), "pg_dump")
	return time.Since(start)
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
// reads them back for the proof; pg_restore, of a dump of pg_dump -Fc, makes the
// same table beside it and proves nothing. The metric x/pg_restore is rows a
// second of ours divided by theirs.
func BenchmarkRestore(b *testing.B) {
	db := customers(b)
	kek, store := backuptest.NewKEK(b), backup.NewMemory()
	run(b, open(b, store, kek, sourceOf(b, db)))
	r := open(b, store, kek, nil)
	var ours, theirs time.Duration
	for b.Loop() {
		b.StopTimer()
		theirs += pgRestore(b, db)
		target := sourceOf(b, testdb.New(b, testdb.Postgres))
		b.StartTimer()
		start := time.Now()
		_, err := r.Restore(b.Context(), backup.Newest, target, backup.RestoreOptions{})
		require.NoError(b, err)
		ours += time.Since(start)
	}
	b.ReportMetric(float64(benchRows(b))*float64(b.N)/ours.Seconds(), "rows/s")
	if theirs > 0 {
		b.ReportMetric(theirs.Seconds()/ours.Seconds(), "x/pg_restore")
	}
}

// pgRestore restores the schema into a database of its own, which may have it once.
func pgRestore(b *testing.B, db testdb.DB) time.Duration {
	b.Helper()
	dump := filepath.Join(b.TempDir(), "dump")
	for _, command := range []string{"pg_dump", "pg_restore"} {
		if _, err := osexec.LookPath(command); err != nil {
			return 0
		}
	}
	require.NoError(b, osexec.Command("pg_dump", "-Fc", "-n", one(b, db, "SELECT current_schema()"), "-f", dump, os.Getenv("CONFIDE_TEST_POSTGRES")).Run(), "pg_dump")
	exec(b, poolOf(b, db), "DROP DATABASE IF EXISTS confide_bench_restore", "CREATE DATABASE confide_bench_restore")
	defer exec(b, poolOf(b, db), "DROP DATABASE confide_bench_restore")
	to, err := url.Parse(os.Getenv("CONFIDE_TEST_POSTGRES"))
	require.NoError(b, err)
	to.Path = "/confide_bench_restore"
	start := time.Now()
	require.NoError(b, osexec.Command("pg_restore", "-d", to.String(), dump).Run(), "pg_restore")
	return time.Since(start)
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
