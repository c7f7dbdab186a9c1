package privacy_test

import (
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/privacy"
)

// typePaths walk the types beside String and Value. The values of person hold needles too.
func typePaths() []path {
	const g = "Date, Time, Int, Decimal, Bytes"
	born := privacy.NewDate(1987, time.May, 14)
	return []path{
		{g, "Create", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(person(m.t, "1")).Error)
			m.isPerson("1")
			return nil
		}},
		{g, "Create(map)", "", func(m *maze) error {
			p := person(m.t, "1")
			require.NoError(m.t, m.gorm().Model(&Person{}).Create(map[string]any{"id": "1", "born": p.Born, "salary": p.Salary, "score": p.Score, "seen": p.Seen, "scan": p.Scan}).Error)
			m.isPerson("1")
			return nil
		}},
		{g, "Updates(struct)", "", func(m *maze) error {
			m.blankPerson()
			require.NoError(m.t, m.gorm().Model(&Person{ID: "1"}).Updates(person(m.t, "")).Error)
			m.isPerson("1")
			return nil
		}},
		{g, "Updates(map)", "", func(m *maze) error {
			m.blankPerson()
			p := person(m.t, "1")
			require.NoError(m.t, m.gorm().Model(&Person{}).Where("id = ?", "1").Updates(map[string]any{"Born": p.Born, "salary": p.Salary, "score": p.Score, "seen": &p.Seen, "scan": p.Scan}).Error)
			m.isPerson("1")
			return nil
		}},
		{g, "upsert", "", func(m *maze) error {
			m.blankPerson()
			require.NoError(m.t, m.gorm().Clauses(clause.OnConflict{UpdateAll: true}).Create(person(m.t, "1")).Error)
			m.isPerson("1")
			return nil
		}},
		{g, "gorm.G Create, Where, Update", "", func(m *maze) error {
			p := person(m.t, "1")
			p.Score = privacy.NewInt(1)
			require.NoError(m.t, gorm.G[Person](m.gorm()).Create(m.ctx, p))
			n, err := gorm.G[Person](m.gorm()).Where("born = ?", born).Update(m.ctx, "score", person(m.t, "1").Score)
			require.NoError(m.t, err)
			m.equal(1, n)
			m.isPerson("1")
			return nil
		}},
		{g, "FirstOrCreate by a Date", "", func(m *maze) error {
			for range 2 {
				var p Person
				require.NoError(m.t, m.gorm().Where(&Person{Born: born}).Attrs(person(m.t, "1")).FirstOrCreate(&p).Error)
			}
			m.isPerson("1")
			return nil
		}},
		{g, "Find into a map", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(person(m.t, "1")).Error)
			var rows []map[string]any
			require.NoError(m.t, m.gorm().Model(&Person{}).Where("score = ?", person(m.t, "1").Score).Find(&rows).Error)
			require.Len(m.t, rows, 1)
			day, err := rows[0]["born"].(privacy.Date).Reveal(m.ctx, "test")
			require.NoError(m.t, err)
			m.equal("1987-05-14", day.String())
			return nil
		}},
		{g, "Find into a struct of one's own", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(person(m.t, "1")).Error)
			var rows []struct {
				ID   string
				Born privacy.Date
			}
			require.NoError(m.t, m.gorm().Model(&Person{}).Find(&rows).Error)
			day, err := rows[0].Born.Reveal(m.ctx, "test")
			require.NoError(m.t, err)
			m.equal("1987-05-14", day.String())
			return nil
		}},
		{g, "a String searched for in a Date", "holds a Date", func(m *maze) error {
			return m.gorm().Where("born = ?", privacy.New("1987-05-14")).Find(&[]Person{}).Error
		}},
		{g, "a String assigned to a Date", "holds a Date", func(m *maze) error {
			m.blankPerson()
			return m.gorm().Model(&Person{ID: "1"}).Update("born", privacy.New("1987-05-14")).Error
		}},
		{g, "a plain time assigned to a Date", "stored as plaintext", func(m *maze) error {
			m.blankPerson()
			return m.gorm().Model(&Person{ID: "1"}).Update("born", seenAt).Error
		}},
		{g, "a number compared with an Int", "compared with a plain value", func(m *maze) error {
			return m.gorm().Where("score = ?", -7651234).Find(&[]Person{}).Error
		}},
		{g, "an Int by size", "sealed", func(m *maze) error {
			return m.gorm().Where("score > ?", privacy.NewInt(-7651234)).Find(&[]Person{}).Error
		}},
		{g, "SUM of an Int", "score", func(m *maze) error {
			var n int64
			return m.gorm().Model(&Person{}).Select("SUM(score)").Scan(&n).Error
		}},
		{g, "a Time searched for", "instants have no blind index", func(m *maze) error {
			return m.gorm().Where("seen = ?", privacy.NewTime(seenAt)).Find(&[]Person{}).Error
		}},
		{g, "a Date that does not exist", "no such day", func(m *maze) error {
			return m.gorm().Create(&Person{ID: "1", Born: privacy.NewDate(1987, time.February, 30)}).Error
		}},
	}
}

func (m *maze) blankPerson() {
	require.NoError(m.t, m.gorm().Create(&Person{ID: "1", Born: privacy.NewDate(1900, 1, 1)}).Error)
}

// isPerson checks that a row holds the values of person and is found by them.
func (m *maze) isPerson(id string) {
	m.t.Helper()
	want := person(m.t, id)
	var p Person
	require.NoError(m.t, m.gorm().Where("born = ? AND score = ? AND salary = ? AND scan = ?", want.Born, want.Score, want.Salary, want.Scan).First(&p).Error)
	m.equal(id, p.ID)
	m.equal([]bool{true, true, true, true, true}, []bool{p.Born.Equal(want.Born), p.Salary.Equal(want.Salary), p.Score.Equal(want.Score), p.Seen.Equal(want.Seen), p.Scan.Equal(want.Scan)})
}
