package privacy_test

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// What is stored of values of 0 to 63 bytes is equally long, and so on.
func TestStoredLengthsOfPaddedValues(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := peopleHouse(t, db)
		for _, n := range []int{0, 1, 62, 63, 64, 127, 128, 1000} {
			id := fmt.Sprint(n)
			text := strings.Repeat("x", n)
			if n > 1 {
				text = "\x80\x00" + text[:n-4] + "\x80\x00" // what looks like padding is none
			}
			require.NoError(t, h.gorm().Create(&Person{ID: id, Note: privacy.New(text)}).Error)
			box := h.stored(t, "people", "note", id)
			require.Len(t, box, 36+(n/64+1)*64, "a value of %d bytes", n)
			require.EqualValues(t, 2, box[2])
			var p Person
			require.NoError(t, h.gorm().First(&p, "id = ?", id).Error)
			require.Equal(t, text, reveal(t, p.Note))
			require.NoError(t, h.gorm().Save(&p).Error)
			require.Equal(t, box, h.stored(t, "people", "note", id), "an unchanged value keeps its ciphertext")
		}
		findings, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
	})
}

// padless and padded are the same table before and after pad= was declared.
type padless struct {
	ID   string         `gorm:"primaryKey;size:36" privacy:"subject=person"`
	Note privacy.String `privacy:"name=padded.note"`
}

func (padless) TableName() string { return "padded" }

type padded struct {
	ID   string         `gorm:"primaryKey;size:36" privacy:"subject=person"`
	Note privacy.String `privacy:"name=padded.note,pad=32"`
}

func (padded) TableName() string { return "padded" }

func TestPaddingDeclaredLater(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &padless{}))
		require.NoError(t, h.gorm().Create(&padless{ID: "1", Note: privacy.New("Ana")}).Error)
		require.Len(t, h.stored(t, "padded", "note", "1"), 36+3)

		later := openHouse(t, db.Reopen(t), h.kek, nil)
		require.NoError(t, later.vault.Migrate(h.ctx, later.db.DB, &padded{}))
		var p padded
		require.NoError(t, later.gorm().First(&p).Error)
		require.Equal(t, "Ana", reveal(t, p.Note))
		findings, err := later.vault.Doctor(later.ctx, later.db.DB)
		require.NoError(t, err)
		require.Len(t, findings, 1)
		require.Contains(t, findings[0].String(), "unpadded: padded.note of row 1")
		require.NoError(t, later.gorm().Save(&p).Error)
		require.Len(t, later.stored(t, "padded", "note", "1"), 36+32)
		var old padless
		require.NoError(t, h.gorm().First(&old).Error)
		require.Equal(t, "Ana", reveal(t, old.Note))
	})
}

// A cell cannot be passed off as one of the other version: that would show padding as text, or cut a value.
func TestVersionOfACellIsBound(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := peopleHouse(t, db)
		require.NoError(t, h.gorm().Create(&Person{ID: "1", Note: privacy.New("Ana"), Score: privacy.NewInt(1)}).Error)
		pool, err := h.db.DB.DB()
		require.NoError(t, err)
		for _, column := range []string{"note", "score"} {
			box := h.stored(t, "people", column, "1")
			box[2] = 3 - box[2]
			require.NoError(t, putBytes(h, pool, column, box))
		}
		var p Person
		require.NoError(t, h.gorm().First(&p).Error)
		_, err = p.Note.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnreadable)
		_, err = p.Score.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnreadable)
		box := h.stored(t, "people", "note", "1")
		box[2] = 3
		require.NoError(t, putBytes(h, pool, "note", box))
		require.NoError(t, h.gorm().First(&p).Error)
		_, err = p.Note.Reveal(h.ctx, "test")
		require.ErrorContains(t, err, "format version 3")
	})
}

func TestPaddingThatIsNoneIsRefused(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	type tooSmall struct {
		ID string         `gorm:"primaryKey"`
		A  privacy.String `privacy:"pad=7"`
	}
	type tooLarge struct {
		ID string         `gorm:"primaryKey"`
		A  privacy.String `privacy:"pad=4097"`
	}
	type noNumber struct {
		ID string         `gorm:"primaryKey"`
		A  privacy.String `privacy:"pad"`
	}
	for _, model := range []any{&tooSmall{}, &tooLarge{}, &noNumber{}} {
		err := h.vault.Migrate(h.ctx, h.db.DB, model)
		require.ErrorIs(t, err, privacy.ErrRefused)
		require.ErrorContains(t, err, "from 8 to 4096")
	}
}

func putBytes(h *house, pool *sql.DB, column string, b []byte) error {
	mark := "?"
	if h.db.Engine == testdb.Postgres {
		mark = "$1"
	}
	_, err := pool.Exec("UPDATE people SET "+column+" = "+mark+" WHERE id = '1'", b)
	return err
}
