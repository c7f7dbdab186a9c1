package privacy_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/privacy"
)

// Person has a field of each type beside String and Value.
type Person struct {
	ID          string          `gorm:"primaryKey;size:36" privacy:"subject=person"`
	Born        privacy.Date    `privacy:"mask=birthdate"`
	BornIndex   privacy.Index   `gorm:"index" privacy:"of=Born,norm=exact"`
	Salary      privacy.Decimal `privacy:"pad=32"`
	SalaryIndex privacy.Index   `gorm:"index" privacy:"of=Salary,norm=exact"`
	Score       privacy.Int
	ScoreIndex  privacy.Index `gorm:"index" privacy:"of=Score,norm=exact"`
	Seen        privacy.Time
	Scan        privacy.Bytes
	ScanIndex   privacy.Index  `gorm:"index" privacy:"of=Scan,norm=exact"`
	Note        privacy.String `privacy:"pad=64"`
	Extra       *privacy.Date
}

var seenAt = time.Date(1987, time.May, 14, 3, 4, 5, 123456789, time.FixedZone("somewhere", 5*3600+30*60))

func decimal(t testing.TB, s string) privacy.Decimal {
	t.Helper()
	d, err := privacy.ParseDecimal(s)
	require.NoError(t, err)
	return d
}

func person(t testing.TB, id string) *Person {
	extra := privacy.NewDate(2001, time.February, 28)
	return &Person{
		ID: id, Born: privacy.NewDate(1987, time.May, 14), Salary: decimal(t, "0081234.50"), Score: privacy.NewInt(-7651234),
		Seen: privacy.NewTime(seenAt), Scan: privacy.NewBytes([]byte{0xC0, 0xDE, 1, 'l', 'e', 'a', 'k'}), Note: privacy.New("Canarino"), Extra: &extra,
	}
}

func peopleHouse(t testing.TB, db testdb.DB) *house {
	h := newHouse(t, db)
	require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &Person{}))
	return h
}

func TestEveryTypeGoesInAndComesOut(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := peopleHouse(t, db)
		require.NoError(t, h.gorm().Create(person(t, "1")).Error)
		var p Person
		require.NoError(t, h.gorm().First(&p).Error)
		born, err := p.Born.Reveal(h.ctx, "test")
		require.NoError(t, err)
		require.Equal(t, privacy.Day{Year: 1987, Month: time.May, Day: 14}, born)
		salary, err := p.Salary.Reveal(h.ctx, "test")
		require.NoError(t, err)
		require.Equal(t, "81234.5", salary)
		score, err := p.Score.Reveal(h.ctx, "test")
		require.NoError(t, err)
		require.EqualValues(t, -7651234, score)
		seen, err := p.Seen.Reveal(h.ctx, "test")
		require.NoError(t, err)
		require.True(t, seen.Equal(seenAt))
		require.Equal(t, "1987-05-14T03:04:05.123456789+05:30", seen.Format(time.RFC3339Nano))
		scan, err := p.Scan.Reveal(h.ctx, "test")
		require.NoError(t, err)
		require.Equal(t, []byte{0xC0, 0xDE, 1, 'l', 'e', 'a', 'k'}, scan)
		scan[0] = 0
		require.True(t, p.Scan.Equal(person(t, "1").Scan), "what was revealed is a copy")
		extra, err := p.Extra.Reveal(h.ctx, "test")
		require.NoError(t, err)
		require.Equal(t, "2001-02-28", extra.String())
		require.True(t, p.Born.Equal(privacy.NewDate(1987, 5, 14)))
		require.False(t, p.Born.Equal(privacy.NewDate(1987, 5, 15)))
		require.True(t, p.Salary.Equal(decimal(t, "81234.500")))
		require.True(t, p.Score.Equal(privacy.NewInt(-7651234)))
		require.True(t, p.Seen.Equal(privacy.NewTime(seenAt)))
		require.False(t, p.Seen.Equal(privacy.NewTime(seenAt.UTC())), "the offset is part of the value")

		rows, err := h.vault.RevealRows(h.ctx, "test", &p)
		require.NoError(t, err)
		require.Equal(t, map[string]string{"Born": "1987-05-14", "Salary": "81234.5", "Score": "-7651234", "Seen": "1987-05-14T03:04:05.123456789+05:30",
			"Scan": "\xC0\xDE\x01leak", "Note": "Canarino", "Extra": "2001-02-28"}, rows[0])

		// An unchanged value keeps its ciphertext, also where an equal one is assigned by saving the loaded row.
		before := h.stored(t, "people", "salary", "1")
		require.NoError(t, h.gorm().Save(&p).Error)
		require.Equal(t, before, h.stored(t, "people", "salary", "1"))
		findings, err := h.vault.Doctor(h.ctx, h.db.DB)
		require.NoError(t, err)
		require.Empty(t, findings)
	})
}

func TestNullEmptyAbsentOfEveryType(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := peopleHouse(t, db)
		require.NoError(t, h.gorm().Create(person(t, "1")).Error)
		// Absent: every update leaves the stored values alone.
		require.NoError(t, h.gorm().Save(&Person{ID: "1"}).Error)
		var p Person
		require.NoError(t, h.gorm().First(&p).Error)
		require.True(t, p.Born.Valid() && p.Salary.Valid() && p.Score.Valid() && p.Seen.Valid() && p.Scan.Valid())
		// NULL and empty are different.
		require.NoError(t, h.gorm().Save(&Person{ID: "1", Born: privacy.NullDate(), Salary: privacy.NullDecimal(), Score: privacy.NullInt(), Seen: privacy.NullTime(), Scan: privacy.NewBytes(nil), Note: privacy.New("")}).Error)
		p = Person{}
		require.NoError(t, h.gorm().First(&p).Error)
		require.True(t, p.Born.IsNull() && p.Salary.IsNull() && p.Score.IsNull() && p.Seen.IsNull())
		require.True(t, p.Scan.Valid() && p.Note.Valid())
		require.True(t, p.Born.Equal(privacy.NullDate()))
		scan, err := p.Scan.Reveal(h.ctx, "test")
		require.NoError(t, err)
		require.Equal(t, []byte{}, scan)
		_, err = p.Score.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnbound, "NULL is not zero")
		require.Nil(t, h.stored(t, "people", "score", "1"))
		require.Nil(t, h.stored(t, "people", "score_index", "1"))
		require.True(t, (Person{}).Born.IsZero())
		require.NoError(t, h.gorm().Model(&p).Update("scan", privacy.NullBytes()).Error)
		require.Nil(t, h.stored(t, "people", "scan", "1"))

		_, err = h.vault.Erase(h.ctx, h.db.DB, "person:1")
		require.NoError(t, err)
		require.NoError(t, h.gorm().First(&p).Error)
		require.True(t, p.Note.IsErased())
	})
}

func TestSearchByDateAndNumber(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := peopleHouse(t, db)
		require.NoError(t, h.gorm().Create(person(t, "1")).Error)
		require.NoError(t, h.gorm().Create(&Person{ID: "2", Born: privacy.NewDate(1987, 5, 15), Score: privacy.NewInt(7651234)}).Error)
		find := func(cond any, args ...any) []string {
			var ids []string
			require.NoError(t, h.gorm().Model(&Person{}).Where(cond, args...).Order("id").Pluck("id", &ids).Error)
			return ids
		}
		require.Equal(t, []string{"1"}, find("born = ?", privacy.NewDate(1987, 5, 14)))
		require.Equal(t, []string{"2"}, find(&Person{Born: privacy.NewDate(1987, 5, 15)}))
		require.Equal(t, []string{"1", "2"}, find("born IN ?", []privacy.Date{privacy.NewDate(1987, 5, 14), privacy.NewDate(1987, 5, 15)}))
		require.Equal(t, []string{"1"}, find("salary = ?", decimal(t, "+81234.5000")))
		require.Equal(t, []string{"2"}, find(map[string]any{"score": privacy.NewInt(7651234)}))
		require.Equal(t, []string{"1"}, find("scan = ?", person(t, "1").Scan))

		// What can never be found is refused, not missed.
		for _, cond := range []any{privacy.New("1987-05-14"), privacy.NewTime(seenAt), privacy.NewValue("1987-05-14")} {
			err := h.gorm().Where("born = ?", cond).Find(&[]Person{}).Error
			require.ErrorIs(t, err, privacy.ErrRefused)
			require.ErrorContains(t, err, "privacy.NewDate")
			require.NotContains(t, err.Error(), "1987")
		}
		require.ErrorIs(t, h.gorm().Where("seen = ?", privacy.NewTime(seenAt)).Find(&[]Person{}).Error, privacy.ErrRefused)
		// And what could never be read is not stored.
		for column, value := range map[string]any{"born": privacy.New("1987-05-14"), "score": decimal(t, "1"), "salary": privacy.NewInt(1), "note": privacy.NewBytes([]byte("1987"))} {
			err := h.gorm().Model(&Person{ID: "1"}).Update(column, value).Error
			require.ErrorIs(t, err, privacy.ErrRefused, column)
			require.NotContains(t, err.Error(), "1987")
			require.ErrorIs(t, h.gorm().Model(&Person{}).Create(map[string]any{"id": "9", column: value}).Error, privacy.ErrRefused, column)
		}
	})
}

func TestValuesThatDoNotExistAreNotStored(t *testing.T) {
	h := peopleHouse(t, testdb.New(t, testdb.SQLite))
	for name, p := range map[string]*Person{
		"30 February": {ID: "1", Born: privacy.NewDate(2023, 2, 30)}, "year 0": {ID: "1", Born: privacy.NewDate(0, 1, 1)},
		"month 13": {ID: "1", Born: privacy.NewDate(2023, 13, 1)}, "year 10000": {ID: "1", Seen: privacy.NewTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC))},
	} {
		require.ErrorIs(t, h.gorm().Create(p).Error, privacy.ErrUnreadable, name)
	}
	for _, s := range []string{"", "1987-5-14", "1987-02-29", "0000-01-01", "1987-05-14T00:00:00Z", " 1987-05-14", "19870514", "１987-05-14"} {
		d, err := privacy.ParseDate(s)
		require.ErrorContains(t, err, "2006-01-02")
		require.True(t, d.IsZero())
		if s != "" {
			require.NotContains(t, err.Error(), s)
		}
	}
	for _, s := range []string{"", "1e9", "1E1000000000", "0x10", "1,000", "1.", ".5", "--1", "1.2.3", "NaN", "Inf", "1_000", "1/3", strings.Repeat("9", 39), "0." + strings.Repeat("1", 39), strings.Repeat("0", 1<<20)} {
		_, err := privacy.ParseDecimal(s)
		require.ErrorContains(t, err, "without exponent", "%.20s", s)
	}
	for in, want := range map[string]string{"-0.00": "0", "+007.10": "7.1", "000": "0", "-10": "-10", strings.Repeat("9", 38) + "." + strings.Repeat("9", 38): strings.Repeat("9", 38) + "." + strings.Repeat("9", 38)} {
		require.True(t, decimal(t, in).Equal(decimal(t, want)), in)
	}
}

// A time keeps its instant whatever its zone is.
func TestTimeKeepsTheInstant(t *testing.T) {
	for _, offset := range []int{0, 1, 59, 60, -60, 19*60 + 32, 14 * 3600, -12 * 3600, 24 * 3600, 30 * 3600} {
		in := time.Unix(1234567890, 1).In(time.FixedZone("x", offset))
		b, err := json.Marshal(in.UTC())
		require.NoError(t, err)
		var fromJSON privacy.Time
		require.NoError(t, json.Unmarshal(b, &fromJSON))
		if offset%60 != 0 || offset >= 24*3600 || offset == 0 {
			require.True(t, privacy.NewTime(in).Equal(fromJSON), "offset %d", offset)
		} else {
			require.False(t, privacy.NewTime(in).Equal(fromJSON), "offset %d", offset)
		}
	}
}

func TestNothingPrintsATypedValue(t *testing.T) {
	h := peopleHouse(t, testdb.New(t, testdb.SQLite))
	made := person(t, "1")
	check := func(t *testing.T, p *Person) {
		t.Helper()
		var out bytes.Buffer
		values := []any{p, *p, p.Born, p.Salary, p.Score, p.Seen, p.Scan, &p.Born, &p.Score, []privacy.Date{p.Born}, struct{ inner privacy.Int }{p.Score}}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%e", "%g", "%08.3f", "%30s", "%U", "%c", "%b"} {
			for _, v := range values {
				fmt.Fprintf(&out, verb, v)
			}
		}
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "all", values, "born", p.Born, "score", p.Score, "seen", &p.Seen)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "all", values, "salary", p.Salary, "scan", p.Scan)
		b, err := json.Marshal(values[:10])
		require.NoError(t, err)
		out.Write(b)
		b, err = xml.Marshal(struct {
			XMLName xml.Name `xml:"p"`
			Born    privacy.Date
			Score   privacy.Int
		}{Born: p.Born, Score: p.Score})
		require.NoError(t, err)
		out.Write(b)
		for _, v := range []any{p.Born, p.Salary, p.Score, p.Seen, p.Scan} {
			require.Error(t, gob.NewEncoder(&bytes.Buffer{}).Encode(v))
			text, err := v.(interface{ MarshalText() ([]byte, error) }).MarshalText()
			require.NoError(t, err)
			out.Write(text)
			out.WriteString(v.(masking.Masker).MaskAt(masking.Full))
			func() {
				defer func() { fmt.Fprint(&out, recover()) }()
				panic(v)
			}()
		}
		var dumped strings.Builder
		if p == made {
			dumpAll(&dumped, reflect.ValueOf(p), 0)
		}
		for _, needle := range []string{"05-14", "81234", "7651234", "leak", "6c65616b", "03:04", "bGVh"} {
			require.NotContains(t, out.String(), needle)
			require.NotContains(t, dumped.String(), needle)
		}
	}
	t.Run("before it is saved", func(t *testing.T) { check(t, made) })
	require.NoError(t, h.gorm().Create(made).Error)
	t.Run("after it is saved", func(t *testing.T) {
		check(t, &Person{Born: made.Born, Salary: made.Salary, Score: made.Score, Seen: made.Seen, Scan: made.Scan})
	})
	var read Person
	require.NoError(t, h.gorm().First(&read).Error)
	t.Run("after it is read", func(t *testing.T) { check(t, &read) })
	require.Equal(t, "1987-**-**", read.Born.String())
	require.Equal(t, "[sealed]", read.Salary.String())
	require.Equal(t, "[sealed]", read.Score.String())
	require.Equal(t, "[sealed]", read.Seen.String())
	require.Equal(t, "[sealed]", read.Scan.String())
}

func TestTypedJSON(t *testing.T) {
	for _, c := range []struct {
		in   string
		into interface{ UnmarshalJSON([]byte) error }
		same func(any) bool
	}{
		{`"1987-05-14"`, &privacy.Date{}, func(v any) bool { return v.(*privacy.Date).Equal(privacy.NewDate(1987, 5, 14)) }},
		{`-7651234`, &privacy.Int{}, func(v any) bool { return v.(*privacy.Int).Equal(privacy.NewInt(-7651234)) }},
		{fmt.Sprintf(`"%d"`, math.MaxInt64), &privacy.Int{}, func(v any) bool { return v.(*privacy.Int).Equal(privacy.NewInt(math.MaxInt64)) }},
		{`81234.50`, &privacy.Decimal{}, func(v any) bool { return v.(*privacy.Decimal).Equal(decimal(t, "81234.5")) }},
		{`"81234.50"`, &privacy.Decimal{}, func(v any) bool { return v.(*privacy.Decimal).Equal(decimal(t, "81234.5")) }},
		{`"1987-05-14T03:04:05.123456789+05:30"`, &privacy.Time{}, func(v any) bool { return v.(*privacy.Time).Equal(privacy.NewTime(seenAt)) }},
		{`"bGVhaw=="`, &privacy.Bytes{}, func(v any) bool { return v.(*privacy.Bytes).Equal(privacy.NewBytes([]byte("leak"))) }},
	} {
		require.NoError(t, json.Unmarshal([]byte(c.in), c.into), c.in)
		require.True(t, c.same(c.into), c.in)
		masked, err := json.Marshal(c.into)
		require.NoError(t, err)
		require.JSONEq(t, `{"masked":true,"hint":"[sealed]"}`, string(masked))
		require.ErrorContains(t, json.Unmarshal(masked, c.into), "a mask is not a value")
		for _, bad := range []string{`1e9`, `"canary"`, `true`, `{"a":1}`, `["1987-05-14"]`, `9223372036854775808.5e1`, `"1987-02-30"`, `"1987-05-14 03:04:05"`} {
			err := c.into.UnmarshalJSON([]byte(bad))
			require.Error(t, err, "%T %s", c.into, bad)
			require.NotContains(t, err.Error(), strings.Trim(bad, `"`))
			require.True(t, c.same(c.into), "a refused value must not replace the old one")
		}
		require.NoError(t, json.Unmarshal([]byte(`null`), c.into))
		require.True(t, c.into.(interface{ IsNull() bool }).IsNull())
	}
}
