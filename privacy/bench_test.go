package privacy_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Sealed and Open are one row with five fields and three indexes, sealed and not.
type Sealed struct {
	ID         string `gorm:"primaryKey;size:36"`
	Name       privacy.String
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
	Email      privacy.String
	EmailIndex privacy.Index `gorm:"index" privacy:"of=Email,norm=email"`
	Card       privacy.String
	CardIndex  privacy.Index  `gorm:"index" privacy:"of=Card,norm=exact"`
	Address    privacy.String `privacy:"mask=address"`
}

type Open struct {
	ID      string `gorm:"primaryKey;size:36"`
	Name    string
	Phone   string `gorm:"index;size:60"`
	Email   string `gorm:"index;size:60"`
	Card    string `gorm:"index;size:60"`
	Address string
}

// Wide has the columns and widths of Sealed and nothing else of it: what a database asks for the bytes.
type Wide struct {
	ID         string `gorm:"primaryKey;size:36"`
	Name       []byte
	Phone      []byte
	PhoneIndex wideIndex `gorm:"index"`
	Email      []byte
	EmailIndex wideIndex `gorm:"index"`
	Card       []byte
	CardIndex  wideIndex `gorm:"index"`
	Address    []byte
}

// WideKey is a row as wide as a person's key.
type WideKey struct {
	Tenant    string `gorm:"primaryKey;size:36"`
	Subject   string `gorm:"primaryKey;size:60"`
	Version   int
	Wrapped   []byte
	CreatedAt int64 `gorm:"autoCreateTime:false"`
	ErasedAt  int64
}

// wideIndex is a column like that of an Index.
type wideIndex []byte

func (wideIndex) GormDBDataType(db *gorm.DB, f *schema.Field) string {
	return privacy.Index{}.GormDBDataType(db, f)
}

func sealedRows(n int, run int) []Sealed {
	out := make([]Sealed, n)
	for i := range out {
		out[i] = Sealed{
			ID: fmt.Sprintf("%d-%d", run, i), Name: privacy.New(fmt.Sprintf("Name %d", i)), Phone: privacy.New(fmt.Sprintf("138%08d", i)),
			Email: privacy.New(fmt.Sprintf("n%d@example.com", i)), Card: privacy.New(fmt.Sprintf("6222%012d", i)), Address: privacy.New("Some Street 1"),
		}
	}
	return out
}

func openRows(n int, run int) []Open {
	out := make([]Open, n)
	for i := range out {
		out[i] = Open{
			ID: fmt.Sprintf("%d-%d", run, i), Name: fmt.Sprintf("Name %d", i), Phone: fmt.Sprintf("138%08d", i),
			Email: fmt.Sprintf("n%d@example.com", i), Card: fmt.Sprintf("6222%012d", i), Address: "Some Street 1",
		}
	}
	return out
}

// wideRows has indexes that scatter as blind indexes do: inserting in order would be cheaper.
func wideRows(n int, run int) []Wide {
	out := make([]Wide, n)
	cell := func(size int) []byte { return bytes.Repeat([]byte{0xC0}, size+36) }
	index := func(i, column int) wideIndex {
		scattered := uint64(i*3+column+run*1_000_003) * 0x9E3779B97F4A7C15
		return append(wideIndex{0xC1}, fmt.Sprintf("%016x", scattered)...)
	}
	for i := range out {
		out[i] = Wide{
			ID: fmt.Sprintf("%d-%d", run, i), Name: cell(8), Phone: cell(11), PhoneIndex: index(i, 0),
			Email: cell(16), EmailIndex: index(i, 1), Card: cell(16), CardIndex: index(i, 2), Address: cell(13),
		}
	}
	return out
}

func wideKeys(n int, run int) []WideKey {
	out := make([]WideKey, n)
	for i := range out {
		out[i] = WideKey{Tenant: "main", Subject: fmt.Sprintf("sealed:%d-%d", run, i), Version: 1, Wrapped: make([]byte, 144)}
	}
	return out
}

func benchHouse(b *testing.B, engine string) *house {
	h := newHouse(b, testdb.New(b, engine))
	require.NoError(b, h.vault.Migrate(h.ctx, h.db.DB, &Sealed{}, &Open{}, &Wide{}, &WideKey{}))
	return h
}

// ratio runs both sides in turn and reports how much longer the first takes, by the first decile of either:
// what the work costs when nothing else has the processor.
func ratio(b *testing.B, sealed, open func(run int) error) {
	var a, c []time.Duration
	run := 0
	for b.Loop() {
		start := time.Now()
		require.NoError(b, sealed(run))
		mid := time.Now()
		require.NoError(b, open(run))
		a, c = append(a, mid.Sub(start)), append(c, time.Since(mid))
		run++
	}
	slices.Sort(a)
	slices.Sort(c)
	b.ReportMetric(float64(a[run/10])/float64(c[run/10]), "x/plain")
	b.ReportMetric(float64(a[run/10].Microseconds()), "us/sealed")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkInsert writes 1,000 new persons in one transaction, in batches of 100. The floors write rows of
// the same widths without privacy: one row a person, and one with a second row for the person's key.
func BenchmarkInsert(b *testing.B) {
	for _, engine := range testdb.Engines() {
		sides := map[string]func(tx *gorm.DB, run int) error{
			"sealed": func(tx *gorm.DB, run int) error {
				rows := sealedRows(1000, run)
				return tx.CreateInBatches(&rows, 100).Error
			},
			"floor": func(tx *gorm.DB, run int) error {
				rows := wideRows(1000, run)
				return tx.CreateInBatches(&rows, 100).Error
			},
			"floor+keys": func(tx *gorm.DB, run int) error {
				rows, keys := wideRows(1000, run), wideKeys(1000, run)
				if err := tx.CreateInBatches(&keys, 100).Error; err != nil {
					return err
				}
				return tx.CreateInBatches(&rows, 100).Error
			},
		}
		for _, side := range []string{"sealed", "floor", "floor+keys"} {
			b.Run(engine+"/"+side, func(b *testing.B) {
				h := benchHouse(b, engine)
				ratio(b,
					func(run int) error {
						return h.gorm().Transaction(func(tx *gorm.DB) error { return sides[side](tx, run) })
					},
					func(run int) error {
						rows := openRows(1000, run)
						return h.gorm().Transaction(func(tx *gorm.DB) error { return tx.CreateInBatches(&rows, 100).Error })
					})
			})
		}
	}
}

// BenchmarkList reads 100 rows of 100 persons, and prints two masks each, opens nothing, or selects no sealed
// column on either side. The floors read rows of the same widths without privacy, and with a query for 100 keys.
func BenchmarkList(b *testing.B) {
	for _, engine := range testdb.Engines() {
		h := benchHouse(b, engine)
		s, o, w, k := sealedRows(100, 0), openRows(100, 0), wideRows(100, 0), wideKeys(100, 0)
		for _, rows := range []any{&s, &o, &w, &k} {
			require.NoError(b, h.gorm().Create(rows).Error)
		}
		n := 0
		sealed := func(masked bool) error {
			var list []Sealed
			err := h.gorm().Find(&list).Error
			for i := range list {
				if masked {
					n += len(list[i].Phone.String()) + len(list[i].Address.String())
				}
			}
			return err
		}
		wide := func() error { var list []Wide; return h.gorm().Find(&list).Error }
		subjects := make([]string, len(k))
		for i := range k {
			subjects[i] = k[i].Subject
		}
		for _, side := range []struct {
			name string
			run  func(int) error
		}{
			{"masked", func(int) error { return sealed(true) }},
			{"unopened", func(int) error { return sealed(false) }},
			{"unselected", func(int) error { var list []Sealed; return h.gorm().Select("id").Find(&list).Error }},
			{"floor", func(int) error { return wide() }},
			{"floor+keys", func(int) error {
				var keys []WideKey
				if err := h.gorm().Find(&keys, "tenant = ? AND subject IN ?", "main", subjects).Error; err != nil {
					return err
				}
				return wide()
			}},
		} {
			b.Run(engine+"/"+side.name, func(b *testing.B) {
				ratio(b, side.run, func(int) error {
					var list []Open
					db := h.gorm()
					if side.name == "unselected" {
						db = db.Select("id")
					}
					err := db.Find(&list).Error
					for i := range list {
						n += len(list[i].Phone) + len(list[i].Address)
					}
					return err
				})
			})
		}
	}
}
