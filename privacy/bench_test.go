package privacy_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

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

func benchHouse(b *testing.B, engine string) *house {
	h := newHouse(b, testdb.New(b, engine))
	require.NoError(b, h.vault.Migrate(h.ctx, h.db.DB, &Sealed{}, &Open{}))
	return h
}

// ratio runs both sides in turn and reports how much longer the first takes.
func ratio(b *testing.B, sealed, open func(run int) error) {
	var a, c time.Duration
	run := 0
	for b.Loop() {
		start := time.Now()
		require.NoError(b, sealed(run))
		mid := time.Now()
		require.NoError(b, open(run))
		a, c = a+mid.Sub(start), c+time.Since(mid)
		run++
	}
	b.ReportMetric(float64(a)/float64(c), "x/plain")
	b.ReportMetric(float64(a.Microseconds())/float64(run), "us/sealed")
}

// BenchmarkInsert writes 1,000 new persons in one transaction, in batches of 100.
func BenchmarkInsert(b *testing.B) {
	for _, engine := range testdb.Engines() {
		b.Run(engine, func(b *testing.B) {
			h := benchHouse(b, engine)
			ratio(b,
				func(run int) error {
					rows := sealedRows(1000, run)
					return h.gorm().Transaction(func(tx *gorm.DB) error { return tx.CreateInBatches(&rows, 100).Error })
				},
				func(run int) error {
					rows := openRows(1000, run)
					return h.gorm().Transaction(func(tx *gorm.DB) error { return tx.CreateInBatches(&rows, 100).Error })
				})
		})
	}
}

// BenchmarkList reads 100 rows of 100 persons, and prints two masks each or opens nothing.
func BenchmarkList(b *testing.B) {
	for _, engine := range testdb.Engines() {
		h := benchHouse(b, engine)
		s, o := sealedRows(100, 0), openRows(100, 0)
		require.NoError(b, h.gorm().Create(&s).Error)
		require.NoError(b, h.gorm().Create(&o).Error)
		for name, masked := range map[string]bool{"masked": true, "unopened": false} {
			b.Run(engine+"/"+name, func(b *testing.B) {
				n := 0
				ratio(b,
					func(int) error {
						var list []Sealed
						err := h.gorm().Find(&list).Error
						for i := range list {
							if masked {
								n += len(list[i].Phone.String()) + len(list[i].Address.String())
							}
						}
						return err
					},
					func(int) error {
						var list []Open
						err := h.gorm().Find(&list).Error
						for i := range list {
							if masked {
								n += len(list[i].Phone) + len(list[i].Address)
							}
						}
						return err
					})
			})
		}
	}
}
