package privacy_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Patient has an index of every kind.
type Patient struct {
	ID          string         `gorm:"primaryKey;size:36" privacy:"subject=patient"`
	Owner       string         `gorm:"size:36"`
	Name        privacy.String `privacy:"mask=name,search=name"`
	NameFirst   privacy.Index  `gorm:"index" privacy:"of=Name,norm=text,match=first"`
	Phone       privacy.String `privacy:"mask=phone"`
	PhoneIndex  privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
	PhoneLast4  privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone,match=last4"`
	PhoneStart  privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone,match=prefix5"`
	Email       privacy.String `privacy:"mask=email"`
	EmailIndex  privacy.Index  `gorm:"index" privacy:"of=Email,norm=email,bits=2"`
	EmailDomain privacy.Index  `gorm:"index" privacy:"of=Email,norm=email,match=domain"`
	Deleted     gorm.DeletedAt
}

// Deed belongs to a person and has a key of two columns.
type Deed struct {
	PatientID string         `gorm:"primaryKey;size:36" privacy:"subject=patient"`
	No        int            `gorm:"primaryKey;autoIncrement:false"`
	Witness   privacy.String `privacy:"mask=name,search=name"`
	Code      privacy.String
	CodeAt    privacy.Index `gorm:"index" privacy:"of=Code,norm=exact,bits=1"`
}

func patient(id, name, phone, email string) *Patient {
	return &Patient{ID: id, Owner: "o" + id, Name: privacy.New(name), Phone: privacy.New(phone), Email: privacy.New(email)}
}

var patients = []*Patient{
	patient("1", "王小明", "138 0013 8000", "wang@example.com"),
	patient("2", "王小 红", "+86 139 1111 8000", "xiaohong@Example.COM"),
	patient("3", "Luís Gonçalves", "+55 (12) 3923-5555", "luisg@embraer.com.br"),
	patient("4", "单小明", "13800138001 转 8000", "shan@mail.example.com"),
	patient("5", "O’Neill Straße", "12", "nomail"),
	patient("6", "小明王", "", "x@example.com."),
}

// searchHouse is a house with patients in it.
func searchHouse(t testing.TB, db testdb.DB, change func(*privacy.Config)) *house {
	h := openHouse(t, db, newKEK(t), change)
	if db.Engine == testdb.SQLite {
		pool, err := db.DB.DB()
		require.NoError(t, err)
		pool.SetMaxOpenConns(1) // a second connection would wait for ever
	}
	require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Patient{}, &Deed{}))
	for _, p := range patients {
		one := *p
		require.NoError(t, h.gorm().Create(&one).Error)
	}
	require.NoError(t, h.gorm().Create(&Patient{ID: "7", Name: privacy.Null()}).Error)
	return h
}

// ids returns whom a condition finds.
func (h *house) ids(t testing.TB, q *gorm.DB) string {
	t.Helper()
	var list []Patient
	require.NoError(t, q.Order("id").Find(&list).Error)
	out := ""
	for _, p := range list {
		out += p.ID
	}
	return out
}

func (h *house) healthy(t testing.TB) {
	t.Helper()
	found, err := h.vault.Doctor(h.ctx, h.db.DB)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestSearchByParts(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		for _, c := range []struct {
			field string
			value privacy.String
			want  string
		}{
			{"phone", privacy.EndsWith("8000"), "12"},
			{"phone", privacy.EndsWith("８０００"), "12"},
			{"phone", privacy.EndsWith("1111 8000"), "2"},
			{"phone", privacy.EndsWith("138-0013-8000"), "1"},
			{"phone", privacy.EndsWith("9999"), ""},
			{"phone", privacy.StartsWith("138"), "14"},
			{"phone", privacy.StartsWith("+86 138"), "14"},
			{"phone", privacy.StartsWith("0086139"), "2"},
			{"phone", privacy.StartsWith("13800138"), "14"},
			{"phone", privacy.StartsWith("+551239"), "3"},
			{"email", privacy.AtDomain("example.com"), "126"},
			{"email", privacy.AtDomain("@EXAMPLE.com."), "126"},
			{"email", privacy.AtDomain("mail.example.com"), "4"},
			{"email", privacy.AtDomain("com"), ""},
			{"email", privacy.New("wang@example.com"), "1"},
			{"email", privacy.New("ＷＡＮＧ@example.com"), "1"},
			{"email", privacy.New("nobody@example.com"), ""},
			{"name", privacy.StartsWith("王"), "12"},
			{"name", privacy.StartsWith("王小明"), "1"},
			{"name", privacy.Match("王"), "126"},
			{"name", privacy.Match("小明"), "146"},
			{"name", privacy.Match("王小明"), "1"},
			{"name", privacy.Match("小明王"), "6"},
			{"name", privacy.Match("王小红"), "2"},
			{"name", privacy.Match("明小王"), ""},
			{"name", privacy.Match("wxm"), "1"},
			{"name", privacy.Match("WXM"), "1"},
			{"name", privacy.Match("xm"), "146"},
			{"name", privacy.Match("sxm"), "4"},
			{"name", privacy.Match("dxm"), "4"},
			{"name", privacy.Match("wangxiaoming"), "1"},
			{"name", privacy.Match("xiaoming wang"), "16"},
			{"name", privacy.Match("luis"), "3"},
			{"name", privacy.Match("GONCALVES luís"), "3"},
			{"name", privacy.Match("oneill"), "5"},
			{"name", privacy.Match("STRASSE"), "5"},
			{"name", privacy.Match("lui"), ""},
		} {
			about := fmt.Sprintf("%s %s", c.field, db.Engine)
			assert.Equal(t, c.want, h.ids(t, h.gorm().Where(c.field+" = ?", c.value)), about)
			assert.Equal(t, c.want, h.ids(t, h.gorm().Where(map[string]any{c.field: c.value})), about)
			var n int64
			require.NoError(t, h.gorm().Model(&Patient{}).Where(c.field+" = ?", c.value).Count(&n).Error)
			assert.EqualValues(t, len(c.want), n, about)
		}
		h.healthy(t)
	})
}

// Conditions keep SQL's meaning whatever stands around them.
func TestSearchInEveryPosition(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		q := h.gorm
		for i, c := range []struct {
			q    *gorm.DB
			want string
		}{
			{q().Where(&Patient{Name: privacy.Match("王小明"), Owner: "o1"}), "1"},
			{q().Where(&Patient{Name: privacy.Match("王小明"), Owner: "o2"}), ""},
			{q().Where("owner = ?", "o1").Where("name = ?", privacy.Match("王小明")), "1"},
			{q().Where("owner = ?", "o3").Or("name = ?", privacy.Match("王小明")), "13"},
			{q().Where("name = ?", privacy.Match("王小明")).Or("owner = ?", "o3"), "13"},
			{q().Where("(name = ? OR phone = ?) AND email = ?", privacy.Match("王小明"), privacy.EndsWith("1118000"), privacy.AtDomain("example.com")), "12"},
			{q().Where("name IN ?", []privacy.String{privacy.Match("王小明"), privacy.Match("luis"), privacy.StartsWith("单")}), "134"},
			{q().Where("email IN ?", []privacy.String{privacy.New("wang@example.com"), privacy.New("luisg@embraer.com.br")}), "13"},
			{q().Where("email IN (?, ?)", privacy.New("wang@example.com"), privacy.AtDomain("embraer.com.br")), "13"},
			{q().Not("name = ?", privacy.Match("王小明")), "23456"},
			{q().Not(&Patient{Name: privacy.Match("王小明")}), "23456"},
			{q().Where("name <> ?", privacy.Match("王小明")), "23456"},
			{q().Where("NOT (name = ? AND owner = ?)", privacy.Match("王小明"), "o1"), "234567"}, // 7 has no name, but another owner
			{q().Where("NOT (name = ? OR owner = ?)", privacy.Match("王小明"), "o2"), "3456"},
			{q().Where("NOT (name <> ?)", privacy.Match("王小明")), "1"},
			{q().Where("name NOT IN ?", []privacy.String{privacy.Match("王小明"), privacy.Match("luis")}), "2456"},
			{q().Where("phone <> ?", privacy.EndsWith("8000")), "3456"},
			{q().Where("email <> ?", privacy.New("wang@example.com")), "23456"},
			{q().Where("id IN (?)", h.db.DB.Model(&Patient{}).Select("id").Where("name = ?", privacy.Match("王小明"))), "1"},
			{q().Where("name = ?", privacy.Match("小红")).Where("id IN (?)", h.db.DB.Model(&Patient{}).Select("id").Where(&Patient{Email: privacy.New("xiaohong@example.com")})), "2"},
			{q().Where("name = ? AND owner IN ?", privacy.Match("王小明"), []string{"o1", "o9"}), "1"},
			{q().Clauses(clause.Eq{Column: "patients.name", Value: privacy.Match("王小明")}), "1"},
			{q().Table("patients AS p").Where("p.name = ?", privacy.Match("王小明")), "1"},
			{q().Where("name IS NULL"), "7"},
			{q().Where("name = ?", privacy.Match("王小明")).Limit(1), "1"},
			{q().Where("email = ?", privacy.AtDomain("example.com")).Order("id").Offset(1).Limit(1), "2"},
		} {
			assert.Equal(t, c.want, h.ids(t, c.q), "case %d on %s", i, db.Engine)
		}
		// A statement that runs twice looks twice.
		twice := h.gorm().Model(&Patient{}).Where("name = ?", privacy.Match("王小明"))
		var n int64
		require.NoError(t, twice.Count(&n).Error)
		require.EqualValues(t, 1, n)
		require.NoError(t, h.gorm().Create(patient("8", "王小明", "1", "y@z.cn")).Error)
		require.Equal(t, "18", h.ids(t, twice))
		h.healthy(t)
	})
}

// Names that share a bucket are never confused, however few buckets there are.
func TestBucketsPageAndCountExactly(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		for i := range 40 {
			require.NoError(t, h.gorm().Create(&Deed{PatientID: "1", No: i + 1, Code: privacy.New(fmt.Sprint((i + 1) % 4)), Witness: privacy.New("王小明")}).Error)
		}
		three := privacy.New("3")
		var n int64
		require.NoError(t, h.gorm().Model(&Deed{}).Where("code = ?", three).Count(&n).Error)
		require.EqualValues(t, 10, n)
		var seen []int
		for page := range 4 {
			var list []Deed
			require.NoError(t, h.gorm().Where(&Deed{Code: three}).Order("no").Offset(page*3).Limit(3).Find(&list).Error)
			for _, d := range list {
				seen = append(seen, d.No)
			}
		}
		require.Equal(t, []int{3, 7, 11, 15, 19, 23, 27, 31, 35, 39}, seen)
		var sum int
		require.NoError(t, h.gorm().Model(&Deed{}).Where("code = ?", three).Select("sum(no)").Scan(&sum).Error)
		require.Equal(t, 210, sum)
		var nos []int
		require.NoError(t, h.gorm().Model(&Deed{}).Where("code = ? AND no > ?", three, 30).Order("no").Pluck("no", &nos).Error)
		require.Equal(t, []int{31, 35, 39}, nos)
		rows, err := h.gorm().Model(&Deed{}).Where("code = ?", three).Select("no").Rows()
		require.NoError(t, err)
		n = 0
		for rows.Next() {
			n++
		}
		require.NoError(t, rows.Close())
		require.EqualValues(t, 10, n)
		batches := 0
		var list []Patient
		require.NoError(t, h.gorm().Where("name = ?", privacy.Match("小明")).FindInBatches(&list, 2, func(*gorm.DB, int) error { batches += len(list); return nil }).Error)
		require.Equal(t, 3, batches)
		res := h.gorm().Where("code = ? AND no < ?", three, 10).Delete(&Deed{})
		require.NoError(t, res.Error)
		require.EqualValues(t, 2, res.RowsAffected)
		res = h.gorm().Model(&Deed{}).Where("code = ? AND no > ?", three, 38).Update("code", privacy.New("x"))
		require.NoError(t, res.Error)
		require.EqualValues(t, 1, res.RowsAffected)
		require.NoError(t, h.gorm().Model(&Deed{}).Where("code = ?", three).Count(&n).Error)
		require.EqualValues(t, 7, n)
		h.healthy(t)
	})
}

// tokens counts the stored tokens of a row.
func (h *house) tokens(t testing.TB, field, row string) int {
	t.Helper()
	var n int64
	require.NoError(t, h.db.DB.Table("confide_tokens").Where("field = ? AND row_id = ?", field, row).Count(&n).Error)
	return int(n)
}

// Tokens follow the row on every path of a write.
func TestTokensFollowTheRow(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		q, now := h.gorm, privacy.New("李雷")
		found := func(name string) string { return h.ids(t, q().Where("name = ?", privacy.Match(name))) }
		steps := []struct {
			name string
			do   func() error
			want string // who is found as 李雷
		}{
			{"Update", func() error { return q().Model(&Patient{ID: "1"}).Update("name", now).Error }, "1"},
			{"Updates(struct)", func() error { return q().Model(&Patient{ID: "2"}).Updates(Patient{Name: now}).Error }, "12"},
			{"Updates(map)", func() error {
				return q().Model(&Patient{}).Where("id = ?", "3").Updates(map[string]any{"name": now}).Error
			}, "123"},
			{"Update that matches no row", func() error {
				return q().Model(&Patient{ID: "4"}).Where("owner = ?", "nobody").Update("name", now).Error
			}, "123"},
			{"Update of another column", func() error { return q().Model(&Patient{ID: "1"}).Update("owner", "x").Error }, "123"},
			{"Update to Null", func() error { return q().Model(&Patient{ID: "3"}).Update("name", privacy.Null()).Error }, "12"},
			{"Save(loaded)", func() error {
				var p Patient
				if err := q().First(&p, "id = ?", "4").Error; err != nil {
					return err
				}
				p.Name = now
				return q().Save(&p).Error
			}, "124"},
			{"Save(unchanged)", func() error {
				var p Patient
				if err := q().First(&p, "id = ?", "4").Error; err != nil {
					return err
				}
				return q().Save(&p).Error
			}, "124"},
			{"Save(new)", func() error { return q().Save(patient("8", "李雷", "1", "a@b.c")).Error }, "1248"},
			{"OnConflict DoNothing", func() error {
				return q().Clauses(clause.OnConflict{DoNothing: true}).Create([]*Patient{patient("5", "李雷", "1", "a@b.c"), patient("9", "李雷", "1", "a@b.c")}).Error
			}, "12489"},
			{"OnConflict UpdateAll", func() error {
				return q().Clauses(clause.OnConflict{UpdateAll: true}).Create([]*Patient{patient("5", "李雷", "1", "a@b.c"), patient("9", "韩梅梅", "1", "a@b.c")}).Error
			}, "12458"},
			{"OnConflict other columns", func() error {
				return q().Clauses(clause.OnConflict{DoUpdates: clause.AssignmentColumns([]string{"owner"})}).Create(patient("9", "李雷", "1", "a@b.c")).Error
			}, "12458"},
			{"Create(map)", func() error {
				return q().Model(&Patient{}).Create(map[string]any{"id": "a", "name": now}).Error
			}, "12458a"},
			{"rolled back", func() error {
				tx := q().Begin()
				err := tx.Model(&Patient{ID: "6"}).Update("name", now).Error
				return errors.Join(err, tx.Rollback().Error)
			}, "12458a"},
			{"SkipDefaultTransaction", func() error {
				return q().Session(&gorm.Session{SkipDefaultTransaction: true, SkipHooks: true}).Create(patient("b", "李雷", "1", "a@b.c")).Error
			}, "12458ab"},
			{"soft delete", func() error { return q().Delete(&Patient{ID: "b"}).Error }, "12458a"},
			{"undelete", func() error { return q().Unscoped().Model(&Patient{ID: "b"}).Update("deleted", nil).Error }, "12458ab"},
			{"gorm.G Update", func() error {
				_, err := gorm.G[Patient](h.db.DB).Where("id = ?", "6").Update(h.ctx, "name", now)
				return err
			}, "124568ab"},
			{"Delete(struct)", func() error { return q().Unscoped().Delete(&Patient{ID: "b"}).Error }, "124568a"},
			{"Delete(slice)", func() error { return q().Unscoped().Delete(&[]Patient{{ID: "a"}, {ID: "8"}}).Error }, "12456"},
			{"Delete(key)", func() error { return q().Unscoped().Delete(&Patient{}, "id = ?", "6").Error }, "1245"},
			{"Delete where owner", func() error { return q().Unscoped().Where("owner = ?", "o5").Delete(&Patient{}).Error }, "124"},
			{"Delete of nothing", func() error { return q().Unscoped().Where("owner = ?", "x9").Delete(&Patient{ID: "4"}).Error }, "124"},
			{"Delete by a search", func() error {
				return q().Unscoped().Where("name = ? AND owner = ?", privacy.Match("李雷"), "o4").Delete(&Patient{}).Error
			}, "12"},
			{"deleted and created again", func() error {
				var p Patient
				if err := q().First(&p, "id = ?", "1").Error; err != nil {
					return err
				}
				return errors.Join(q().Unscoped().Delete(&p).Error, q().Create(&p).Error)
			}, "12"},
		}
		for _, s := range steps {
			require.NoError(t, s.do(), s.name)
			require.Equal(t, s.want, found("李雷"), "%s on %s", s.name, db.Engine)
			h.healthy(t)
		}
		_, err := h.vault.Erase(h.ctx, h.db.DB, "patient:1")
		require.NoError(t, err)
		require.Equal(t, "2", found("李雷"))
		require.Zero(t, h.tokens(t, "patient.name", "1"))
		require.NotZero(t, h.tokens(t, "patient.name", "2"))
		h.healthy(t)
	})
}

// A restored backup brings tokens back; replaying erasures removes them again.
func TestReplayingErasuresRemovesTokens(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := searchHouse(t, db, nil)
		require.NoError(t, h.gorm().Create(&Deed{PatientID: "1", No: 4, Witness: privacy.New("王小明")}).Error)
		pool, err := db.DB.DB()
		require.NoError(t, err)
		_, err = pool.Exec("CREATE TABLE old_tokens AS SELECT * FROM confide_tokens WHERE subject = 'patient:1'")
		require.NoError(t, err)
		_, err = h.vault.Erase(h.ctx, h.db.DB, "patient:1")
		require.NoError(t, err)
		_, err = pool.Exec("INSERT INTO confide_tokens SELECT * FROM old_tokens")
		require.NoError(t, err)
		found, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(found, func(f privacy.Finding) bool { return f.Kind == "erased index" && f.Row == "1" }), "%v", found)
		n, err := h.vault.ReplayErasures(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Greater(t, n, 5)
		h.healthy(t)
		var left int64
		require.NoError(t, h.db.DB.Table("confide_tokens").Where("subject = ?", "patient:1").Count(&left).Error)
		require.Zero(t, left)
	})
}

func TestSearchIsRefused(t *testing.T) {
	h := searchHouse(t, testdb.New(t, testdb.SQLite), func(c *privacy.Config) { c.Candidates = 3 })
	find := func(query string, args ...any) error { return h.gorm().Where(query, args...).Find(&[]Patient{}).Error }
	for want, err := range map[string]error{
		"looks for less than the 4 characters that are indexed":       find("phone = ?", privacy.EndsWith("800")),
		"less than the 5 characters":                                  find("phone = ?", privacy.StartsWith("1")),
		"EndsWith has nothing to look for":                            find("phone = ?", privacy.EndsWith("abc")),
		"AtDomain has nothing to look for":                            find("email = ?", privacy.AtDomain("@")),
		"Match has nothing to look for":                               find("name = ?", privacy.Match(" · ")),
		"single letter":                                               find("name = ?", privacy.Match("w")),
		"of=Email,norm=email,match=last4":                             find("email = ?", privacy.EndsWith("8000")),
		"of=Name,norm=text,match=last4":                               find("name = ?", privacy.EndsWith("小明")),
		"of=Email,norm=email,match=prefix3":                           find("email = ?", privacy.StartsWith("wang")),
		"of=Phone,norm=email,match=domain":                            find("phone = ?", privacy.AtDomain("x.cn")),
		"add search=name to its tag":                                  find("phone = ?", privacy.Match("王")),
		"more than 3 rows come into question":                         find("name = ? OR name = ?", privacy.StartsWith("王小"), privacy.Match("小")),
		"a sealed value is compared with a column that is not sealed": find("owner = ?", privacy.Match("王")),
		"this SQL cannot be answered":                                 find("name = @n", map[string]any{"n": privacy.Match("王")}),
		"order of sealed":                                             h.gorm().Order("name").Find(&[]Patient{}).Error,
		"customer.email: has no index that AtDomain could use; declare one beside it: EmailDo": h.gorm().Where(&Customer{Email: privacy.AtDomain("x.cn")}).Find(&[]Customer{}).Error,
	} {
		require.ErrorIs(t, err, privacy.ErrRefused, want)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "王")
		require.NotContains(t, err.Error(), "800 ")
	}
	// With other conditions fewer rows come into question.
	require.Equal(t, "1", h.ids(t, h.gorm().Where("owner = ? AND name = ?", "o1", privacy.StartsWith("王小"))))
}

// A value that searches is never stored, read or shown.
func TestSearchValuesAreNoValues(t *testing.T) {
	h := searchHouse(t, testdb.New(t, testdb.SQLite), nil)
	q := privacy.Match("王小明")
	for i, err := range []error{
		h.gorm().Create(&Patient{ID: "x", Name: q}).Error,
		h.gorm().Create(&[]Patient{{ID: "x", Name: q}}).Error,
		h.gorm().Model(&Patient{}).Create(map[string]any{"id": "x", "name": q}).Error,
		h.gorm().Save(&Patient{ID: "1", Name: q}).Error,
		h.gorm().Model(&Patient{ID: "1"}).Update("name", q).Error,
		h.gorm().Model(&Patient{ID: "1"}).Updates(map[string]any{"name": q}).Error,
		h.gorm().Model(&Patient{ID: "1"}).UpdateColumn("name", q).Error,
		h.gorm().Clauses(clause.OnConflict{UpdateAll: true}).Create(&Patient{ID: "1", Name: q}).Error,
		h.gorm().Where(&Patient{Name: privacy.Match("nobody")}).FirstOrCreate(&Patient{ID: "x"}).Error,
		h.gorm().Where("owner = ?", "zz").Assign(map[string]any{"name": q}).FirstOrCreate(&Patient{ID: "x"}).Error,
	} {
		require.ErrorIs(t, err, privacy.ErrRefused, "%d", i)
		require.NotContains(t, err.Error(), "王")
	}
	_, err := q.Value()
	require.ErrorIs(t, err, privacy.ErrRefused)
	_, err = q.Reveal(h.ctx, "look")
	require.ErrorIs(t, err, privacy.ErrRefused)
	for _, text := range []string{fmt.Sprint(q), fmt.Sprintf("%v %+v %#v %q %s", q, q, q, q, q), fmt.Sprintf("%v", Patient{Name: q})} {
		require.NotContains(t, text, "王")
		require.Contains(t, text, "[search]")
	}
	require.False(t, q.Valid())
	require.False(t, q.Equal(q))
	var n int64
	require.NoError(t, h.db.DB.Model(&Patient{}).Count(&n).Error)
	require.EqualValues(t, 7, n)
}

// Nobody is asked and nothing is recorded for rows that were only looked at to answer a search.
func TestSearchAsksNobody(t *testing.T) {
	h := searchHouse(t, testdb.New(t, testdb.SQLite), nil)
	h.gate.deny = true
	require.Equal(t, "1", h.ids(t, h.gorm().Where("name = ?", privacy.Match("王小明"))))
	require.Empty(t, h.gate.asked)
	require.Empty(t, h.log.looks)
}
