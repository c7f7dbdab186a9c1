package privacy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Player may not share a phone with anybody, nor an e-mail address with somebody of the same club.
type Player struct {
	ID         string         `gorm:"primaryKey;size:36" privacy:"subject=player"`
	Club       string         `gorm:"size:36;uniqueIndex:club_email"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"uniqueIndex" privacy:"of=Phone,norm=phone"`
	Email      privacy.String `privacy:"mask=email"`
	EmailIndex privacy.Index  `gorm:"uniqueIndex:club_email" privacy:"of=Email,norm=email"`
}

func player(id, club, phone, email string) *Player {
	return &Player{ID: id, Club: club, Phone: privacy.New(phone), Email: privacy.New(email)}
}

func newClub(t *testing.T, db testdb.DB, kek *countingKEK, c *clock) *house {
	h := openAt(t, db, kek, c)
	require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Player{}))
	return h
}

// promoteIndex brings an index key as far as its promotion, and no row of players under it: table customers
// comes first, and is empty.
func promoteIndex(t *testing.T, h *house, c *clock) {
	t.Helper()
	h.rotate(t, privacy.IndexKey)
	c.pass(wait)
	ctx, cancel := context.WithCancel(h.ctx)
	_, err := h.vault.Rotate(ctx, h.db.DB, privacy.IndexKey, privacy.RotateOptions{Progress: func(privacy.Rotation) { cancel() }})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, []string{"former", "primary"}, h.states(t, privacy.IndexKey))
}

func TestUniqueAcrossIndexKeys(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c := newClock()
		h := newClub(t, db, newKEK(t), c)
		for _, m := range []*Player{player("1", "A", "13800000001", "a@example.com"), player("2", "A", "13800000002", "b@example.com"), player("3", "B", "13800000003", "a@example.com")} {
			require.NoError(t, h.gorm().Create(m).Error)
		}
		old := h.stored(t, "players", "phone_index", "2")
		promoteIndex(t, h, c)
		require.Equal(t, old, h.stored(t, "players", "phone_index", "2"))

		var two Player
		require.NoError(t, h.gorm().First(&two, "id = ?", "2").Error)
		taken := privacy.New("+86 138 0000 0001")
		for name, write := range map[string]func(*gorm.DB) error{
			"create": func(db *gorm.DB) error { return db.Create(player("9", "C", "13800000001", "c@example.com")).Error },
			"batch": func(db *gorm.DB) error {
				return db.Create([]*Player{player("8", "C", "13800000008", "8@example.com"), player("9", "C", "13800000001", "c@example.com")}).Error
			},
			"other columns": func(db *gorm.DB) error { return db.Create(player("9", "A", "13800000009", "A@EXAMPLE.COM")).Error },
			"create from map": func(db *gorm.DB) error {
				return db.Model(&Player{}).Create(map[string]any{"id": "9", "club": "C", "phone": taken}).Error
			},
			"update":           func(db *gorm.DB) error { return db.Model(&Player{ID: "2"}).Updates(Player{Phone: taken}).Error },
			"update of column": func(db *gorm.DB) error { return db.Model(&Player{ID: "2"}).Update("phone", taken).Error },
			"update from map": func(db *gorm.DB) error {
				return db.Model(&Player{}).Where("id = ?", "2").Updates(map[string]any{"phone": taken}).Error
			},
			"upsert by the id": func(db *gorm.DB) error {
				return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(player("2", "A", "13800000001", "b@example.com")).Error
			},
			"upsert of nothing": func(db *gorm.DB) error {
				return db.Clauses(clause.OnConflict{DoNothing: true}).Create(player("9", "C", "13800000001", "c@example.com")).Error
			},
			"without GORM's transaction": func(db *gorm.DB) error {
				return db.Session(&gorm.Session{SkipDefaultTransaction: true}).Create(player("9", "C", "13800000001", "c@example.com")).Error
			},
		} {
			err := write(h.gorm())
			require.ErrorIs(t, err, gorm.ErrDuplicatedKey, name)
			require.ErrorContains(t, err, "of another row is the same", name)
			require.NotContains(t, err.Error(), "138", name)
		}
		var n int64
		require.NoError(t, h.gorm().Model(&Player{}).Count(&n).Error)
		require.EqualValues(t, 3, n, "nothing stays of a refused write")
		require.Equal(t, old, h.stored(t, "players", "phone_index", "2"))

		require.NoError(t, h.gorm().Create(player("4", "C", "13800000004", "a@example.com")).Error, "the same address in another club")
		two.Phone = privacy.New("138-0000-0002")
		require.NoError(t, h.gorm().Save(&two).Error, "a row is no twin of itself")
		require.NotEqual(t, old, h.stored(t, "players", "phone_index", "2"))
		require.Error(t, h.gorm().Create(player("9", "C", "13800000002", "c@example.com")).Error, "under the new key the database sees it")

		require.Equal(t, privacy.Done, h.rotate(t, privacy.IndexKey).Phase)
		require.Error(t, h.gorm().Create(player("9", "C", "13800000001", "c@example.com")).Error)
		c.pass(wait)
		_, err := h.retire(privacy.IndexKey)
		require.NoError(t, err)
	})
}

// From before the announcement to behind the retirement two processes write the same values, and no value
// is ever there twice.
func TestUniqueAgainstWritersDuringRotation(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c, kek := newClock(), newKEK(t)
		houses := []*house{newClub(t, db, kek, c), newClub(t, db.Reopen(t), kek, c)}
		const people = 6
		phone := func(i int) string { return fmt.Sprintf("1380000%04d", i) }
		for i := range people {
			require.NoError(t, houses[0].gorm().Create(player(fmt.Sprint(i), "A", phone(i), fmt.Sprint(i, "@example.com"))).Error)
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		odd := make([]error, 4)
		for w := range odd {
			wg.Go(func() {
				h := houses[w%2]
				for i := range 120 {
					select {
					case <-stop:
						return
					default:
					}
					// Half of the phones are new, and every writer wants the same ones.
					m := player(fmt.Sprintf("w%d-%d", w, i), "B", phone(i%40), fmt.Sprintf("w%d-%d@example.com", w, i))
					err := h.gorm().Create(m).Error
					if err != nil && !expected(err) {
						odd[w] = err
						return
					}
				}
			})
		}
		h := houses[0]
		for range 3 {
			h.rotate(t, privacy.IndexKey)
			c.pass(wait)
			for range 2 {
				_, err := h.vault.Rotate(h.ctx, h.db.DB, privacy.IndexKey, privacy.RotateOptions{Batch: 2})
				require.NoError(t, err)
			}
		}
		close(stop)
		wg.Wait()
		require.NoError(t, errors.Join(odd...))
		h.rotate(t, privacy.IndexKey)
		c.pass(wait)
		_, err := h.retire(privacy.IndexKey)
		require.NoError(t, err)
		var all []Player
		require.NoError(t, h.gorm().Find(&all).Error)
		seen := map[string]string{}
		for _, m := range all {
			p := reveal(t, m.Phone)
			require.Empty(t, seen[p], "%s has the phone of another player", m.ID)
			seen[p] = m.ID
		}
		findings, err := h.vault.Doctor(h.ctx, db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
	})
}

// expected reports whether a writer may meet with this error: another row has the value, or the database
// broke a dead-lock.
func expected(err error) bool {
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return true
	}
	for _, s := range []string{"UNIQUE constraint", "23505", "1062", "1213", "40P01", "40001"} {
		if strings.Contains(err.Error(), s) {
			return true
		}
	}
	return false
}
