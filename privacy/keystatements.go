package privacy

import (
	"context"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gorm.io/gorm"
)

// The statements on confide_subject_keys, which run with every write and every result set. They go to
// database/sql as they stand, in the form that is cheapest for each database:
//
//   - PostgreSQL gets arrays. The text is constant, so the driver prepares it once however many persons there
//     are; and a lookup is a nested loop over the primary key, which stays an index scan when the plan was made
//     while the table was empty. A plain = ANY becomes a sequential scan then, and keeps being one.
//   - MySQL gets hexadecimal literals. With parameters its driver would prepare, run and close the statement,
//     three round trips instead of one. The columns are VARBINARY, so a literal is the value.
//   - SQLite gets parameters.

// insertChunk keeps an INSERT below SQLite's limit of parameters.
const insertChunk = 2000

const (
	subjectColumns = "(tenant, subject, version, wrapped, created_at, erased_at)"

	postgresInsert = "INSERT INTO confide_subject_keys " + subjectColumns +
		" SELECT n.tenant, n.subject, n.version, n.wrapped, $5::bigint, 0" +
		" FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[]) AS n(tenant, subject, version, wrapped)" +
		" ON CONFLICT DO NOTHING"

	postgresLoad = "SELECT k.subject, k.version, k.wrapped, k.erased_at FROM unnest($2::text[]) AS n(subject)" +
		" CROSS JOIN LATERAL (SELECT * FROM confide_subject_keys s" +
		` WHERE s.tenant = $1::text COLLATE "C" AND s.subject = n.subject COLLATE "C" LIMIT 1`
)

// insertSubjects inserts the keys whose names are new and returns how many those are. On MySQL the number
// depends on the connection's flags.
func (c conn) insertSubjects(ctx context.Context, keys []StoredKey, now int64) (int64, error) {
	var text strings.Builder
	var args []any
	switch c.dialect() {
	case "postgres":
		text.WriteString(postgresInsert)
		args = append(arrays(keys), now)
	case "mysql":
		writeMySQLInsert(&text, keys, now)
	default:
		text.Grow(len(keys)*16 + 150)
		text.WriteString("INSERT INTO confide_subject_keys " + subjectColumns + " VALUES ")
		args = make([]any, 0, 5*len(keys))
		for i, k := range keys {
			if i > 0 {
				text.WriteByte(',')
			}
			text.WriteString("(?,?,?,?,?,0)")
			args = append(args, k.Tenant, k.Subject, k.Version, k.Wrapped, now)
		}
		text.WriteString(" ON CONFLICT DO NOTHING")
	}
	res, err := c.db.Statement.ConnPool.ExecContext(ctx, text.String(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func arrays(keys []StoredKey) []any {
	tenants, subjects := make(textArray, len(keys)), make(textArray, len(keys))
	versions, wrapped := make(textArray, len(keys)), make(textArray, len(keys))
	for i, k := range keys {
		tenants[i], subjects[i] = k.Tenant, k.Subject
		versions[i], wrapped[i] = strconv.Itoa(k.Version), `\x`+hex.EncodeToString(k.Wrapped)
	}
	return []any{tenants, subjects, versions, wrapped}
}

// writeMySQLInsert assigns a column to itself, and does not say INSERT IGNORE, because that would also ignore
// values that do not fit.
func writeMySQLInsert(text *strings.Builder, keys []StoredKey, now int64) {
	text.Grow(len(keys) * 400)
	text.WriteString("INSERT INTO confide_subject_keys " + subjectColumns + " VALUES ")
	for i, k := range keys {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteByte('(')
		writeHex(text, []byte(k.Tenant))
		text.WriteByte(',')
		writeHex(text, []byte(k.Subject))
		text.WriteString("," + strconv.Itoa(k.Version) + ",")
		writeHex(text, k.Wrapped)
		text.WriteString("," + strconv.FormatInt(now, 10) + ",0)")
	}
	text.WriteString(" ON DUPLICATE KEY UPDATE version = version")
}

// writeHex writes a literal of hexadecimal digits, which nothing in b can end.
func writeHex(text *strings.Builder, b []byte) {
	text.WriteString("x'")
	text.WriteString(hex.EncodeToString(b))
	text.WriteByte('\'')
}

// create implements keyCreator. A row that was inserted belongs to this transaction, so nobody can erase it
// before it ends.
func (t tableKeys) create(ctx context.Context, db *gorm.DB, keys []StoredKey) ([]StoredKey, error) {
	c := conn{db}
	var there []StoredKey
	for len(keys) > 0 {
		n := min(len(keys), insertChunk)
		affected, err := c.insertSubjects(ctx, keys[:n], t.now().UnixMilli())
		if err != nil {
			return nil, err
		}
		if affected != int64(n) || c.dialect() == "mysql" {
			stored, err := t.Load(ctx, db, namesOf(keys[:n]), true)
			if err != nil {
				return nil, err
			}
			if len(stored) < n {
				return nil, fmt.Errorf("%w: table confide_subject_keys lost keys right after they were added", ErrKey)
			}
			there = append(there, stored...)
		}
		keys = keys[n:]
	}
	return there, nil
}

func namesOf(keys []StoredKey) []KeyName {
	names := make([]KeyName, len(keys))
	for i, k := range keys {
		names[i] = k.KeyName
	}
	return names
}

// loadSubjects appends the keys of these persons to out. Locks are taken in the order of the ids, which the
// caller has sorted.
func (c conn) loadSubjects(ctx context.Context, tenant string, ids []string, hold bool, out *[]StoredKey) error {
	lock := ""
	if hold {
		lock = shareLock(c.dialect())
	}
	text, args := c.subjectQuery(tenant, ids, lock)
	rows, err := c.db.Statement.ConnPool.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		k := StoredKey{KeyName: KeyName{Tenant: tenant, Purpose: purposeData}}
		var erased int64
		if err := rows.Scan(&k.Subject, &k.Version, &k.Wrapped, &erased); err != nil {
			return err
		}
		if erased != 0 {
			k.Erased = time.UnixMilli(erased).UTC()
		}
		*out = append(*out, k)
	}
	return rows.Err()
}

func (c conn) subjectQuery(tenant string, ids []string, lock string) (string, []any) {
	const columns = "SELECT subject, version, wrapped, erased_at FROM confide_subject_keys WHERE tenant = "
	var text strings.Builder
	switch c.dialect() {
	case "postgres":
		if len(ids) == 1 { // arrays of one would be planned anew each time
			return columns + "$1 AND subject = $2" + lock, []any{tenant, ids[0]}
		}
		return postgresLoad + lock + ") k", []any{tenant, textArray(ids)}
	case "mysql":
		text.WriteString(columns)
		writeHex(&text, []byte(tenant))
		text.WriteString(" AND subject IN (")
		for i, id := range ids {
			if i > 0 {
				text.WriteByte(',')
			}
			writeHex(&text, []byte(id))
		}
		text.WriteByte(')')
		if lock != "" {
			text.WriteString(" ORDER BY subject" + lock)
		}
		return text.String(), nil
	}
	args := make([]any, 1, len(ids)+1)
	args[0] = tenant
	for _, id := range ids {
		args = append(args, id)
	}
	text.WriteString(columns + "? AND subject IN (?" + strings.Repeat(",?", len(ids)-1) + ")")
	return text.String(), args
}

// textArray is an array in PostgreSQL's text form.
type textArray []string

var arrayEscape = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Value is for database/sql.
func (a textArray) Value() (driver.Value, error) {
	var b strings.Builder
	for i, s := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('"')
		_, _ = arrayEscape.WriteString(&b, s)
		b.WriteByte('"')
	}
	return "{" + b.String() + "}", nil
}
