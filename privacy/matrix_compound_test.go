package privacy_test

import (
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/privacy"
)

// compoundPaths search and write fields that are indexed together.
func compoundPaths() []path {
	const g = "Compound indexes"
	name, born := privacy.New(anaName), day(1)
	works := func(want string, q func(db *gorm.DB) *gorm.DB) func(m *maze) error {
		return func(m *maze) error {
			m.pupils()
			m.equal(want, m.house.pupils(m.t, q(m.gorm())))
			return nil
		}
	}
	refused := func(q func(db *gorm.DB) *gorm.DB) func(m *maze) error {
		return func(m *maze) error {
			m.pupils()
			return q(m.gorm()).Find(&[]Pupil{}).Error
		}
	}
	// after says who is found as newName, born in month, after a write.
	after := func(month int, f func(db *gorm.DB) error) func(m *maze) error {
		return func(m *maze) error {
			m.pupils()
			err := f(m.gorm())
			m.equal("1", m.by(m.t, newName, month))
			m.healthy(m.t)
			return err
		}
	}
	return []path{
		{g, "Where(struct)", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Where(&Pupil{Name: name, Born: born}) })},
		{g, "Where(map)", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Where(map[string]any{"name": name, "born": born}) })},
		{g, "Where(a = ? AND b = ?)", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Where("name = ? AND owner = ? AND born = ?", name, "o1", born) })},
		{g, "Where, twice", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Where("name = ?", name).Where(&Pupil{Born: born}) })},
		{g, "truncated", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Where(&Pupil{Name: name, Code: privacy.New("101")}) })},
		{g, "Table alias", "", works("1", func(db *gorm.DB) *gorm.DB {
			return db.Table("pupils AS p").Where("p.name = ? AND p.born = ?", name, born)
		})},
		{g, "Subquery", "", works("1", func(db *gorm.DB) *gorm.DB {
			return db.Where("id IN (?)", db.Session(&gorm.Session{NewDB: true}).Model(&Pupil{}).Select("id").Where(&Pupil{Name: name, Born: born}))
		})},
		{g, "FirstOrCreate, found", "", func(m *maze) error {
			m.pupils()
			var p Pupil
			err := m.gorm().Where(&Pupil{Name: name, Born: born}).FirstOrCreate(&p).Error
			m.equal("1", p.ID)
			return err
		}},
		{g, "Update of one part", "", after(1, func(db *gorm.DB) error { return db.Model(&Pupil{ID: "1"}).Update("name", privacy.New(newName)).Error })},
		{g, "Updates(struct) of both", "", after(7, func(db *gorm.DB) error {
			return db.Model(&Pupil{ID: "1"}).Updates(&Pupil{Name: privacy.New(newName), Born: day(7)}).Error
		})},
		{g, "Updates(map) of one part, by the index", "", after(1, func(db *gorm.DB) error {
			return db.Model(&Pupil{}).Where("name = ? AND born = ?", name, born).Updates(map[string]any{"name": privacy.New(newName)}).Error
		})},
		{g, "UpdateColumn of one part", "", after(1, func(db *gorm.DB) error {
			return db.Model(&Pupil{ID: "1"}).UpdateColumn("name", privacy.New(newName)).Error
		})},
		{g, "Save of a row read in part", "", after(1, func(db *gorm.DB) error {
			var p Pupil
			if err := db.Select("id", "name").First(&p, "id = ?", "1").Error; err != nil {
				return err
			}
			p.Name = privacy.New(newName)
			return db.Session(&gorm.Session{NewDB: true, Context: db.Statement.Context}).Save(&p).Error
		})},
		{g, "Upsert of all parts", "", after(7, func(db *gorm.DB) error {
			return db.Clauses(clause.OnConflict{UpdateAll: true}).Create(pupil("1", newName, 7, "101")).Error
		})},
		{g, "Upsert of one part, of a new row", "", func(m *maze) error {
			m.pupils()
			err := m.gorm().Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).Create(pupil("9", newName, 1, "109")).Error
			m.equal("9", m.by(m.t, newName, 1))
			return err
		}},
		{g, "Upsert of one part, of a stored row", "constraint", func(m *maze) error {
			m.pupils()
			return m.gorm().Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).Create(pupil("1", newName, 1, "101")).Error
		}},
		{g, "Delete where", "", func(m *maze) error {
			m.pupils()
			res := m.gorm().Where(&Pupil{Name: name, Born: born}).Delete(&Pupil{})
			m.equal(int64(1), res.RowsAffected)
			return res.Error
		}},
		{g, "one part alone", "indexed together with other fields only", refused(func(db *gorm.DB) *gorm.DB { return db.Where("name = ?", name) })},
		{g, "one part or the other", "indexed together with other fields only", refused(func(db *gorm.DB) *gorm.DB { return db.Where("name = ? OR born = ?", name, born) })},
		{g, "Not(struct)", "indexed together with other fields only", refused(func(db *gorm.DB) *gorm.DB { return db.Not(&Pupil{Name: name, Born: born}) })},
		{g, "one part of each of two rows", "indexed together with other fields only", refused(func(db *gorm.DB) *gorm.DB {
			return db.Table("pupils AS p").Joins("JOIN pupils AS o ON o.id = p.id").Where("p.name = ? AND o.born = ?", name, born)
		})},
		{g, "Update of the index column", "set by hand", func(m *maze) error {
			m.pupils()
			return m.gorm().Model(&Pupil{ID: "1"}).Update("name_born", privacy.Index("x")).Error
		}},
	}
}

func (m *maze) pupils() {
	require.NoError(m.t, m.gorm().Create([]*Pupil{pupil("1", anaName, 1, "101"), pupil("2", bobName, 1, "102"), pupil("3", anaName, 2, "103")}).Error)
}
