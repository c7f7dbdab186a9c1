package sqlsource_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/internal/testdb"
)

// A copied is a type that is loaded in its binary form.
type copied struct {
	typ    string
	edges  []string // as SQL reads them
	random func(*rand.Rand, []byte) []byte
}

func copiedTypes() []copied {
	whole := func(bits int) func(*rand.Rand, []byte) []byte {
		return func(r *rand.Rand, dst []byte) []byte { return cell.AppendInt(dst, int64(r.Uint64())>>(64-bits)) }
	}
	between := func(r *rand.Rand, low, high int64) int64 { return low + int64(r.Uint64N(uint64(high-low))) }
	moment := func(add func([]byte, int64, uint32) []byte) func(*rand.Rand, []byte) []byte {
		return func(r *rand.Rand, dst []byte) []byte {
			return add(dst, between(r, -210866803200, 9224318016000), uint32(r.IntN(1e6))*1000)
		}
	}
	raw := func(kind cell.Kind, of ...string) func(*rand.Rand, []byte) []byte {
		return func(r *rand.Rand, dst []byte) []byte { return cell.AppendRaw(dst, kind, of[r.IntN(len(of))]) }
	}
	return []copied{
		{"BOOLEAN", []string{"true", "false"}, func(r *rand.Rand, dst []byte) []byte { return cell.AppendBool(dst, r.IntN(2) == 0) }},
		{"SMALLINT", []string{"-32768", "32767", "0", "-1"}, whole(16)},
		{"INT", []string{"-2147483648", "2147483647", "0"}, whole(32)},
		{"BIGINT", []string{"-9223372036854775808", "9223372036854775807"}, whole(64)},
		{"REAL", []string{"NaN", "Infinity", "-Infinity", "-0", "1.4e-45", "3.4028235e38", "0.1"}, func(r *rand.Rand, dst []byte) []byte {
			return cell.AppendFloat(dst, float64(math.Float32frombits(r.Uint32())))
		}},
		{"DOUBLE PRECISION", []string{"NaN", "Infinity", "-Infinity", "-0", "4.9e-324", "1.7976931348623157e308"}, func(r *rand.Rand, dst []byte) []byte {
			return cell.AppendFloat(dst, math.Float64frombits(r.Uint64()))
		}},
		{"NUMERIC", []string{"NaN", "Infinity", "-Infinity", "0", "0.00", "-0.0001", "1.50", "10000", "9999", "10000.0000", "0.00001234", "1000000000000", "-99990000.00009999",
			"1e131071", "1e-16383", strings.Repeat("9", 131072), "0." + strings.Repeat("0", 16379) + "1000"}, randomNumeric},
		{"NUMERIC(12,4)", []string{"NaN", "-12345678.9", "0", "0.0001"}, func(r *rand.Rand, dst []byte) []byte {
			return cell.AppendRaw(dst, cell.Decimal, fmt.Sprintf("%d.%04d", r.IntN(1e8), r.IntN(1e4)))
		}},
		{"TEXT", []string{"", "\t\n\r\\ \\N \\. é 中 😀", "\\x00", "NULL"}, raw(cell.Text, "", "a", "\\N", "\\.", "\t", "\n\r", `\`, "中", "😀", strings.Repeat("long ", 50_000))},
		{"VARCHAR(5)", []string{"", "中中中中中", "a  "}, raw(cell.Text, "", "a  ", "中中中中中")},
		{"CHAR(5)", []string{"", "ab", "中"}, raw(cell.Text, "     ", "ab   ", "中中中中中")},
		{"BYTEA", []string{`\x`, `\x00`, `\xff5c2e0a`}, func(r *rand.Rand, dst []byte) []byte {
			b := make([]byte, r.IntN(40))
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			return cell.AppendRaw(dst, cell.Bytes, b)
		}},
		{"JSON", []string{`{"b": 1,  "a":[]}`, `null`, `""`, ` 1e400 `}, raw(cell.JSON, `{"b": 1,  "a":[]}`, `null`, "[\n]")},
		{"JSONB", []string{`{"b": 1,  "a":[], "b": 2}`, `null`, `""`, `1.500`}, raw(cell.JSON, `{"a": [], "b": 1.50}`, `null`, `"中"`)},
		{"UUID", []string{"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "00000000-0000-0000-0000-000000000000"}, raw(cell.Text, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "ffffffff-ffff-ffff-ffff-ffffffffffff")},
		{"DATE", []string{"infinity", "-infinity", "4714-11-24 BC", "5874897-12-31", "0001-01-01", "0001-12-31 BC", "1969-12-31", "2000-01-01"}, func(r *rand.Rand, dst []byte) []byte {
			return cell.AppendDate(dst, between(r, -2440588, 2145042905))
		}},
		{"TIME", []string{"00:00:00", "24:00:00", "23:59:59.999999"}, func(r *rand.Rand, dst []byte) []byte { return cell.AppendTime(dst, between(r, 0, 86400e6)*1000) }},
		{"TIMESTAMP", []string{"infinity", "-infinity", "4714-11-24 00:00:00 BC", "294276-12-31 23:59:59.999999", "1969-12-31 23:59:59.999999", "2000-01-01 00:00:00"}, moment(cell.AppendDateTime)},
		{"TIMESTAMP(2)", []string{"infinity", "1969-12-31 23:59:59.99"}, raw(cell.Native, "infinity", "-infinity")},
		{"TIMESTAMPTZ", []string{"infinity", "-infinity", "4714-11-24 00:00:00+00 BC", "294276-12-31 23:59:59.999999+00", "0001-12-31 23:59:59.000001+00 BC"}, moment(cell.AppendInstant)},
		{`"Mood's"`, []string{"so so", "it's", ""}, raw(cell.Native, "so so", "it's", "")},
	}
}

func randomNumeric(r *rand.Rand, dst []byte) []byte {
	var b strings.Builder
	b.WriteString(strconv.Itoa(1 + r.IntN(9999)))
	for range r.IntN(12) {
		b.WriteString([]string{"0", "0000", "9", "10203040"}[r.IntN(4)])
	}
	if n := r.IntN(12); n > 0 {
		b.WriteString(".")
		for range n {
			b.WriteString([]string{"0", "0000", "9", "123"}[r.IntN(4)])
		}
	}
	return cell.AppendRaw(dst, cell.Decimal, []string{"", "-"}[r.IntN(2)]+b.String())
}

// copiedTable is a table of all these types; more columns are added to it.
func copiedTable(name string, more string) string {
	create := "CREATE TABLE " + name + " (id INT"
	for i, c := range copiedTypes() {
		create += fmt.Sprintf(", c%d %s", i, c.typ)
	}
	return create + more + ", PRIMARY KEY (id))"
}

// binarily has only columns with a known binary form, textually one without.
func copiedSchema(t *testing.T, fill ...string) (testdb.DB, backup.Schema) {
	db := testdb.New(t, testdb.Postgres)
	exec(t, poolOf(t, db), `CREATE TYPE "Mood's" AS ENUM ('so so', 'it''s', '')`, copiedTable("binarily", ""), copiedTable("textually", ", forces_text INTERVAL"))
	exec(t, poolOf(t, db), fill...)
	return db, schema(t, sqlsource.Config{DB: poolOf(t, db), Engine: db.Engine})
}

func TestBothFormsOfCopyGiveTheSameTable(t *testing.T) {
	var fill []string
	id := 0
	for i, c := range copiedTypes() {
		for _, edge := range c.edges {
			id++
			for _, table := range []string{"binarily", "textually"} {
				fill = append(fill, fmt.Sprintf("INSERT INTO %s (id, c%d) VALUES (%d, '%s')", table, i, id, strings.ReplaceAll(edge, "'", "''")))
			}
		}
	}
	from, s := copiedSchema(t, fill...)
	rows := all(t, source(t, sqlsource.Config{DB: poolOf(t, from), Engine: from.Engine}))
	require.Len(t, rows["binarily"], id)
	seed := rand.Uint64()
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 300 {
		id++
		row := cell.AppendInt(nil, int64(id))
		for _, c := range copiedTypes() {
			if r.IntN(8) == 0 {
				row = cell.AppendNull(row)
				continue
			}
			row = c.random(r, row)
		}
		rows["binarily"] = append(rows["binarily"], row)
		rows["textually"] = append(rows["textually"], cell.AppendNull(append(backup.Row{}, row...)))
	}

	to := testdb.New(t, testdb.Postgres)
	target := source(t, sqlsource.Config{DB: poolOf(t, to), Engine: to.Engine})
	l, err := target.Begin(t.Context(), s)
	require.NoError(t, err)
	defer l.Close()
	for _, table := range []string{"binarily", "textually"} {
		require.NoError(t, l.Load(t.Context(), table, pairs(rows[table])))
	}
	require.NoError(t, l.Finish(t.Context()))
	require.NoError(t, l.Commit(t.Context()))

	have := all(t, target)
	for _, table := range []string{"binarily", "textually"} {
		require.Len(t, have[table], len(rows[table]))
		for i := range rows[table] {
			require.Equal(t, rows[table][i], have[table][i], "row %d of table %s", i, table)
		}
	}
	// Also inside: a number with zeros that PostgreSQL would have dropped looks the
	// same and is hashed otherwise.
	for i, c := range copiedTypes() {
		if !strings.HasPrefix(c.typ, "NUMERIC") {
			continue
		}
		var differ int
		require.NoError(t, poolOf(t, to).QueryRow(fmt.Sprintf("SELECT count(*) FROM binarily b JOIN textually t USING (id) WHERE numeric_send(b.c%d) IS DISTINCT FROM numeric_send(t.c%d)", i, i)).Scan(&differ))
		require.Zero(t, differ, c.typ)
	}
}

// That the binary form is in use shows in who finds fault with a value.
func TestBinaryCopyRefusesWhatIsNoValueOfTheType(t *testing.T) {
	t.Parallel()
	_, s := copiedSchema(t)
	const secret = "13800138000"
	types := copiedTypes()
	bad := map[string][][]byte{
		"SMALLINT":      {cell.AppendInt(nil, 32768), cell.AppendInt(nil, -32769), cell.AppendUint(nil, math.MaxUint64)},
		"INT":           {cell.AppendInt(nil, 13800138000)},
		"REAL":          {cell.AppendFloat(nil, 0.1), cell.AppendFloat(nil, 1e300)},
		"NUMERIC":       {cell.AppendRaw(nil, cell.Decimal, "1e5"), cell.AppendRaw(nil, cell.Decimal, ""), cell.AppendRaw(nil, cell.Decimal, "1."+secret+"x"), cell.AppendRaw(nil, cell.Decimal, "0."+strings.Repeat("1", 70_000))},
		"UUID":          {cell.AppendRaw(nil, cell.Text, strings.Repeat("z", 36)), cell.AppendRaw(nil, cell.Text, secret), cell.AppendRaw(nil, cell.Text, "a0eebc99x9c0b-4ef8-bb6d-6bb9bd380a11")},
		"DATE":          {cell.AppendDate(nil, math.MaxInt32+pgDays), cell.AppendDate(nil, math.MinInt32+pgDays), cell.AppendDate(nil, math.MaxInt64), cell.AppendRaw(nil, cell.Native, "today")},
		"TIME":          {cell.AppendTime(nil, -1000), cell.AppendTime(nil, 1)},
		"TIMESTAMP":     {cell.AppendDateTime(nil, math.MaxInt64, 0), cell.AppendDateTime(nil, math.MinInt64, 0), cell.AppendDateTime(nil, 0, 1), cell.AppendInstant(nil, 0, 0)},
		"TIMESTAMPTZ":   {cell.AppendInstant(nil, 0, 1), cell.AppendRaw(nil, cell.Native, "now"), cell.AppendDateTime(nil, 0, 0)},
		"NUMERIC(12,4)": {cell.AppendRaw(nil, cell.Text, "1.5000")},
	}
	to := testdb.New(t, testdb.Postgres)
	target := source(t, sqlsource.Config{DB: poolOf(t, to), Engine: to.Engine})
	for i, c := range types {
		wrong := cell.AppendRaw(nil, cell.Text, secret)
		if strings.Contains("TEXT VARCHAR(5) CHAR(5)", c.typ) {
			wrong = cell.AppendRaw(nil, cell.Native, secret)
		}
		for _, value := range append(bad[c.typ], wrong) {
			row := cell.AppendInt(nil, 1)
			for j := range types {
				if i == j {
					row = append(row, value...)
				} else {
					row = cell.AppendNull(row)
				}
			}
			l, err := target.Begin(t.Context(), s)
			require.NoError(t, err)
			err = l.Load(t.Context(), "binarily", pairs([]backup.Row{row}))
			require.NoError(t, l.Close())
			require.ErrorContains(t, err, fmt.Sprintf("sqlsource: column \"c%d\" holds a ", i), "%s", c.typ)
			require.NotContains(t, err.Error(), secret)
		}
	}
}

// Whoever brings the rows hears of his own error and not of what became of it.
func TestLoadReturnsTheErrorOfTheRows(t *testing.T) {
	_, s := copiedSchema(t)
	to := testdb.New(t, testdb.Postgres)
	l, err := source(t, sqlsource.Config{DB: poolOf(t, to), Engine: to.Engine}).Begin(t.Context(), s)
	require.NoError(t, err)
	defer l.Close()
	broken := errors.New("the store is gone")
	err = l.Load(t.Context(), "binarily", func(yield func(backup.Row, error) bool) { yield(nil, broken) })
	require.Equal(t, broken, err)
}

const pgDays = 10957 // from 1970 to 2000

// FREEZE needs a transaction without an older snapshot, whatever level of isolation
// is usual; then no later reader has to look at the rows of a restore again.
func TestRestoredRowsAreFrozen(t *testing.T) {
	from := testdb.New(t, testdb.Postgres)
	exec(t, poolOf(t, from), "CREATE TABLE a (id INT PRIMARY KEY)", "INSERT INTO a SELECT generate_series(1, 1000)", "CREATE TABLE b (id INT PRIMARY KEY, i INTERVAL)", "INSERT INTO b SELECT generate_series(1, 1000)")
	cfg := sqlsource.Config{DB: poolOf(t, from), Engine: from.Engine}
	s, rows := schema(t, cfg), all(t, source(t, cfg))
	for _, level := range []string{"read committed", "repeatable read", "serializable"} {
		to := testdb.New(t, testdb.Postgres)
		to.DSN += "&default_transaction_isolation=" + strings.ReplaceAll(level, " ", "%20")
		to = to.Reopen(t)
		l, err := source(t, sqlsource.Config{DB: poolOf(t, to), Engine: to.Engine}).Begin(t.Context(), s)
		require.NoError(t, err)
		for _, table := range []string{"a", "b"} {
			require.NoError(t, l.Load(t.Context(), table, pairs(rows[table])))
		}
		require.NoError(t, l.Finish(t.Context()))
		require.NoError(t, l.Commit(t.Context()))
		for _, table := range []string{"a", "b"} {
			conn, err := poolOf(t, to).Conn(t.Context())
			require.NoError(t, err)
			_, err = conn.ExecContext(t.Context(), "SET enable_seqscan = off")
			require.NoError(t, err)
			explained, err := conn.QueryContext(t.Context(), "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT id FROM "+table+" WHERE id > 0 ORDER BY id")
			require.NoError(t, err)
			var plan strings.Builder
			for explained.Next() {
				var line string
				require.NoError(t, explained.Scan(&line))
				plan.WriteString(line + "\n")
			}
			require.NoError(t, explained.Err())
			require.NoError(t, conn.Close())
			require.Contains(t, plan.String(), "Heap Fetches: 0", level)
		}
	}
}
