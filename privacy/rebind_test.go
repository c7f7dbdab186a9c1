package privacy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Client is Customer under another name, without the old logical names.
type Client struct {
	ID          string         `gorm:"primaryKey;size:36" privacy:"subject=client"`
	Owner       string         `gorm:"size:36"`
	Name        privacy.String `privacy:"mask=name"`
	Mobile      privacy.String `gorm:"column:phone" privacy:"mask=phone"`
	MobileIndex privacy.Index  `gorm:"column:phone_index" privacy:"of=Mobile,norm=phone"`
	Email       privacy.String `privacy:"mask=email"`
	EmailIndex  privacy.Index  `privacy:"of=Email,norm=email"`
}

func (Client) TableName() string { return "customers" }

// A renamed type, a renamed field and another kind of person are bound anew, also after a stop in the middle.
func TestRebind(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		h := openHouse(t, db, kek, nil)
		fill(t, h, 5)
		_, err := h.vault.Erase(h.ctx, db.DB, "customer:4")
		require.NoError(t, err)

		again := db.Reopen(t)
		v, err := privacy.Open(t.Context(), privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard, Region: "CN"})
		require.NoError(t, err)
		require.NoError(t, again.Use(v))
		require.NoError(t, v.Register(t.Context(), again.DB, &Client{}))
		find := func() (c Client, err error) {
			err = again.DB.WithContext(t.Context()).Where(&Client{Mobile: privacy.New("13800130001")}).First(&c).Error
			return c, err
		}
		_, err = find()
		require.Error(t, err, "indexes hold the logical name")

		b := privacy.Rebinding{
			Model: &Client{},
			Names: map[string]string{"client.name": "customer.name", "client.phone": "customer.phone", "client.email": "customer.email"},
			Was: func(row, subject string) (string, string) {
				return row, "customer:" + strings.TrimPrefix(subject, "client:")
			},
		}
		dry, err := v.Rebind(t.Context(), again.DB, b, privacy.RotateOptions{DryRun: true})
		require.NoError(t, err)
		require.EqualValues(t, 4*3, dry.Left)
		ctx, cancel := context.WithCancel(t.Context())
		_, err = v.Rebind(ctx, again.DB, b, privacy.RotateOptions{Batch: 2, Progress: func(privacy.Rotation) { cancel() }})
		require.ErrorIs(t, err, context.Canceled)
		r, err := v.Rebind(t.Context(), again.DB, b, privacy.RotateOptions{Batch: 2})
		require.NoError(t, err)
		require.Equal(t, privacy.Done, r.Phase)
		require.EqualValues(t, 2*3, r.Changed, "the first two rows were done")
		c, err := find()
		require.NoError(t, err)
		require.Equal(t, "Name 1", reveal(t, c.Name))
		require.Equal(t, "1@example.com", reveal(t, c.Email))

		_, err = v.Rebind(t.Context(), again.DB, privacy.Rebinding{Model: &Client{}, Names: map[string]string{"client.fax": "x.y"}}, privacy.RotateOptions{})
		require.ErrorIs(t, err, privacy.ErrRefused)
		// Without the right place of before nothing opens, and nothing is changed.
		h2 := h.stored(t, "customers", "phone", "4")
		wrong, err := v.Rebind(t.Context(), again.DB, privacy.Rebinding{Model: &Client{}}, privacy.RotateOptions{})
		require.NoError(t, err)
		require.Zero(t, wrong.Changed)
		require.Equal(t, h2, h.stored(t, "customers", "phone", "4"))
	})
}
