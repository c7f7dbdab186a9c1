package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/internal/testdb"
)

const writers = 16

// benchLog opens a log on a fresh database and starts its sealer.
func benchLog(b *testing.B, db testdb.DB) *audit.Log {
	b.Helper()
	store, err := gormstore.Open(b.Context(), db.DB)
	require.NoError(b, err)
	log := memoryLog(b, store, func(c *audit.Config) { c.Now, c.Interval, c.CloseWait = time.Now, 100*time.Millisecond, 10*time.Minute })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- log.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		require.NoError(b, <-done)
		require.NoError(b, log.Close())
	})
	return log
}

// share runs f n times, spread over the writers, and returns how long it took.
func share(b *testing.B, n int, f func(i int) error) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range writers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= n; i = int(next.Add(1)) {
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func benchEngines(b *testing.B, f func(b *testing.B, db testdb.DB)) {
	for _, engine := range testdb.Engines() {
		b.Run(engine, func(b *testing.B) {
			db := testdb.New(b, engine)
			pool, err := db.DB.DB()
			require.NoError(b, err)
			pool.SetMaxOpenConns(writers + 4)
			pool.SetMaxIdleConns(writers + 4)
			f(b, db)
		})
	}
}

// BenchmarkAuditedTx compares a transaction that updates one row and then works
// for two milliseconds with the same transaction under the plugin, while the sealer
// runs. Both sides take turns, so that a noisy machine hits both.
func BenchmarkAuditedTx(b *testing.B) {
	benchEngines(b, func(b *testing.B, db testdb.DB) {
		require.NoError(b, db.AutoMigrate(&customer{}))
		rows := make([]customer, 1000)
		for i := range rows {
			rows[i].ID = fmt.Sprint(i)
		}
		require.NoError(b, db.Create(&rows).Error)
		audited, err := gorm.Open(testdb.Dialector(db.Engine, db.DSN), &gorm.Config{Logger: logger.Discard, ConnPool: db.ConnPool})
		require.NoError(b, err)
		require.NoError(b, audited.Use(benchLog(b, db)))
		ctx := as(b.Context(), audit.Actor{ID: "u"})
		tx := func(g *gorm.DB) func(int) error {
			return func(i int) error {
				return g.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
					err := tx.Model(&customer{ID: fmt.Sprint(i % len(rows))}).Update("owner", fmt.Sprint(i)).Error
					time.Sleep(2 * time.Millisecond) // the application at work
					return err
				})
			}
		}
		var plain, with time.Duration
		for n := 0; b.Loop(); n++ {
			plain += share(b, 16*writers, tx(db.DB))
			with += share(b, 16*writers, tx(audited))
		}
		n := float64(b.N * 16 * writers)
		b.ReportMetric(n/with.Seconds(), "tx/s")
		b.ReportMetric(plain.Seconds()/with.Seconds(), "x/plain")
	})
}

// BenchmarkAppend measures durable events: each one, waited for by its writer,
// and batches of 512, as RecordApart forms them under load.
func BenchmarkAppend(b *testing.B) {
	attrs := []slog.Attr{slog.String("resource", "customer"), slog.String("row", "4711"), slog.String("purpose", "call back about ticket 7"),
		slog.Any("fields", []string{"phone", "email"}), slog.String("policy", "sales-staff/17")}
	benchEngines(b, func(b *testing.B, db testdb.DB) {
		log := benchLog(b, db)
		ctx := as(b.Context(), audit.Actor{ID: "u3", IP: "10.0.0.7", Channel: "web", RequestID: "0b5e3c0e"})
		b.Run("each", func(b *testing.B) {
			took, n := time.Duration(0), 0
			for b.Loop() {
				took += share(b, 100*writers, func(int) error { return log.Record(ctx, "customer.reveal", attrs...) })
				n += 100 * writers
			}
			b.ReportMetric(float64(n)/took.Seconds(), "events/s")
		})
		b.Run("batched", func(b *testing.B) {
			start, n := time.Now(), 0
			for b.Loop() {
				for range 4096 {
					if err := log.RecordApart(ctx, "customer.reveal", attrs...); err != nil {
						b.Fatal(err)
					}
				}
				require.NoError(b, log.Flush(ctx))
				n += 4096
			}
			b.ReportMetric(float64(n)/time.Since(start).Seconds(), "events/s")
		})
	})
}

// BenchmarkSeal seals 20,000 events that wait: chain, tree, indexes and one signature a pass.
func BenchmarkSeal(b *testing.B) {
	const events = 20_000
	benchEngines(b, func(b *testing.B, db testdb.DB) {
		store, err := gormstore.Open(b.Context(), db.DB)
		require.NoError(b, err)
		log := memoryLog(b, store, func(c *audit.Config) { c.Now, c.CloseWait = time.Now, 10*time.Minute })
		b.Cleanup(func() { require.NoError(b, log.Close()) })
		ctx := as(b.Context(), audit.Actor{ID: "u3", IP: "10.0.0.7", Channel: "web"})
		var took time.Duration
		for b.Loop() {
			for i := range events {
				require.NoError(b, log.RecordApart(ctx, "customer.reveal", slog.String("resource", "customer"), slog.Int("row", i), slog.String("purpose", "call back about ticket 7")))
				if i%4000 == 3999 {
					require.NoError(b, log.Flush(ctx))
				}
			}
			start := time.Now()
			_, err := log.Seal(ctx)
			require.NoError(b, err)
			took += time.Since(start)
		}
		b.ReportMetric(float64(events*b.N)/took.Seconds(), "events/s")
	})
}

// BenchmarkVerify verifies an export of 100,000 events: reading and decoding the
// file ("file") and the verification of what was read ("verify").
func BenchmarkVerify(b *testing.B) {
	const events = 100_000
	store := audit.NewMemory()
	signer, verifier := keys(b)
	log, err := audit.Open(b.Context(), audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	require.NoError(b, err)
	for i := range events {
		require.NoError(b, log.RecordApart(b.Context(), "customer.reveal", slog.String("resource", "customer"), slog.Int("row", i),
			slog.String("purpose", "call back about ticket 7"), slog.String("policy", "sales-staff/17")))
		if i%4000 == 3999 {
			require.NoError(b, log.Flush(b.Context()))
			_, err := log.Seal(b.Context())
			require.NoError(b, err)
		}
	}
	run := func(name string, verify func() (audit.Report, error)) {
		b.Run(name, func(b *testing.B) {
			begin := cpuTime()
			for b.Loop() {
				r, err := verify()
				require.NoError(b, err)
				require.True(b, r.OK && r.Size == events)
			}
			b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
			b.ReportMetric(float64(events*b.N)/(cpuTime()-begin).Seconds(), "events/cpu-s")
		})
	}
	run("verify", func() (audit.Report, error) { return log.Verify(b.Context(), audit.VerifyOptions{}) })
	var out bytes.Buffer
	require.NoError(b, log.Export(b.Context(), &out))
	run("file", func() (audit.Report, error) {
		return audit.VerifyExport(b.Context(), bytes.NewReader(out.Bytes()), verifier, audit.VerifyOptions{})
	})
}

// BenchmarkSeen compares a list page of 50 rows, read by GORM and rendered as
// HTML, with the same page and Seen: what the reader waits for ("x/latency", with the
// writing of other pages' events going on meanwhile) and all of it, up to the sealing ("x/all").
func BenchmarkSeen(b *testing.B) {
	benchEngines(b, func(b *testing.B, db testdb.DB) {
		require.NoError(b, db.AutoMigrate(&customer{}))
		rows := make([]customer, 1000)
		for i := range rows {
			rows[i] = customer{ID: fmt.Sprintf("%04d", i), Name: "Luís Gonçalves", Phone: "13800138000", Owner: "u3"}
		}
		require.NoError(b, db.Create(&rows).Error)
		log := benchLog(b, db)
		ctx := as(b.Context(), audit.Actor{ID: "u3", IP: "10.0.0.7", Channel: "web"})
		page := template.Must(template.New("page").Parse(`<table>{{range .}}<tr><td>{{.ID}}</td><td>{{.Name}}</td><td>{{.Phone}}</td><td>{{.Owner}}</td></tr>{{end}}</table>`))
		list := func(i int, seen bool) {
			var l []customer
			require.NoError(b, db.WithContext(ctx).Order("id").Offset(i%900).Limit(50).Find(&l).Error)
			if seen {
				keys := make([]string, len(l))
				for i := range l {
					keys[i] = l[i].ID
				}
				require.NoError(b, log.Seen(ctx, "customer", keys, []string{"id", "name", "phone", "owner"}))
			}
			require.NoError(b, page.Execute(io.Discard, l))
		}
		var wall, whole [2]time.Duration
		for n := 0; b.Loop(); n++ {
			for side := range 2 {
				start := time.Now()
				for i := range 50 {
					list(n*50+i, side == 1)
				}
				wall[side] += time.Since(start)
				// Sealing is not what a reader waits for; it is counted apart.
				require.NoError(b, log.Flush(ctx))
				_, err := log.Seal(ctx)
				require.NoError(b, err)
				whole[side] += time.Since(start)
			}
		}
		b.ReportMetric(whole[1].Seconds()/whole[0].Seconds(), "x/all")
		b.ReportMetric(wall[1].Seconds()/wall[0].Seconds(), "x/latency")
	})
}
