package privacy_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Call is numbered by the database, so its note cannot be bound to the row.
type Call struct {
	ID         uint           `gorm:"primaryKey" privacy:"bind=column"`
	CustomerID string         `gorm:"size:36" privacy:"subject=customer"`
	Note       privacy.String `privacy:"mask=text"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
}

func call(person, note, phone string) *Call {
	return &Call{CustomerID: person, Note: privacy.New(note), Phone: privacy.New(phone)}
}

// With bind=column a row may be numbered by the database, on every path that writes one.
func TestBindColumn(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &Call{}))
		one := call("1", "angry", "13800138000")
		require.NoError(t, h.gorm().Create(one).Error)
		batch := []*Call{call("1", "calm", "2"), call("2", "calm", "3")}
		require.NoError(t, h.gorm().Create(batch).Error)
		byMap := map[string]any{"CustomerID": "2", "Note": privacy.New("by map")}
		require.NoError(t, h.gorm().Model(&Call{}).Create(byMap).Error)
		require.NotZero(t, one.ID)

		// The gate is asked about the row that the database numbered, also before it is read again.
		h.gate.asked = nil
		require.Equal(t, "angry", reveal(t, one.Note))
		require.Equal(t, []string{"call 1 note"}, h.gate.asked)

		var found Call
		require.NoError(t, h.gorm().Where("phone = ?", privacy.New("+86 138 0013 8000")).First(&found).Error)
		require.Equal(t, one.ID, found.ID)
		before := h.stored(t, "calls", "note", "1")
		require.NoError(t, h.gorm().Save(&found).Error)
		require.Equal(t, before, h.stored(t, "calls", "note", "1"), "an unchanged value keeps its ciphertext")
		require.NoError(t, h.gorm().Model(&Call{}).Where("id = ?", one.ID).Update("note", privacy.New("sorry")).Error)
		require.NoError(t, h.gorm().Clauses(clause.OnConflict{UpdateAll: true}).Create(&Call{ID: batch[0].ID, CustomerID: "1", Note: privacy.New("upsert"), Phone: privacy.Null()}).Error)
		require.Error(t, h.gorm().Clauses(clause.OnConflict{UpdateAll: true}).Create(&Call{ID: batch[0].ID, CustomerID: "2", Note: privacy.New("theft"), Phone: privacy.Null()}).Error,
			"an upsert on another person's row")

		want := []string{"sorry", "upsert", "calm", "by map"}
		var all []Call
		require.NoError(t, h.gorm().Order("id").Find(&all).Error)
		require.Len(t, all, len(want))
		for i, c := range all {
			require.Equal(t, want[i], reveal(t, c.Note))
		}
		findings, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
	})
}

// What is given up is the binding to the row and no more: person, field and tenant still hold.
func TestBindColumnStillBindsTheRest(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &Call{}))
	require.NoError(t, h.gorm().Create([]*Call{call("1", "a", "1"), call("1", "b", "2"), call("2", "c", "3")}).Error)
	read := func() (string, error) {
		var c Call
		require.NoError(t, h.gorm().First(&c, 1).Error)
		return c.Note.Reveal(h.ctx, "test")
	}
	h.overwrite(t, "calls", "note", "1", h.stored(t, "calls", "note", "3"))
	_, err := read()
	require.ErrorIs(t, err, privacy.ErrUnreadable, "another person's value")
	h.overwrite(t, "calls", "note", "1", h.stored(t, "calls", "phone", "1"))
	_, err = read()
	require.ErrorIs(t, err, privacy.ErrUnreadable, "another field's value")
	h.overwrite(t, "calls", "note", "1", h.stored(t, "calls", "note", "2"))
	text, err := read()
	require.NoError(t, err, "declared: a value moves between the rows of one person")
	require.Equal(t, "b", text)
	_, err = h.vault.Erase(h.ctx, h.db.DB, "customer:1")
	require.NoError(t, err)
	_, err = read()
	require.ErrorIs(t, err, privacy.ErrErased)
}
