package audit_test

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

func TestOneCustomersLife(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		tx := b.WithContext(b.ctx)
		require.NoError(t, tx.Create(&customer{ID: "1", Name: "n", Phone: "p"}).Error)
		require.NoError(t, tx.Model(&customer{ID: "1"}).Update("phone", "q").Error)
		require.NoError(t, b.log.Record(b.ctx, "customer.reveal", slog.String("resource", "customer"), slog.String("row", "1"),
			slog.Any("fields", []string{"phone"}), slog.String("purpose", "call back"), slog.Int("ticket", 7)))
		require.NoError(t, tx.Delete(&customer{}, "id = ?", "1").Error)
		require.Equal(t, 4, b.seal(t))

		events := b.events(t, audit.Query{Resource: "customer", Row: "1", OldestFirst: true})
		require.Equal(t, []string{"customer.create", "customer.update", "customer.reveal", "customer.delete"}, actions(events))
		require.Equal(t, []audit.Row{{ID: "1", Rev: 1}}, events[0].Rows)
		require.Equal(t, []string{"phone"}, events[1].Fields)
		require.Equal(t, []audit.Row{{ID: "1", Rev: 2}}, events[1].Rows)
		require.Equal(t, []audit.Row{{ID: "1"}}, events[2].Rows)
		require.Equal(t, "call back", events[2].Purpose)
		require.Equal(t, []slog.Attr{slog.Int("ticket", 7)}, events[2].Attrs)
		require.Equal(t, []slog.Attr{slog.Bool("soft", true)}, events[3].Attrs)
		require.Equal(t, []string{"deleted_at"}, events[3].Fields)
		require.Equal(t, "u3", events[3].Actor.ID)
		require.Equal(t, "10.0.0.7", events[3].Actor.IP)

		r := b.verify(t)
		require.True(t, r.OK, "%s", r)
		require.True(t, r.Anchored)
		require.EqualValues(t, 4, r.Size)
	})
}

func TestAnEventLivesAndDiesWithItsTransaction(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		boom := errors.New("changed my mind")
		err := b.WithContext(b.ctx).Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&customer{ID: "1"}).Error)
			require.NoError(t, b.log.Record(audit.WithTx(b.ctx, tx), "customer.hide"))
			require.NoError(t, b.log.RecordApart(audit.WithTx(b.ctx, tx), "customer.denied", slog.String("result", "denied")))
			return boom
		})
		require.ErrorIs(t, err, boom)
		require.Equal(t, 1, b.seal(t))
		require.Equal(t, []string{"customer.denied"}, actions(b.events(t, audit.Query{})))

		require.NoError(t, b.WithContext(b.ctx).Transaction(func(tx *gorm.DB) error {
			require.NoError(t, tx.Create(&customer{ID: "1"}).Error)
			return b.log.Record(audit.WithTx(b.ctx, tx), "customer.hide")
		}))
		require.Equal(t, 2, b.seal(t))
		require.Equal(t, []string{"customer.hide", "customer.create", "customer.denied"}, actions(b.events(t, audit.Query{})))
		require.True(t, b.verify(t).OK)
	})
}
