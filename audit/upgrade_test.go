package audit_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

// age takes from the tables what the first release did not have.
func (b *bench) age(t *testing.T) {
	b.exec(t, "DROP TABLE confide_audit_indexed")
	b.exec(t, "DELETE FROM confide_audit_rows WHERE resource LIKE '#%'")
	for index, table := range map[string]string{
		"confide_audit_pending_event": "confide_audit_pending", "confide_audit_entries_resource": "confide_audit_entries",
		"confide_audit_entries_result": "confide_audit_entries",
	} {
		on := ""
		if b.Engine == testdb.MySQL {
			on = " ON " + table
		}
		b.exec(t, "DROP INDEX "+index+on)
	}
}

// Tables of the first release, with entries in them, are brought up to date when
// the store is opened: old events are found by what only new releases index.
func TestOldTablesAreBroughtUpToDate(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, dataTyped)
		b.fill(t)
		require.NoError(t, b.log.RecordApart(b.ctx, "waits"))
		require.NoError(t, b.log.Flush(b.ctx))
		b.age(t)
		require.False(t, b.verify(t).OK, "the old tables lack the index")
		require.Empty(t, b.events(t, audit.Query{Channel: "web"}))

		for range 2 { // the second time there is nothing to do
			store, err := gormstore.Open(b.ctx, db.DB)
			require.NoError(t, err)
			b.cfg.Store = store
			b.log = b.restart(t)
			require.True(t, b.verify(t).OK, "%s", b.verify(t))
		}
		require.Equal(t, 84, len(b.events(t, audit.Query{Channel: "web"})))
		require.NotEmpty(t, b.events(t, audit.Query{Tenant: "acme", Subject: "customer:3", DataType: "contact"}))
		require.EqualValues(t, 501, audittest.CheckLog(t, b.log).Size)
	})
}
