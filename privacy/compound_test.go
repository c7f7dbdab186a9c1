package privacy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Pupil is found by name and day of birth together, by name and code, and by code alone. No two may have the
// same code and day of birth.
type Pupil struct {
	ID        string         `gorm:"primaryKey;size:36" privacy:"subject=pupil"`
	Owner     string         `gorm:"size:36"`
	Name      privacy.String `privacy:"mask=name"`
	Born      privacy.Date   `privacy:"mask=birthdate"`
	Code      privacy.String
	NameBorn  privacy.Index `gorm:"index" privacy:"of=Name+Born,norm=name+exact"`
	CodeBorn  privacy.Index `gorm:"uniqueIndex" privacy:"of=Code+Born,norm=digits+exact"`
	NameCode  privacy.Index `gorm:"index" privacy:"of=Name+Code,norm=name+digits,bits=2"`
	CodeIndex privacy.Index `gorm:"index" privacy:"of=Code,norm=digits"`
}

func day(n int) privacy.Date { return privacy.NewDate(1990, time.Month(n), 3) }

func pupil(id, name string, born int, code string) *Pupil {
	return &Pupil{ID: id, Owner: "o" + id, Name: privacy.New(name), Born: day(born), Code: privacy.New(code)}
}

// pupilHouse is a house with pupils in it, of whom two share a name and two a day of birth.
func pupilHouse(t testing.TB, h *house) *house {
	require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &Pupil{}))
	require.NoError(t, h.gorm().Create([]*Pupil{
		pupil("1", "王小明", 1, "10-1"), pupil("2", "王 小明", 2, "102"), pupil("3", "Luís", 2, "103"),
	}).Error)
	require.NoError(t, h.gorm().Create(&Pupil{ID: "4", Name: privacy.New("王小明"), Born: privacy.NullDate(), Code: privacy.New("104")}).Error)
	require.NoError(t, h.gorm().Create(&Pupil{ID: "5", Name: privacy.New("王小明"), Code: privacy.New("105")}).Error)
	return h
}

func (h *house) pupils(t testing.TB, q *gorm.DB) string {
	t.Helper()
	var list []Pupil
	require.NoError(t, q.Order("id").Find(&list).Error)
	out := ""
	for _, m := range list {
		out += m.ID
	}
	return out
}

// by finds pupils by name and day of birth.
func (h *house) by(t testing.TB, name string, born int) string {
	t.Helper()
	return h.pupils(t, h.gorm().Where(&Pupil{Name: privacy.New(name), Born: day(born)}))
}

func eachPupils(t *testing.T, f func(t *testing.T, h *house)) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := pupilHouse(t, openHouse(t, db, newKEK(t), nil))
		f(t, h)
		h.healthy(t)
	})
}

func TestCompoundLookups(t *testing.T) {
	eachPupils(t, func(t *testing.T, h *house) {
		ming, born := privacy.New("王·小明"), day(1)
		and := func(q *gorm.DB) string { return h.pupils(t, q) }
		require.Equal(t, "1", and(h.gorm().Where(&Pupil{Name: ming, Born: born})))
		require.Equal(t, "1", and(h.gorm().Where(map[string]any{"name": ming, "born": born})))
		require.Equal(t, "1", and(h.gorm().Where("name = ? AND born = ?", ming, born)))
		require.Equal(t, "1", and(h.gorm().Where("name = ? and pupils.born = ? AND owner = ?", ming, born, "o1")))
		require.Equal(t, "", and(h.gorm().Where("name = ? AND owner = ? AND born = ?", ming, "o2", born)))
		require.Equal(t, "1", and(h.gorm().Where("name = ?", ming).Where("owner = ?", "o1").Where(&Pupil{Born: born})))
		require.Equal(t, "1", and(h.gorm().Where(h.gorm().Where("born = ?", born).Where("owner = ? OR owner = ?", "o1", "o9")).Where("name = ?", ming)))
		require.Equal(t, "1", and(h.gorm().Table("pupils AS m").Where("m.name = ? AND m.born = ?", ming, born)))
		require.Equal(t, "2", h.by(t, "王小明", 2))
		require.Equal(t, "", h.by(t, "Luís", 1))
		// The code has an index of its own, and stays what it was where no compound index knows it.
		require.Equal(t, "1", and(h.gorm().Where("name = ? AND born = ? AND code = ?", ming, born, privacy.New("101"))))
		require.Equal(t, "", and(h.gorm().Where("name = ? AND born = ? AND code = ?", ming, born, privacy.New("102"))))
		require.Equal(t, "1", and(h.gorm().Where("code = ? AND born = ?", privacy.New("101"), born)))
		// Truncated: four cells for all, and only rows that match.
		for i, name := range []string{"王小明", "王小明", "luís", "王小明", "王小明"} {
			code := fmt.Sprint(101 + i)
			require.Equal(t, fmt.Sprint(i+1), and(h.gorm().Where(&Pupil{Name: privacy.New(name), Code: privacy.New(code)})), code)
		}
		require.Equal(t, "", and(h.gorm().Where("name = ? AND code = ?", privacy.New("luís"), privacy.New("101"))))
		require.Equal(t, "", and(h.gorm().Where("code = ? AND name = ?", privacy.New("103"), ming)))
		// Statements run again.
		q := h.gorm().Model(&Pupil{}).Where("name = ? AND code = ?", ming, privacy.New("101")).Where(&Pupil{Born: born})
		var n int64
		require.NoError(t, q.Count(&n).Error)
		require.EqualValues(t, 1, n)
		require.Equal(t, "1", and(q))
		s := h.gorm().Where(&Pupil{Name: ming, Born: born}).Session(&gorm.Session{})
		require.Equal(t, "1", and(s))
		require.Equal(t, "1", and(s))

		for _, c := range []*gorm.DB{
			h.gorm().Where("name = ?", ming),
			h.gorm().Where("name = ? OR born = ?", ming, born),
			h.gorm().Where("NOT name = ? AND born = ?", ming, born),
			h.gorm().Where("name <> ? AND born = ?", ming, born),
			h.gorm().Where("name = ?", ming).Or("born = ?", born),
			h.gorm().Not("name = ? AND born = ?", ming, born),
			h.gorm().Not(&Pupil{Name: ming, Born: born}),
			h.gorm().Where("owner = ? XOR owner = ? AND name = ? AND born = ?", "a", "b", ming, born),
			h.gorm().Table("pupils AS m").Joins("JOIN pupils AS o ON o.id = m.id").Where("m.name = ? AND o.born = ?", ming, born),
		} {
			err := c.Find(&[]Pupil{}).Error
			require.ErrorIs(t, err, privacy.ErrRefused)
		}
		err := h.gorm().Where("name = ?", ming).Find(&[]Pupil{}).Error
		require.ErrorContains(t, err, "pupil.name: is indexed together with other fields only, so it cannot be searched alone; compare Name and Born for equality, joined by AND alone, or declare its own index: NameIndex")
		require.ErrorContains(t, h.gorm().Where("name_born = ?", []byte("x")).Find(&[]Pupil{}).Error, "compared by hand")
	})
}

// Whatever an update assigns, the index follows.
func TestCompoundUpdates(t *testing.T) {
	eachPupils(t, func(t *testing.T, h *house) {
		one := func() *gorm.DB { return h.gorm().Model(&Pupil{ID: "1"}) }
		then := func(err error, name string, born int) {
			t.Helper()
			require.NoError(t, err)
			require.Equal(t, "1", h.by(t, name, born))
			h.healthy(t)
		}
		then(one().Update("name", privacy.New("A")).Error, "a", 1)
		require.Equal(t, "", h.by(t, "王小明", 1))
		then(one().Updates(map[string]any{"born": day(5)}).Error, "A", 5)
		then(one().Updates(&Pupil{Name: privacy.New("B")}).Error, "B", 5)
		then(one().UpdateColumn("born", day(6)).Error, "B", 6)
		then(one().UpdateColumns(Pupil{Born: day(7), Name: privacy.New("C")}).Error, "C", 7)
		then(h.gorm().Model(&Pupil{}).Where("code = ?", privacy.New("101")).Update("name", privacy.New("D")).Error, "D", 7)
		then(h.gorm().Model(&Pupil{}).Where("name = ? AND born = ?", privacy.New("D"), day(7)).Update("born", day(8)).Error, "D", 8)
		_, err := gorm.G[Pupil](h.db.DB).Where("id = ?", "1").Update(h.ctx, "name", privacy.New("E"))
		then(err, "E", 8)
		// A row that was read without one of its fields, and saved.
		var m Pupil
		require.NoError(t, h.gorm().Select("id", "owner", "name").First(&m, "id = ?", "1").Error)
		m.Name = privacy.New("F")
		then(h.gorm().Save(&m).Error, "F", 8)
		m = Pupil{}
		require.NoError(t, h.gorm().First(&m, "id = ?", "1").Error)
		was := string(m.NameBorn)
		m.Born = day(9)
		then(h.gorm().Save(&m).Error, "F", 9)
		require.NotEqual(t, was, string(m.NameBorn), "the program's struct has the new index")

		require.NoError(t, one().Update("born", privacy.NullDate()).Error)
		require.Equal(t, "", h.by(t, "F", 9))
		require.Nil(t, h.stored(t, "pupils", "name_born", "1"))
		require.NoError(t, one().Update("name", privacy.New("G")).Error)
		require.Nil(t, h.stored(t, "pupils", "name_born", "1"))
		then(one().Update("born", day(3)).Error, "G", 3)
		require.ErrorContains(t, one().Update("name_born", privacy.Index("x")).Error, "set by hand")

		res := h.gorm().Model(&Pupil{ID: "none"}).Update("name", privacy.New("X"))
		require.NoError(t, res.Error)
		require.Zero(t, res.RowsAffected)
		require.NoError(t, h.gorm().Model(&Pupil{ID: "1"}).Update("owner", "x").Error)
	})
}

// What does not open cannot be indexed anew: the statement fails, and the remedy works.
func TestCompoundUpdateBesideADamagedValue(t *testing.T) {
	eachPupils(t, func(t *testing.T, h *house) {
		pool, err := h.db.DB.DB()
		require.NoError(t, err)
		_, err = pool.Exec("UPDATE pupils SET born = (SELECT b.born FROM (SELECT born FROM pupils WHERE id = '2') b) WHERE id = '1'")
		require.NoError(t, err)
		err = h.gorm().Model(&Pupil{ID: "1"}).Update("name", privacy.New("A")).Error
		require.ErrorIs(t, err, privacy.ErrUnreadable)
		require.ErrorContains(t, err, "assign both")
		require.NoError(t, h.gorm().Model(&Pupil{ID: "1"}).Updates(&Pupil{Name: privacy.New("A"), Born: day(4)}).Error)
		require.Equal(t, "1", h.by(t, "A", 4))
	})
}

func TestCompoundCreates(t *testing.T) {
	eachPupils(t, func(t *testing.T, h *house) {
		require.NoError(t, h.gorm().Model(&Pupil{}).Create(map[string]any{"id": "a", "name": privacy.New("Map"), "born": day(1)}).Error)
		require.Equal(t, "a", h.by(t, "map", 1))
		require.NoError(t, h.gorm().Model(&Pupil{}).Create([]map[string]any{{"id": "b", "name": privacy.New("Maps"), "born": day(1)}, {"id": "c", "name": privacy.New("Maps")}}).Error)
		require.Equal(t, "b", h.by(t, "maps", 1))
		require.NoError(t, h.gorm().Select("id", "name", "born").Create(pupil("d", "Select", 1, "1")).Error)
		require.Equal(t, "d", h.by(t, "select", 1))
		hand := pupil("e", "Omit", 1, "2")
		hand.NameBorn = privacy.Index("by hand")
		require.NoError(t, h.gorm().Omit("born").Create(hand).Error)
		require.Equal(t, "", h.by(t, "omit", 1))
		hand = pupil("f", "Neither", 1, "3")
		hand.NameBorn = h.index(t, "1")
		require.NoError(t, h.gorm().Omit("name", "born").Create(hand).Error)
		require.Equal(t, "1", h.by(t, "王小明", 1))
		var m Pupil
		require.NoError(t, h.gorm().Where(&Pupil{Name: privacy.New("First"), Born: day(2)}).Attrs(&Pupil{ID: "g"}).FirstOrCreate(&m).Error)
		require.NoError(t, h.gorm().Where(&Pupil{Name: privacy.New("first"), Born: day(2)}).Attrs(&Pupil{ID: "h"}).FirstOrCreate(&m).Error)
		require.Equal(t, "g", h.by(t, "FIRST", 2))
		require.NoError(t, h.gorm().Save(&Pupil{ID: "i", Name: privacy.New("Saved"), Code: privacy.New("9")}).Error)
		require.Equal(t, "i", h.pupils(t, h.gorm().Where(&Pupil{Name: privacy.New("saved"), Code: privacy.New("9")})))
	})
}

func (h *house) index(t *testing.T, id string) privacy.Index {
	t.Helper()
	var m Pupil
	require.NoError(t, h.gorm().First(&m, "id = ?", id).Error)
	return m.NameBorn
}

// An upsert of one part works where the index is NULL anyway, and nowhere else.
func TestCompoundUpserts(t *testing.T) {
	eachPupils(t, func(t *testing.T, h *house) {
		up := func(m *Pupil, columns ...string) error {
			on := clause.OnConflict{UpdateAll: len(columns) == 0}
			if len(columns) > 0 {
				on = clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns(columns)}
			}
			return h.gorm().Clauses(on).Create(m).Error
		}
		require.NoError(t, up(pupil("1", "All", 5, "101")))
		require.Equal(t, "1", h.by(t, "all", 5))
		require.NoError(t, up(pupil("1", "Both", 6, "101"), "name", "born", "code"))
		require.Equal(t, "1", h.by(t, "both", 6))
		require.NoError(t, up(pupil("n", "New", 6, "7"), "name"))
		require.Equal(t, "n", h.by(t, "new", 6))

		require.Error(t, up(pupil("1", "One", 6, "101"), "name"), "the database refuses it")
		require.Equal(t, "1", h.by(t, "both", 6))
		absent := pupil("1", "One", 6, "101")
		absent.Born = privacy.Date{}
		require.Error(t, up(absent))
		require.Equal(t, "1", h.by(t, "both", 6))

		absent = pupil("4", "One", 6, "104")
		absent.Born = privacy.Date{}
		require.NoError(t, up(absent), "the day of birth of this one is NULL")
		require.NoError(t, up(&Pupil{ID: "1", Name: privacy.Null(), Code: privacy.Null()}, "name", "code"), "and here the others are")
		require.Equal(t, "", h.by(t, "both", 6))
	})
}

func TestCompoundUnique(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		c := newClock()
		h := openAt(t, db, newKEK(t), c)
		pupilHouse(t, h)
		taken := func() {
			t.Helper()
			require.Error(t, h.gorm().Create(pupil("x", "X", 1, "1 0 1")).Error)
			require.Error(t, h.gorm().Model(&Pupil{ID: "3"}).Updates(&Pupil{Born: day(1), Code: privacy.New("101")}).Error)
			require.NoError(t, h.gorm().Model(&Pupil{ID: "3"}).Updates(&Pupil{Born: day(1), Code: privacy.New("109")}).Error)
			require.Error(t, h.gorm().Model(&Pupil{ID: "3"}).Update("code", privacy.New("101")).Error)
			require.NoError(t, h.gorm().Model(&Pupil{ID: "3"}).Updates(&Pupil{Born: day(2), Code: privacy.New("103")}).Error)
		}
		taken()
		old := h.stored(t, "pupils", "code_born", "1")
		promoteIndex(t, h, c)
		require.Equal(t, old, h.stored(t, "pupils", "code_born", "1"))
		taken() // although the two keys give two indexes
		require.Equal(t, "1", h.by(t, "王小明", 1))
		require.Equal(t, privacy.Done, h.rotate(t, privacy.IndexKey).Phase)
		require.NotEqual(t, old, h.stored(t, "pupils", "code_born", "1"))
		c.pass(wait)
		_, err := h.retire(privacy.IndexKey)
		require.NoError(t, err)
		taken()
		require.Equal(t, "1", h.by(t, "王小明", 1))
		h.healthy(t)
	})
}

// Retire does not take a key away that a compound index still needs, and Doctor sees a wrong one.
func TestCompoundReindexAndDoctor(t *testing.T) {
	eachPupils(t, func(t *testing.T, h *house) {
		pool, err := h.db.DB.DB()
		require.NoError(t, err)
		for _, text := range []string{
			"UPDATE pupils SET name_born = NULL WHERE id = '1'",
			"UPDATE pupils SET name_born = (SELECT b.name_born FROM (SELECT name_born FROM pupils WHERE id = '3') b) WHERE id IN ('2', '4')",
		} {
			_, err = pool.Exec(text)
			require.NoError(t, err)
		}
		found, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		var rows []string
		for _, f := range found {
			require.Equal(t, "name_born", f.Column)
			require.Equal(t, "index", f.Kind)
			rows = append(rows, f.Row)
		}
		require.Equal(t, "1 2 4", strings.Join(rows, " "))
		dry, err := h.vault.Reindex(h.ctx, h.db.DB, privacy.RotateOptions{DryRun: true})
		require.NoError(t, err)
		require.EqualValues(t, 3, dry.Left)
		r, err := h.vault.Reindex(h.ctx, h.db.DB, privacy.RotateOptions{Batch: 2})
		require.NoError(t, err)
		require.EqualValues(t, 3, r.Changed)
		require.Zero(t, r.Left)
		require.Equal(t, "1", h.by(t, "王小明", 1))
	})
}

func TestCompoundErase(t *testing.T) {
	eachPupils(t, func(t *testing.T, h *house) {
		cert, err := h.vault.Erase(h.ctx, h.db.DB, "pupil:1")
		require.NoError(t, err)
		require.EqualValues(t, 1, cert.IndexCells)
		require.Equal(t, "", h.by(t, "王小明", 1))
		for _, column := range []string{"name_born", "code_born", "name_code"} {
			require.Nil(t, h.stored(t, "pupils", column, "1"))
		}
		require.ErrorIs(t, h.gorm().Model(&Pupil{ID: "1"}).Update("name", privacy.New("back")).Error, privacy.ErrErased)
	})
}

// Three parts, whose order and borders count.
func TestCompoundInputs(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		type Triple struct {
			ID   string `gorm:"primaryKey;size:36" privacy:"subject=triple"`
			A    privacy.String
			B    privacy.String
			C    privacy.String
			All  privacy.Index `gorm:"index" privacy:"of=A+B+C,norm=exact+exact+text"`
			Some privacy.Index `gorm:"index" privacy:"of=A+B,norm=exact+exact"`
			One  privacy.Index `gorm:"index" privacy:"of=A,norm=exact"`
		}
		h := openHouse(t, db, newKEK(t), nil)
		require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Triple{}))
		abc := func(id, a, b, c string) *Triple {
			return &Triple{ID: id, A: privacy.New(a), B: privacy.New(b), C: privacy.New(c)}
		}
		require.NoError(t, h.gorm().Create([]*Triple{abc("1", "x", "yz", "Q"), abc("2", "xy", "z", "Q"), abc("3", "yz", "x", "Q"), abc("4", "x", "yz", "R")}).Error)
		var ids []string
		q := func(w *Triple) string {
			require.NoError(t, h.gorm().Model(&Triple{}).Where(w).Order("id").Pluck("id", &ids).Error)
			return strings.Join(ids, "")
		}
		require.Equal(t, "1", q(abc("", "x", "yz", "q")))
		require.Equal(t, "2", q(abc("", "xy", "z", "q")))
		require.Equal(t, "14", q(&Triple{A: privacy.New("x"), B: privacy.New("yz")}))
		require.Equal(t, "14", q(&Triple{A: privacy.New("x")}))
		h.healthy(t)
	})
}

func TestCompoundUsesItsIndex(t *testing.T) {
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		h := pupilHouse(t, openHouse(t, db, newKEK(t), nil))
		var rows []*Pupil
		for i := range 1500 {
			rows = append(rows, pupil(fmt.Sprintf("p%d", i), fmt.Sprintf("Name %d", i/12), 1+i%12, fmt.Sprint(1000+i)))
		}
		require.NoError(t, h.gorm().CreateInBatches(&rows, 500).Error)
		pool, err := db.DB.DB()
		require.NoError(t, err)
		_, err = pool.Exec(map[string]string{testdb.SQLite: "ANALYZE pupils", testdb.Postgres: "ANALYZE pupils", testdb.MySQL: "ANALYZE TABLE pupils"}[db.Engine])
		require.NoError(t, err)
		q := h.gorm().Session(&gorm.Session{})
		p := &queryTap{ConnPool: q.Statement.ConnPool}
		q.Statement.ConnPool = p
		var list []Pupil
		require.NoError(t, q.Where(&Pupil{Name: privacy.New("name 7"), Born: day(3)}).Find(&list).Error)
		require.Len(t, list, 1)
		for i, text := range p.texts {
			if strings.Contains(text, "pupils") {
				plan := explain(t, pool, db.Engine, text, p.args[i])
				require.False(t, scans(plan), "%s\n%s", text, plan)
				require.Contains(t, plan, "idx_pupils_name_born", text)
			}
		}
	})
}

func TestCompoundTags(t *testing.T) {
	type a struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    privacy.Index `privacy:"of=Name+Born,norm=name"`
	}
	type b struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    privacy.Index `privacy:"of=Name+Name,norm=name+name"`
	}
	type c struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    privacy.Index `privacy:"of=Name+Owner,norm=name+exact"`
	}
	type d struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    privacy.Index `privacy:"of=Name+Born,norm=name+text"`
	}
	type e struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    privacy.Index `privacy:"of=Name+Seen,norm=name+exact"`
	}
	type f struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    privacy.Index `privacy:"of=Name+Born,norm=name+exact,match=last4"`
	}
	type g struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    privacy.Index `gorm:"uniqueIndex" privacy:"of=Name+Born,norm=name+exact,bits=9"`
	}
	type k struct {
		ID   string `gorm:"primaryKey" privacy:"subject=x"`
		Name privacy.String
		Born privacy.Date
		Seen privacy.Time
		X    *privacy.Index `privacy:"of=Name+Born,norm=name+exact"`
	}
	db := testdb.New(t, testdb.SQLite)
	h := openHouse(t, db, newKEK(t), nil)
	for _, one := range []struct {
		model any
		want  string
	}{
		{&a{}, "two or three fields and a normaliser for each"}, {&b{}, "no other sealed field"}, {&c{}, "no other sealed field"},
		{&d{}, "a Date cannot be found by norm=text"}, {&e{}, "a Time cannot be found"}, {&f{}, "whole values"},
		{&g{}, "cannot be unique"}, {&k{}, "not as a pointer"},
	} {
		require.ErrorContains(t, h.vault.Register(h.ctx, db.DB, one.model), one.want)
	}
}

type pupilName struct {
	ID   string         `gorm:"primaryKey;size:36" privacy:"subject=pupil"`
	Name privacy.String `privacy:"mask=name,name=pupil.name"`
}

func (pupilName) TableName() string { return "pupils" }

// A second model of the table would write a part and leave the index behind.
func TestModelsOfOneTableAgreeOnCompoundIndexes(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	h := pupilHouse(t, openHouse(t, db, newKEK(t), nil))
	require.ErrorContains(t, h.vault.Register(h.ctx, db.DB, &pupilName{}), "has no index name_born of this column; declare the same compound index in both")
}
