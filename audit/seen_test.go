package audit_test

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("c", i)
	}
	return list
}

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) set(cfg *audit.Config) {
	c.now = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	cfg.Now = func() time.Time { return c.now }
}

func everyEvent(t *testing.T, log *audit.Log) []audit.Event {
	t.Helper()
	audittest.CheckLog(t, log)
	var list []audit.Event
	for e, err := range log.Events(t.Context(), audit.Query{OldestFirst: true}) {
		require.NoError(t, err)
		list = append(list, e)
	}
	return list
}

func TestAPageIsOneEvent(t *testing.T) {
	log := memoryLog(t, audit.NewMemory(), dataTyped)
	ctx := audit.WithSource(t.Context(), audit.Source{IP: "10.0.0.7", Channel: "web", RequestID: "r-1", Purpose: "daily work"})
	require.NoError(t, log.Seen(ctx, "customer", ids(50), []string{"name", "phone"}))
	require.NoError(t, log.Seen(ctx, "customer", ids(1200), nil, slog.String("purpose", "report")))
	require.NoError(t, log.Seen(ctx, "customer", nil, nil, slog.Int("count", 0)))
	list := everyEvent(t, log)
	require.Len(t, list, 5)
	require.Equal(t, "customer.read", list[0].Action)
	require.Len(t, list[0].Rows, 50)
	require.Equal(t, audit.Actor{Tenant: "main", IP: "10.0.0.7", Channel: "web", RequestID: "r-1"}, list[0].Actor)
	require.Equal(t, "daily work", list[0].Purpose)
	require.Equal(t, "[datatypes=contact,identity]", fmt.Sprint(list[0].Attrs))
	require.Len(t, list[3].Rows, 200)
	require.Equal(t, "report", list[3].Purpose)
	require.ErrorIs(t, log.Seen(ctx, "customer list", nil, nil), audit.ErrInvalid)
}

func TestRepeatedReadingsAreCounted(t *testing.T) {
	c := &clock{}
	log := memoryLog(t, audit.NewMemory(), c.set, dataTyped, func(cfg *audit.Config) { cfg.SeenWindow = time.Minute })
	ann := as(t.Context(), audit.Actor{ID: "ann", RequestID: "1"})
	page := func(user string, fields ...string) {
		require.NoError(t, log.Seen(as(t.Context(), audit.Actor{ID: user, RequestID: fmt.Sprint(c.now)}), "customer", ids(50), fields))
	}
	require.NoError(t, log.Seen(ann, "customer", ids(50), []string{"name"}))
	for range 5 {
		c.now = c.now.Add(10 * time.Second)
		page("ann", "name")
	}
	page("bob", "name")  // somebody else
	page("ann", "phone") // something else
	require.NoError(t, log.Seen(ann, "customer", ids(49), []string{"name"}))
	require.NoError(t, log.Seen(ann, "customer", ids(50), []string{"name"}, slog.String("purpose", "other")))
	c.now = c.now.Add(10 * time.Second) // 60 s since the first: its window has ended
	page("ann", "name")
	list := everyEvent(t, log) // flushes the rest
	var got []string
	for _, e := range list {
		got = append(got, fmt.Sprintf("%s %v %d %s %v", e.Actor.ID, e.Fields, len(e.Rows), e.Purpose, e.Attrs))
	}
	require.Equal(t, []string{
		"ann [name] 50  [datatypes=identity]",
		"bob [name] 50  [datatypes=identity]",
		"ann [phone] 50  [datatypes=contact]",
		"ann [name] 49  [datatypes=identity]",
		"ann [name] 50 other [datatypes=identity]",
		"ann [name] 50  [repeats=5 since=2026-11-21T09:00:10Z until=2026-11-21T09:00:50Z datatypes=identity]",
		"ann [name] 50  [datatypes=identity]",
	}, got)

	page("ann", "name")
	page("ann", "name")
	require.NoError(t, log.Close())
	last := everyEvent(t, log)
	require.Equal(t, "[repeats=1 since=2026-11-21T09:01:00Z until=2026-11-21T09:01:00Z datatypes=identity]", fmt.Sprint(last[len(last)-1].Attrs))
}

// However many different pages are read in a window, the memory is bounded and
// nothing that was counted is forgotten.
func TestManyDifferentReadingsStayBounded(t *testing.T) {
	log := memoryLog(t, audit.NewMemory(), func(cfg *audit.Config) { cfg.SeenWindow = time.Hour })
	for i := range 5000 {
		for range 2 {
			require.NoError(t, log.Seen(t.Context(), "customer", []string{fmt.Sprint(i)}, nil))
		}
		if i%1000 == 999 {
			require.NoError(t, log.Flush(t.Context()))
		}
	}
	first, repeats := 0, int64(0)
	for _, e := range everyEvent(t, log) {
		if len(e.Attrs) == 0 {
			first++
		} else {
			repeats += e.Attrs[0].Value.Int64()
		}
	}
	require.Equal(t, 5000, first)
	require.EqualValues(t, 5000, repeats)
}

func TestSeenFollowsItsClass(t *testing.T) {
	for class, fails := range map[audit.Class]bool{audit.Must: true, audit.Should: false, audit.BestEffort: false} {
		store := newFaulty(failsHard)
		log := memoryLog(t, store, classed(class), func(cfg *audit.Config) { cfg.Spill = t.TempDir() })
		err := log.Seen(t.Context(), "customer", ids(3), nil)
		require.Equal(t, fails, err != nil, "%s: %v", class, err)
		store.heal()
		want := map[string]int64{"customer.read": 1}
		if fails {
			want = map[string]int64{}
		}
		require.Equal(t, want, tally(t, log))
		require.NoError(t, log.Close())
	}
}

func TestReadsPluginRecordsWhatQueriesReturn(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		require.NoError(t, b.AutoMigrate(&invoice{}))
		require.NoError(t, b.Use(audit.Reads{Log: b.log, Tables: []string{"customers"}}))
		for i := range 60 {
			require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: fmt.Sprintf("c%02d", i), Name: "x"}).Error)
		}
		b.seal(t)
		tx := b.WithContext(b.ctx)
		everything := "[id name phone owner deleted_at]"
		for _, c := range []struct {
			name string
			do   func() error
			want []string
		}{
			{"find", func() error { var l []customer; return tx.Order("id").Limit(50).Find(&l).Error }, []string{"customer.read 50 " + everything + " []"}},
			{"first", func() error { var c customer; return tx.First(&c, "id = ?", "c01").Error }, []string{"customer.read 1 " + everything + " []"}},
			{"pointers, chosen columns", func() error { var l []*customer; return tx.Select("ID", "phone").Find(&l).Error }, []string{"customer.read 60 [id phone] []"}},
			{"left out", func() error { var l []customer; return tx.Omit("phone").Limit(1).Find(&l).Error }, []string{"customer.read 1 [id name owner deleted_at] []"}},
			{"another type", func() error {
				var l []struct{ Name string }
				return tx.Model(&customer{}).Limit(3).Find(&l).Error
			}, []string{"customer.read 0 [name] [count=3]"}},
			{"pluck", func() error { var l []string; return tx.Model(&customer{}).Limit(2).Pluck("phone", &l).Error }, []string{"customer.read 0 [phone] [count=2]"}},
			{"expression", func() error {
				var l []string
				return tx.Model(&customer{}).Where("id = ?", "c01").Pluck("CASE WHEN phone = '13800138000' THEN 1 ELSE 0 END", &l).Error
			}, []string{"customer.read 0 [expression] [count=1]"}},
			{"nothing found", func() error { var l []customer; return tx.Find(&l, "id = ?", "none").Error }, nil},
			{"another table", func() error { var l []invoice; return tx.Find(&l).Error }, nil},
		} {
			after := len(b.events(t, audit.Query{}))
			require.NoError(t, c.do(), c.name)
			b.seal(t)
			var got []string
			for _, e := range b.events(t, audit.Query{OldestFirst: true})[after:] {
				got = append(got, fmt.Sprintf("%s %d %v %v", e.Action, len(e.Rows), e.Fields, e.Attrs))
			}
			require.Equal(t, c.want, got, c.name)
		}
	})
}

// A reading that must be recorded and cannot be shows nothing.
func TestAReadingThatCannotBeRecordedShowsNothing(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite), func(cfg *audit.Config) {
		cfg.Class = func(action string) audit.Class { return map[string]audit.Class{"customer.read": audit.Must}[action] }
	})
	require.NoError(t, b.Use(audit.Reads{Log: b.log, Tables: []string{"customers"}}))
	require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "1", Name: "secret"}).Error)
	b.exec(t, "ALTER TABLE confide_audit_pending RENAME TO elsewhere")
	var one customer
	err := b.WithContext(b.ctx).First(&one).Error
	require.ErrorContains(t, err, "the reading of customers was not recorded, and nothing is shown")
	require.Equal(t, customer{}, one)
	var list []customer
	require.Error(t, b.WithContext(b.ctx).Find(&list).Error)
	require.Empty(t, list)
	b.exec(t, "ALTER TABLE elsewhere RENAME TO confide_audit_pending")
	require.NoError(t, b.WithContext(b.ctx).First(&one).Error)
	for _, r := range []audit.Reads{{}, {Log: b.log}} {
		require.ErrorIs(t, r.Initialize(&gorm.DB{}), audit.ErrInvalid)
	}
}

func TestSourcesCompleteTheActorAndNest(t *testing.T) {
	log := memoryLog(t, audit.NewMemory())
	ctx := audit.WithSource(t.Context(), audit.Source{IP: "10.0.0.7", Channel: "web", RequestID: "r-1"})
	ctx = audit.WithSource(ctx, audit.Source{Channel: "api", Purpose: "sync"})
	require.Equal(t, audit.Source{IP: "10.0.0.7", Channel: "api", RequestID: "r-1", Purpose: "sync"}, audit.SourceOf(ctx))
	require.NoError(t, log.Record(as(ctx, audit.Actor{ID: "u", Channel: "import"}), "a"))
	require.NoError(t, log.RecordApart(ctx, "b", slog.String("purpose", "own")))
	list := everyEvent(t, log)
	require.Equal(t, audit.Actor{ID: "u", Tenant: "main", IP: "10.0.0.7", Channel: "import", RequestID: "r-1"}, list[0].Actor)
	require.Equal(t, "sync", list[0].Purpose)
	require.Equal(t, "own", list[1].Purpose)
}
