package privacy_test

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Found and FoundOpen are rows of a big table, sealed and not.
type Found struct {
	ID         string         `gorm:"primaryKey;size:36"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
	Email      privacy.String `privacy:"mask=email"`
	EmailIndex privacy.Index  `gorm:"index" privacy:"of=Email,norm=email"`
}

type FoundOpen struct {
	ID    string `gorm:"primaryKey;size:36"`
	Phone string `gorm:"index;size:60"`
	Email string `gorm:"index;size:60"`
}

// realRows is how many rows of a crowd were written by the library and can be found.
const realRows = 100

func crowdPhone(i int) string { return fmt.Sprintf("138%08d", i) }
func crowdEmail(i int) string { return fmt.Sprintf("n%d@example.com", i) }

// crowd fills both tables with realRows rows, written by the library, among 10^digits synthetic ones: the
// database makes up bytes in the shape of ciphertexts and blind indexes, which belong to no person and no
// value. A lookup cannot tell them apart, as both are random bytes to it.
func crowd(t testing.TB, h *house, digits int) *sql.DB {
	require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &Found{}, &FoundOpen{}))
	var sealed []Found
	var open []FoundOpen
	for i := range realRows {
		id := fmt.Sprintf("real-%d", i)
		sealed = append(sealed, Found{ID: id, Phone: privacy.New(crowdPhone(i)), Email: privacy.New(crowdEmail(i))})
		open = append(open, FoundOpen{ID: id, Phone: crowdPhone(i), Email: crowdEmail(i)})
	}
	require.NoError(t, h.gorm().Create(&sealed).Error)
	require.NoError(t, h.gorm().Create(&open).Error)
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	expr := map[string]struct{ cell, index, text, number string }{
		testdb.SQLite:   {"CAST(x'C0DE01' || randomblob(44) AS BLOB)", "CAST(x'C1' || randomblob(16) AS BLOB)", "CAST(%s AS TEXT)", "%s || CAST(i AS TEXT)"},
		testdb.Postgres: {"decode('c0de01' || md5(i::text) || md5((-i)::text) || md5(i::text), 'hex')", "decode('c1' || md5('%s' || i::text), 'hex')", "%s", "%s || i::text"},
		testdb.MySQL:    {"UNHEX(CONCAT('C0DE01', MD5(i), MD5(-i), MD5(i)))", "UNHEX(CONCAT('C1', MD5(CONCAT('%s', i))))", "%s", "CONCAT(%s, i)"},
	}[h.db.Engine]
	index := func(salt string) string { return strings.ReplaceAll(expr.index, "%s", salt) }
	text := func(prefix string) string { return strings.ReplaceAll(expr.number, "%s", "'"+prefix+"'") }
	// Ascending ids of one width fill the primary key in order.
	var from []string
	sum := []string{"1000000"}
	weight := 1
	for d := range digits {
		from = slices.Insert(from, 0, fmt.Sprintf("(SELECT 0 AS n UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9) d%d", d))
		sum = append(sum, fmt.Sprintf("d%d.n*%d", d, weight))
		weight *= 10
	}
	numbers := "(SELECT " + strings.Join(sum, "+") + " AS i FROM " + strings.Join(from, " CROSS JOIN ") + ") numbers"
	// Building an index at the end sorts once; row by row, random keys would touch the whole of it.
	indexed := map[any][]string{&Found{}: {"PhoneIndex", "EmailIndex"}, &FoundOpen{}: {"Phone", "Email"}}
	for m, fields := range indexed {
		for _, f := range fields {
			require.NoError(t, h.db.Migrator().DropIndex(m, f))
		}
	}
	for _, statement := range []string{
		"INSERT INTO founds (id, phone, phone_index, email, email_index) SELECT " +
			strings.Join([]string{text("s"), expr.cell, index("p"), expr.cell, index("e")}, ", ") + " FROM " + numbers,
		"INSERT INTO found_opens (id, phone, email) SELECT " +
			strings.Join([]string{text("s"), text("139"), text("x@")}, ", ") + " FROM " + numbers,
	} {
		_, err = pool.Exec(statement)
		require.NoError(t, err)
	}
	for m, fields := range indexed {
		for _, f := range fields {
			require.NoError(t, h.db.Migrator().CreateIndex(m, f))
		}
	}
	for _, table := range []string{"founds", "found_opens"} {
		analyze := "ANALYZE " + table
		if h.db.Engine == testdb.MySQL {
			analyze = "ANALYZE TABLE " + table
		}
		_, err = pool.Exec(analyze)
		require.NoError(t, err)
	}
	return pool
}

// plan returns how the database would run a query of GORM's.
func plan(t testing.TB, pool *sql.DB, engine string, db *gorm.DB) string {
	t.Helper()
	require.NoError(t, db.Error)
	explain := map[string]string{testdb.SQLite: "EXPLAIN QUERY PLAN ", testdb.Postgres: "EXPLAIN ", testdb.MySQL: "EXPLAIN FORMAT=JSON "}[engine]
	rows, err := pool.Query(explain+db.Statement.SQL.String(), db.Statement.Vars...)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var out strings.Builder
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(sql.NullString)
		}
		require.NoError(t, rows.Scan(cells...))
		for _, c := range cells {
			out.WriteString(c.(*sql.NullString).String + " ")
		}
		out.WriteByte('\n')
	}
	require.NoError(t, rows.Err())
	return out.String()
}

// scans reports whether a plan reads a whole table.
func scans(plan string) bool {
	for _, s := range []string{"Seq Scan", "SCAN ", `"access_type": "ALL"`, `"access_type": "index"`} {
		if strings.Contains(plan, s) {
			return true
		}
	}
	return false
}

// Every kind of lookup on a sealed field is answered from the blind index, on every database: the plan names
// the index and reads no table from end to end. A negation alone cannot be, sealed or not.
func TestLookupsUseTheIndex(t *testing.T) {
	p := func(i int) privacy.String { return privacy.New(crowdPhone(i)) }
	e := func(i int) privacy.String { return privacy.New(crowdEmail(i)) }
	phone, email := "idx_founds_phone_index", "idx_founds_email_index"
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		pool := crowd(t, h, 4)
		dry := func() *gorm.DB { return h.gorm().Session(&gorm.Session{DryRun: true}) }
		for _, c := range []struct {
			name  string
			query *gorm.DB
			found int
			uses  []string
		}{
			{"=", h.gorm().Where("phone = ?", p(1)), 1, []string{phone}},
			{"= in raw text with another column", h.gorm().Where("id <> ? AND phone = ?", "x", p(1)), 1, []string{phone}},
			{"IN", h.gorm().Where("phone IN ?", []privacy.String{p(1), p(2), p(3)}), 3, []string{phone}},
			{"struct", h.gorm().Where(&Found{Phone: p(1)}), 1, []string{phone}},
			{"struct of two fields", h.gorm().Where(&Found{Phone: p(1), Email: e(1)}), 1, nil},
			{"map", h.gorm().Where(map[string]any{"email": e(4)}), 1, []string{email}},
			{"map with a list", h.gorm().Where(map[string]any{"email": []privacy.String{e(4), e(5)}}), 2, []string{email}},
			{"AND NOT", h.gorm().Where("phone IN ?", []privacy.String{p(1), p(2)}).Not(&Found{Email: e(1)}), 1, []string{phone}},
			{"AND NOT IN", h.gorm().Where("phone = ?", p(1)).Not("email IN ?", []privacy.String{e(2), e(3)}), 1, []string{phone}},
			{"OR", h.gorm().Where("phone = ?", p(1)).Or("email = ?", e(2)), 2, []string{phone, email}},
			{"OR of structs", h.gorm().Where(&Found{Phone: p(1)}).Or(&Found{Email: e(1)}), 1, []string{phone, email}},
			{"OR in a group", h.gorm().Where("id <> ?", "x").Where(h.gorm().Where("phone = ?", p(1)).Or("email = ?", e(9))), 2, []string{phone, email}},
		} {
			t.Run(c.name, func(t *testing.T) {
				q := c.query.Session(&gorm.Session{})
				var list []Found
				require.NoError(t, q.Find(&list).Error)
				require.Len(t, list, c.found)
				text := plan(t, pool, db.Engine, q.Session(&gorm.Session{DryRun: true}).Find(&[]Found{}))
				require.False(t, scans(text), text)
				for _, name := range c.uses {
					require.Contains(t, text, name)
				}
				require.Contains(t, text, "idx_founds_")
			})
		}
		t.Run("NOT alone is as it is for a plain column", func(t *testing.T) {
			sealed := plan(t, pool, db.Engine, dry().Not("phone = ?", p(1)).Find(&[]Found{}))
			open := plan(t, pool, db.Engine, dry().Not("phone = ?", crowdPhone(1)).Find(&[]FoundOpen{}))
			require.Equal(t, scans(open), scans(sealed), "%s\n%s", open, sealed)
			var n int64
			require.NoError(t, h.gorm().Model(&Found{}).Not("phone = ?", p(1)).Count(&n).Error)
			require.EqualValues(t, 10_000+realRows-1, n)
		})
		t.Run("the check itself", func(t *testing.T) {
			text := plan(t, pool, db.Engine, dry().Where("length(id) = 77").Find(&[]Found{}))
			require.True(t, scans(text), "a scan is recognised: "+text)
		})
	})
}

// BenchmarkFind looks up one row of 1,000,000 by an exact match, and prints its mask. The rows but 100 are
// synthetic, see crowd; whether they open does not matter to a lookup that must not find them. Taking the row
// also loads the person's key, which is a second round trip; counting does not.
func BenchmarkFind(b *testing.B) {
	for _, engine := range testdb.Engines() {
		b.Run(engine, func(b *testing.B) {
			h := newHouse(b, testdb.New(b, engine))
			pool := crowd(b, h, 6)
			text := plan(b, pool, engine, h.gorm().Session(&gorm.Session{DryRun: true}).Where(&Found{Phone: privacy.New(crowdPhone(1))}).Find(&[]Found{}))
			require.Contains(b, text, "idx_founds_phone_index")
			require.False(b, scans(text), text)
			open := func(run int) error {
				var c FoundOpen
				return h.gorm().Where(&FoundOpen{Phone: crowdPhone(run % realRows)}).Take(&c).Error
			}
			b.Run("sealed", func(b *testing.B) {
				ratio(b, func(run int) error {
					var c Found
					err := h.gorm().Where(&Found{Phone: privacy.New(crowdPhone(run % realRows))}).Take(&c).Error
					if err == nil && c.Phone.String() == "[sealed]" {
						return fmt.Errorf("not opened")
					}
					return err
				}, open)
			})
			b.Run("count", func(b *testing.B) {
				var n int64
				ratio(b, func(run int) error {
					return h.gorm().Model(&Found{}).Where(&Found{Phone: privacy.New(crowdPhone(run % realRows))}).Count(&n).Error
				}, func(run int) error {
					return h.gorm().Model(&FoundOpen{}).Where(&FoundOpen{Phone: crowdPhone(run % realRows)}).Count(&n).Error
				})
			})
		})
	}
}
