package privacy_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// queryTap notes every query that reaches the database, the vault's own included.
type queryTap struct {
	gorm.ConnPool
	texts []string
	args  [][]any
}

func (p *queryTap) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	p.texts, p.args = append(p.texts, text), append(p.args, args)
	return p.ConnPool.QueryContext(ctx, text, args...)
}

// explain returns the plan of a statement on any of the databases.
func explain(t testing.TB, pool *sql.DB, engine, text string, args []any) string {
	t.Helper()
	head := map[string]string{testdb.SQLite: "EXPLAIN QUERY PLAN ", testdb.Postgres: "EXPLAIN ", testdb.MySQL: "EXPLAIN FORMAT=JSON "}[engine]
	rows, err := pool.Query(head+text, args...)
	require.NoError(t, err, text)
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

// Every statement behind every kind of search is answered from an index, on every database.
func TestSearchesUseTheirIndexes(t *testing.T) {
	const surnames, given = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗", "明红华丽强军杰娟艳涛超秀霞平刚桂文辉玲宁"
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		s, g := []rune(surnames), []rune(given)
		var rows []*Patient
		people := 3000
		if testing.Short() {
			people = 800
		}
		for i := range people {
			name := string(s[i%20]) + string(g[i/20%20]) + string(g[i/400%20])
			rows = append(rows, patient(fmt.Sprintf("p%d", i), name, fmt.Sprintf("139%08d", i*7919%100000000), fmt.Sprintf("m%d@d%d.example", i, i%500)))
		}
		require.NoError(t, h.gorm().CreateInBatches(&rows, 500).Error)
		pool, err := db.DB.DB()
		require.NoError(t, err)
		for _, table := range []string{"patients", "confide_tokens"} {
			_, err = pool.Exec(map[string]string{testdb.SQLite: "ANALYZE ", testdb.Postgres: "ANALYZE ", testdb.MySQL: "ANALYZE TABLE "}[db.Engine] + table)
			require.NoError(t, err)
		}
		for _, c := range []struct {
			index string
			value privacy.String
			field string
		}{
			{"phone_index", privacy.New("13800138000"), "phone"},
			{"phone_last4", privacy.EndsWith("8000"), "phone"},
			{"phone_last4", privacy.EndsWith("13800138000"), "phone"},
			{"phone_start", privacy.StartsWith("+551239"), "phone"},
			{"email_domain", privacy.AtDomain("embraer.com.br"), "email"},
			{"name_first", privacy.StartsWith("单"), "name"},
			{"confide_tokens", privacy.Match("单小明"), "name"},
			{"confide_tokens", privacy.Match("单"), "name"},
			{"confide_tokens", privacy.Match("sxm"), "name"},
		} {
			q := h.gorm().Session(&gorm.Session{})
			p := &queryTap{ConnPool: q.Statement.ConnPool}
			q.Statement.ConnPool = p
			var list []Patient
			require.NoError(t, q.Where(c.field+" = ?", c.value).Limit(20).Find(&list).Error)
			require.NotEmpty(t, list, c.index)
			all := ""
			for i, text := range p.texts {
				if !strings.Contains(text, "patients") && !strings.Contains(text, "confide_tokens") {
					continue
				}
				plan := explain(t, pool, db.Engine, text, p.args[i])
				require.False(t, scans(plan), "%s\n%s", text, plan)
				all += text + "\n" + plan
			}
			require.Contains(t, strings.ToLower(all), c.index)
		}
	})
}

// An index that was added later is filled, and one that somebody damaged is mended.
func TestReindex(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		pool, err := db.DB.DB()
		require.NoError(t, err)
		for _, text := range []string{
			"UPDATE patients SET phone_last4 = NULL, email_index = NULL", "DELETE FROM confide_tokens WHERE row_id <> '2'",
			"UPDATE confide_tokens SET row_id = 'gone' WHERE row_id = '2'",
		} {
			_, err = pool.Exec(text)
			require.NoError(t, err)
		}
		require.Equal(t, "", h.ids(t, h.gorm().Where("name = ?", privacy.Match("小明"))))
		opt := privacy.RotateOptions{Batch: 2, DryRun: true}
		dry, err := h.vault.Reindex(h.ctx, h.db.DB, opt)
		require.NoError(t, err)
		require.Positive(t, dry.Left)
		require.Zero(t, dry.Changed)
		// Killed on its way, it goes on.
		ctx, cancel := context.WithCancel(h.ctx)
		_, err = h.vault.Reindex(ctx, h.db.DB, privacy.RotateOptions{Batch: 2, Progress: func(r privacy.Rotation) {
			if r.Changed > 0 {
				cancel()
			}
		}})
		require.ErrorIs(t, err, context.Canceled)
		opt.DryRun = false
		r, err := h.vault.Reindex(h.ctx, h.db.DB, opt)
		require.NoError(t, err)
		require.Positive(t, r.Changed)
		require.Less(t, r.Changed, dry.Left)
		require.Zero(t, r.Left)
		require.Empty(t, r.Failed)
		h.healthy(t)
		require.Equal(t, "146", h.ids(t, h.gorm().Where("name = ?", privacy.Match("小明"))))
		require.Equal(t, "12", h.ids(t, h.gorm().Where("phone = ?", privacy.EndsWith("8000"))))
		again, err := h.vault.Reindex(h.ctx, h.db.DB, opt)
		require.NoError(t, err)
		require.Zero(t, again.Changed)
		require.Empty(t, h.gate.asked)
		err = h.gorm().Transaction(func(tx *gorm.DB) error {
			_, err := h.vault.Reindex(h.ctx, tx, opt)
			return err
		})
		require.ErrorIs(t, err, privacy.ErrRefused)
	})
}

// Tokens go over to a new index key with the indexes, and the former key is not missed afterwards.
func TestTokensRotateWithTheIndexKey(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c := newClock()
		h := searchHouse(t, db, func(cfg *privacy.Config) { cfg.Now = c.Now })
		found := func() string { return h.ids(t, h.gorm().Where("name = ?", privacy.Match("王小明"))) }
		require.Equal(t, privacy.Announced, h.rotate(t, privacy.IndexKey).Phase)
		require.Equal(t, "1", found())
		c.pass(wait)
		require.Equal(t, privacy.Done, h.rotate(t, privacy.IndexKey).Phase)
		require.Equal(t, "1", found())
		h.healthy(t)
		c.pass(wait)
		_, err := h.retire(privacy.IndexKey)
		require.NoError(t, err)
		require.Equal(t, "1", found())
		require.Equal(t, "12", h.ids(t, h.gorm().Where("phone = ?", privacy.EndsWith("8000"))))
		c.pass(time.Hour)
		require.Equal(t, "146", h.ids(t, h.gorm().Where("name = ?", privacy.Match("xm"))))
		h.healthy(t)
	})
}
