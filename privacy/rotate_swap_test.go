package privacy_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// meddler is a key store between whose answer and the job's write somebody else writes.
type meddler struct {
	privacy.KeyRotator
	write func()
}

func (m *meddler) Load(ctx context.Context, db *gorm.DB, names []privacy.KeyName, hold bool) ([]privacy.StoredKey, error) {
	keys, err := m.KeyRotator.Load(ctx, db, names, hold)
	_, inTx := db.Statement.ConnPool.(gorm.TxCommitter)
	if m.write != nil && !hold && !inTx && slices.ContainsFunc(names, func(n privacy.KeyName) bool { return n.Subject == "customer:1" }) {
		m.write()
	}
	return keys, err
}

// A job that has read a row and finds another value in it when it writes leaves that value alone.
func TestRotationNeverWritesOverALaterValue(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek, c := newKEK(t), newClock()
		store := &meddler{KeyRotator: privacy.TableKeys().(privacy.KeyRotator)}
		other := openAt(t, db.Reopen(t), kek, c) // makes the tables
		job := openHouse(t, db, kek, func(cfg *privacy.Config) { cfg.Now, cfg.Keys = c.Now, store })
		fill(t, job, 3)
		written := 0
		store.write = func() {
			written++
			require.NoError(t, other.gorm().Model(&Customer{ID: "1"}).Updates(Customer{
				Name: privacy.New(fmt.Sprint("Later ", written)), Phone: privacy.New(fmt.Sprintf("1390013%04d", written)),
			}).Error)
		}
		for _, kind := range []privacy.KeyKind{privacy.SubjectKeys, privacy.IndexKey} {
			before := written
			opt := privacy.RotateOptions{}
			_, err := job.vault.Rotate(job.ctx, job.db.DB, kind, opt)
			require.NoError(t, err)
			c.pass(wait)
			r, err := job.vault.Rotate(job.ctx, job.db.DB, kind, opt)
			require.NoError(t, err)
			require.Greater(t, written, before, "%s: nobody wrote in between", kind)
			require.Empty(t, r.Failed)
			var got Customer
			require.NoError(t, other.gorm().First(&got, "id = ?", "1").Error)
			require.Equal(t, fmt.Sprint("Later ", written), reveal(t, got.Name), "%s", kind)
			require.Equal(t, fmt.Sprintf("1390013%04d", written), reveal(t, got.Phone), "%s", kind)
			found, err := other.find(fmt.Sprintf("1390013%04d", written))
			require.NoError(t, err)
			require.Equal(t, "1", found.ID)
		}
		store.write = nil
		findings, err := other.vault.Doctor(other.ctx, other.db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
	})
}
