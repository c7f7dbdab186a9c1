package audit_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

// What goes its own way into the log (denied, failed, spilled, refused, lost) still goes to the
// log of the tenant in ctx.
func TestEventsApartGoToTheirTenant(t *testing.T) {
	s := newShared(t, works)
	ctx := as(t.Context(), audit.Actor{ID: "u3", Tenant: "acme"})
	best := func(cfg *audit.Config) {
		cfg.Class = func(action string) audit.Class { return map[string]audit.Class{"best": audit.BestEffort}[action] }
	}
	for _, c := range []struct {
		name string
		wait time.Duration // of Close: no time for a store that is broken
		run  func(log *audit.Log)
		want []string
	}{
		{"denied", 0, func(log *audit.Log) {
			require.NoError(t, log.RecordApart(ctx, "login.denied", slog.String("result", "denied")))
		}, []string{"login.denied"}},
		{"spilled", 1, func(log *audit.Log) {
			s.store.fault.Store(int32(failsHard))
			require.NoError(t, log.RecordApart(ctx, "spilled"))
			require.Error(t, log.Close())
			s.store.heal()
		}, []string{"spilled"}},
		{"a page that was shown", 0, func(log *audit.Log) {
			require.NoError(t, log.Seen(ctx, "customer", []string{"1"}, []string{"name"}))
		}, []string{"customer.read"}},
		{"lost", 1, func(log *audit.Log) {
			s.store.fault.Store(int32(failsHard))
			require.NoError(t, log.Record(ctx, "best"))
			require.Error(t, log.Close())
			s.store.heal()
		}, []string{audit.GapAction}},
	} {
		s.store.Memory = audit.NewMemory()
		log := s.open(t, best, func(cfg *audit.Config) { cfg.CloseWait = c.wait })
		c.run(log)
		again := s.open(t)
		require.NoError(t, log.Close())
		require.NoError(t, again.Flush(t.Context()))
		_, err := again.Seal(t.Context())
		require.NoError(t, err)
		for tenant, want := range map[string][]string{"acme": c.want, audit.MainTenant: {}} {
			var events []audit.Event
			for e, err := range again.Events(t.Context(), audit.Query{Tenant: tenant}) {
				require.NoError(t, err)
				events = append(events, e)
			}
			require.Equal(t, want, actions(events), "%s, in the log of %s", c.name, tenant)
		}
		require.NoError(t, again.Close())
	}
}

func TestWhatTriggersSawGoesToTheTenantInContext(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, triggered)
		require.NoError(t, b.AutoMigrate(&visit{}))
		store := b.cfg.Store.(*gormstore.Store)
		require.NoError(t, store.InstallTriggers(b.ctx, b.DB.DB, b.log.Marker(), &visit{}))
		b.exec(t, "INSERT INTO visits (person, day, note) VALUES ('p1', 1, 'x')")
		acme := as(b.ctx, audit.Actor{Tenant: "acme"})
		n, err := b.log.CollectOutside(acme)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		b.exec(t, "INSERT INTO visits (person, day, note) VALUES ('p2', 1, 'x')")
		n, err = b.log.CollectOutside(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, n)
		b.seal(t)
		for _, tenant := range []string{"acme", audit.MainTenant} {
			got := b.events(t, audit.Query{Tenant: tenant})
			require.Len(t, got, 1, tenant)
			require.Empty(t, got[0].Actor.ID, "nobody knows who did it")
		}
		c, err := b.log.Coverage(acme, b.DB.DB, &visit{})
		require.NoError(t, err)
		require.Equal(t, 2, c.Outside, "those of the tenant and those of no tenant")
		c, err = b.log.Coverage(b.ctx, b.DB.DB, &visit{})
		require.NoError(t, err)
		require.Equal(t, 1, c.Outside)
	})
}
