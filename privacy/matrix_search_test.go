package privacy_test

import (
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/privacy"
)

// partPaths search for parts of values, on a model with an index of every kind.
func partPaths() []path {
	const g = "Search for parts"
	works := func(want string, q func(db *gorm.DB) *gorm.DB) func(m *maze) error {
		return func(m *maze) error {
			m.patients()
			m.equal(want, m.ids(m.t, q(m.gorm())))
			return nil
		}
	}
	refused := func(q func(db *gorm.DB) *gorm.DB) func(m *maze) error {
		return func(m *maze) error {
			m.patients()
			return q(m.gorm()).Find(&[]Patient{}).Error
		}
	}
	write := func(f func(db *gorm.DB) error) func(m *maze) error {
		return func(m *maze) error {
			m.patients()
			return f(m.gorm())
		}
	}
	both, ana := privacy.Match("canarino"), privacy.Match("luis goncalves")
	return []path{
		{g, "Where(struct) with EndsWith", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Where(&Patient{Phone: privacy.EndsWith("5555")}) })},
		{g, "Where(map) with StartsWith", "", works("2", func(db *gorm.DB) *gorm.DB {
			return db.Where(map[string]any{"phone": privacy.StartsWith("13800138")})
		})},
		{g, "Where(col = ?) with AtDomain", "", works("2", func(db *gorm.DB) *gorm.DB { return db.Where("email = ?", privacy.AtDomain("SURFEU.de")) })},
		{g, "Where(col = ?) with Match", "", works("12", func(db *gorm.DB) *gorm.DB { return db.Where("name = ?", both) })},
		{g, "Where(col <> ?) with Match", "", works("2", func(db *gorm.DB) *gorm.DB { return db.Where("name <> ?", ana) })},
		{g, "Where(col IN ?), mixed", "", works("12", func(db *gorm.DB) *gorm.DB {
			return db.Where("name IN ?", []privacy.String{ana, privacy.StartsWith("Canarino K")})
		})},
		{g, "Not(struct)", "", works("2", func(db *gorm.DB) *gorm.DB { return db.Not(&Patient{Name: ana}) })},
		{g, "Or, nested", "", works("12", func(db *gorm.DB) *gorm.DB {
			return db.Where("(name = ? AND owner = ?) OR (phone = ?)", ana, "o1", privacy.EndsWith("13800138000"))
		})},
		{g, "truncated index", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Where("email = ?", privacy.New(anaEmail)) })},
		{g, "truncated index, Limit and Offset", "", works("2", func(db *gorm.DB) *gorm.DB {
			return db.Where("email IN ?", []privacy.String{privacy.New(anaEmail), privacy.New(bobEmail)}).Limit(1).Offset(1)
		})},
		{g, "Count", "", func(m *maze) error {
			m.patients()
			var n int64
			err := m.gorm().Model(&Patient{}).Where("name = ?", both).Count(&n).Error
			m.equal(int64(2), n)
			return err
		}},
		{g, "Subquery", "", works("1", func(db *gorm.DB) *gorm.DB {
			return db.Where("id IN (?)", db.Session(&gorm.Session{NewDB: true}).Model(&Patient{}).Select("id").Where("name = ?", ana))
		})},
		{g, "Table alias", "", works("1", func(db *gorm.DB) *gorm.DB { return db.Table("patients AS p").Where("p.name = ?", ana) })},
		{g, "gorm.G", "", func(m *maze) error {
			m.patients()
			list, err := gorm.G[Patient](m.db.DB).Where("name = ?", ana).Find(m.ctx)
			m.equal(1, len(list))
			return err
		}},
		{g, "Update where", "", func(m *maze) error {
			m.patients()
			res := m.gorm().Model(&Patient{}).Where("name = ?", ana).Update("name", privacy.New(newName))
			m.equal(int64(1), res.RowsAffected)
			m.equal("1", m.ids(m.t, m.gorm().Where("name = ?", privacy.Match("nuevo"))))
			return res.Error
		}},
		{g, "Delete where", "", func(m *maze) error {
			m.patients()
			res := m.gorm().Unscoped().Where("name = ?", ana).Delete(&Patient{})
			m.equal(int64(1), res.RowsAffected)
			return res.Error
		}},
		{g, "soft delete where", "", func(m *maze) error {
			m.patients()
			require.NoError(m.t, m.gorm().Where("email = ?", privacy.New(anaEmail)).Delete(&Patient{}).Error)
			m.equal("2", m.ids(m.t, m.gorm().Where("name = ?", both)))
			m.equal("12", m.ids(m.t, m.gorm().Unscoped().Where("name = ?", both)))
			return nil
		}},
		{g, "Upsert keeps the tokens of rows it leaves alone", "", func(m *maze) error {
			m.patients()
			err := m.gorm().Clauses(clause.OnConflict{DoNothing: true}).Create(patient("1", newName, newPhone, newEmail)).Error
			m.equal("1", m.ids(m.t, m.gorm().Where("name = ?", ana)))
			return err
		}},
		{g, "needle shorter than the index", "less than the 4 characters", refused(func(db *gorm.DB) *gorm.DB { return db.Where("phone = ?", privacy.EndsWith("555")) })},
		{g, "a single letter", "single letter", refused(func(db *gorm.DB) *gorm.DB { return db.Where("name = ?", privacy.Match("c")) })},
		{g, "no such index", "no index that EndsWith", refused(func(db *gorm.DB) *gorm.DB { return db.Where("name = ?", privacy.EndsWith("lves")) })},
		{g, "no search tokens", "no search tokens", refused(func(db *gorm.DB) *gorm.DB { return db.Where("phone = ?", both) })},
		{g, "Order by a searched field", "order of sealed", refused(func(db *gorm.DB) *gorm.DB { return db.Where("name = ?", both).Order("name") })},
		{g, "Create with a value that searches", "only searches", write(func(db *gorm.DB) error { return db.Create(&Patient{ID: "9", Name: both}).Error })},
		{g, "Update with a value that searches", "only searches", write(func(db *gorm.DB) error { return db.Model(&Patient{ID: "1"}).Update("name", both).Error })},
		{g, "FirstOrCreate by a value that searches, not found", "only searches", write(func(db *gorm.DB) error {
			return db.Where(&Patient{Name: privacy.Match("nobody")}).FirstOrCreate(&Patient{ID: "9"}).Error
		})},
	}
}

func (m *maze) patients() {
	require.NoError(m.t, m.gorm().Create([]*Patient{patient("1", anaName, anaPhone, anaEmail), patient("2", bobName, bobPhone, bobEmail)}).Error)
}
