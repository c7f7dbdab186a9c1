package privacy_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Loan has truncated indexes only, of a person who is not the row.
type Loan struct {
	ID      string         `gorm:"primaryKey;size:36"`
	Person  string         `gorm:"size:36" privacy:"subject=borrower"`
	Code    privacy.String `privacy:"pad=32"`
	Note    privacy.String
	CodeAt  privacy.Index `gorm:"index" privacy:"of=Code,norm=exact,bits=1"`
	CodeSum privacy.Index `gorm:"index" privacy:"of=Code+Note,norm=exact+text,bits=3"`
}

// An upsert does not put a person's ciphertext, or a cell of a truncated index, into a row of somebody else.
func TestUpsertOfTruncatedIndexes(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := openHouse(t, db, newKEK(t), nil)
		require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Loan{}))
		loan := func(person, code string) *Loan {
			return &Loan{ID: "1", Person: person, Code: privacy.New(code), Note: privacy.New("n")}
		}
		require.NoError(t, h.gorm().Create(loan("a", "one")).Error)
		cell, sum := h.stored(t, "loans", "code_at", "1"), h.stored(t, "loans", "code_sum", "1")
		some := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"code", "note"})}
		for _, on := range []clause.OnConflict{some, {UpdateAll: true}} {
			for _, code := range []string{"two", "three", "four"} { // one of them has another bit
				err := h.gorm().Clauses(on).Create(loan("b", code)).Error
				require.Error(t, err)
				require.Equal(t, cell, h.stored(t, "loans", "code_at", "1"))
				require.Equal(t, sum, h.stored(t, "loans", "code_sum", "1"))
			}
			require.NoError(t, h.gorm().Clauses(on).Create(loan("a", "two")).Error)
			var list []Loan
			require.NoError(t, h.gorm().Where("code = ? AND note = ?", privacy.New("two"), privacy.New("N")).Find(&list).Error)
			require.Len(t, list, 1)
			require.NoError(t, h.gorm().Clauses(on).Create(loan("a", "one")).Error)
		}
		h.healthy(t)
	})
}
