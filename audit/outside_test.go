package audit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

func triggered(c *audit.Config) {
	diffed(c)
	c.Triggers = true
	c.RawReasons = []string{"repair"}
}

// collect turns what triggers saw into events and shows them.
func (b *bench) collect(t *testing.T) []string {
	t.Helper()
	before := len(b.events(t, audit.Query{Action: "audit.outofband"}))
	n, err := b.log.CollectOutside(b.ctx)
	require.NoError(t, err)
	b.seal(t)
	events := b.events(t, audit.Query{Action: "audit.outofband", OldestFirst: true})[before:]
	require.Len(t, events, n)
	got := []string{}
	for _, e := range events {
		row := ""
		if len(e.Rows) > 0 {
			row = " " + e.Rows[0].ID
		}
		got = append(got, e.Resource+" "+e.Attrs[0].Value.String()+row)
	}
	return got
}

func TestTriggersSeeWhatGoesPastThePlugin(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, triggered)
		require.NoError(t, b.AutoMigrate(&tag{}, &person{}, &pet{}, &visit{}))
		store := b.cfg.Store.(*gormstore.Store)
		models := []any{&person{}, &pet{}, &visit{}}
		drift := func() []string {
			d, err := store.TriggerDrift(b.ctx, b.DB.DB, b.log.Marker(), models...)
			require.NoError(t, err)
			return d
		}
		require.Contains(t, drift(), "people: the trigger for update is missing")
		require.NoError(t, store.InstallTriggers(b.ctx, b.DB.DB, b.log.Marker(), models...))
		require.NoError(t, store.InstallTriggers(b.ctx, b.DB.DB, b.log.Marker(), models...), "again")
		require.Empty(t, drift())

		tx := b.WithContext(b.ctx)
		require.NoError(t, errors.Join(
			tx.Create(&[]person{{ID: "p1", Name: secret("ann")}, {ID: "p2"}}).Error,
			tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&person{ID: "p1", Name: secret("bob")}).Error,
			tx.Create(&pet{Name: "Rex"}).Error,
			tx.Model(&person{}).Where("1 = 1").Update("visits", 7).Error,
			tx.Delete(&person{ID: "p2"}).Error,
			tx.Unscoped().Delete(&person{ID: "p2"}).Error,
			tx.Model(&person{ID: "p1"}).Association("Pets").Append(&pet{Name: "Tom"}),
			b.WithContext(audit.AllowRaw(b.ctx, "repair")).Exec("UPDATE people SET visits = 1").Error,
		))
		require.Error(t, tx.Create(&person{ID: "p1"}).Error, "fails under its mark")
		require.Empty(t, b.collect(t), "the plugin's own statements were taken for another's")

		b.exec(t, "UPDATE people SET name = '"+secret("cy")+"' WHERE id = 'p1'")
		b.exec(t, "INSERT INTO visits (person, day, note) VALUES ('a,b%', 3, 'x')")
		b.exec(t, "DELETE FROM visits")
		require.Equal(t, []string{"people update p1", "visits insert a%2Cb%25,3", "visits delete a%2Cb%25,3"}, b.collect(t))
		require.Empty(t, b.collect(t), "collected twice")

		// Inside one transaction with the plugin's statements, before and behind them.
		require.NoError(t, b.WithContext(b.ctx).Transaction(func(tx *gorm.DB) error {
			past := func(s string) error {
				_, err := tx.Statement.ConnPool.ExecContext(b.ctx, s)
				return err
			}
			return errors.Join(past("UPDATE people SET visits = 2"), tx.Model(&person{ID: "p1"}).Update("visits", 3).Error, past("UPDATE people SET visits = 5"))
		}))
		require.Equal(t, []string{"people update p1", "people update p1"}, b.collect(t))

		b.exec(t, "UPDATE people SET visits = 7 WHERE id = 'none'")
		_ = b.DB.DB.Transaction(func(tx *gorm.DB) error {
			_, err := tx.Statement.ConnPool.ExecContext(b.ctx, "UPDATE people SET visits = 9")
			return errors.Join(err, errTest)
		})
		require.Empty(t, b.collect(t), "what was rolled back did not happen")

		cover, err := b.log.Coverage(b.ctx, b.DB.DB, models...)
		require.NoError(t, err)
		require.Equal(t, [3]int{5, 1, 0}, [3]int{cover.Outside, cover.Raw, cover.Waiting})
		require.Empty(t, cover.Drift)

		name := "confide_audit_people_"
		for _, d := range []string{"insert", "update"} {
			b.dropTrigger(t, name, d)
		}
		require.Equal(t, []string{"people: the trigger for insert is missing", "people: the trigger for update is missing"}, drift())
		other, err := store.TriggerDrift(b.ctx, b.DB.DB, "0000", models...)
		require.NoError(t, err)
		require.Contains(t, strings.Join(other, "\n"), "people: the trigger for delete is not the one that was installed")
		require.NoError(t, store.RemoveTriggers(b.ctx, b.DB.DB, models...))
		b.exec(t, "UPDATE people SET visits = 11")
		require.Empty(t, b.collect(t))

		audittest.CheckLog(t, b.log)
		require.NotContains(t, b.stored(t), canary)
	})
}

// dropTrigger removes a trigger as an administrator would.
func (b *bench) dropTrigger(t *testing.T, prefix, verb string) {
	t.Helper()
	query := map[string]string{
		testdb.SQLite:   "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE ? AND name LIKE ?",
		testdb.MySQL:    "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name LIKE ? AND trigger_name LIKE ?",
		testdb.Postgres: "SELECT tgname FROM pg_trigger WHERE tgname LIKE ? AND tgname LIKE ? AND tgrelid = 'people'::regclass",
	}[b.Engine]
	var name string
	require.NoError(t, b.DB.DB.Raw(query, prefix+"%", "%"+verb).Scan(&name).Error)
	require.NotEmpty(t, name)
	on := ""
	if b.Engine == testdb.Postgres {
		on = " ON people"
	}
	b.exec(t, "DROP TRIGGER "+name+on)
}

func TestCoverageNamesWhatIsNotSeen(t *testing.T) {
	type sheet struct {
		ID    string `gorm:"primaryKey;size:36"`
		Phone string
		Kind  string
	}
	type quiet struct {
		ID   string `gorm:"primaryKey;size:36"`
		Kind string
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, diffed, func(c *audit.Config) { c.Ignore = []string{"sheets", "quiets"} })
		require.NoError(t, b.AutoMigrate(&tag{}, &person{}, &pet{}, &sheet{}, &quiet{}, &session{}))
		b.exec(t, "CREATE TABLE imports (id integer, email varchar(100))")
		cover, err := b.log.Coverage(b.ctx, b.DB.DB, &person{}, &sheet{}, &quiet{}, &session{})
		require.NoError(t, err)
		var got, gaps []string
		for _, table := range cover.Tables {
			got = append(got, fmt.Sprint(table.Name, table.Recorded, table.Diff, table.Personal))
			if table.Gap() {
				gaps = append(gaps, table.Name)
			}
		}
		require.Contains(t, got, "peopletrue true [email phone]")
		require.Contains(t, got, "sessionstrue false []")
		require.Contains(t, got, "quietsfalse false []")
		require.Equal(t, []string{"customers", "imports", "sheets"}, gaps, "%v", got)
	})
}
