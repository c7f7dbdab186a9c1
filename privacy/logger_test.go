package privacy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// paper is where the loggers of the tests write.
type paper struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *paper) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.text.String()
	p.text.Reset()
	return s
}

// chatty is a logger of one's own: it prints all it can reach of everything it is given.
type chatty struct{ w *paper }

func (c chatty) LogMode(logger.LogLevel) logger.Interface      { return c }
func (c chatty) Info(_ context.Context, s string, a ...any)    { fmt.Fprintf(c.w, s, a...) }
func (c chatty) Warn(ctx context.Context, s string, a ...any)  { c.Info(ctx, s, a...) }
func (c chatty) Error(ctx context.Context, s string, a ...any) { c.Info(ctx, s, a...) }
func (c chatty) Trace(_ context.Context, _ time.Time, f func() (string, int64), err error) {
	sql, n := f()
	fmt.Fprintf(c.w, "%s %d %v %+v %#v\n", sql, n, err, err, err)
	for e := err; e != nil; e = errors.Unwrap(e) {
		fmt.Fprintf(c.w, "%v %#v\n", e, e)
	}
}

func loggers(w *paper) map[string]logger.Interface {
	cfg := logger.Config{LogLevel: logger.Info, SlowThreshold: time.Nanosecond}
	quieter := cfg
	quieter.ParameterizedQueries = true
	handler := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
	return map[string]logger.Interface{
		"default": logger.New(log.New(w, "", 0), cfg), "parameterised": logger.New(log.New(w, "", 0), quieter),
		"slog": logger.NewSlogLogger(slog.New(handler), cfg), "of one's own": chatty{w},
	}
}

// talk runs statements that hold the canaries as parameters, as literals and in the errors of the database.
func talk(db *gorm.DB) []error {
	plain := &Plain{ID: "canary-1", Note: "canary 13800138000"}
	var list []Plain
	var n int64
	failed := []error{
		db.Create(plain).Error,
		db.Where("phone = ?", "canary").Find(&[]Customer{}).Error,
		db.Where("note = ?", "canary").Find(&list).Error,
		db.Where(map[string]any{"note": "canary"}).Order("id").Limit(5).Find(&list).Error,
		db.Where("note = 'canary' OR note = 13800138000").Find(&list).Error,
		db.Raw("SELECT * FROM plains WHERE note = 'ca''nary 13800138000' /* canary */").Scan(&list).Error,
		db.Raw(`SELECT * FROM plains WHERE note = 'x\'canary' -- canary`).Scan(&list).Error,
		db.Exec("UPDATE plains SET note = ? WHERE id = 'canary-1'", "canary").Error,
		db.Model(&Plain{}).Where("id = ?", "canary-1").Update("note", "canary").Error,
		db.Model(&Plain{}).Where("note LIKE ?", "%canary%").Count(&n).Error,
		db.Create(plain).Error, // a duplicate
		db.Create(&Plain{ID: strings.Repeat("canary", 50)}).Error,
		db.Where("total = ?", "canary").Find(&[]Invoice{}).Error,
		db.Where("total = ?", struct{ S string }{"canary"}).Find(&[]Invoice{}).Error,
		db.Raw("SELECT 1 FROM canary").Scan(&n).Error,
		db.Exec("canary").Error,
		db.Where("note = ?", "canary").First(&Plain{ID: "none"}).Error,
		db.Session(&gorm.Session{PrepareStmt: true}).Where("note = ?", "canary").Find(&list).Error,
		db.Transaction(func(tx *gorm.DB) error { return tx.Where("note = ?", "canary").Find(&list).Error }),
		db.Delete(&Plain{}, "id = ?", "canary-1").Error,
	}
	if rows, err := db.Model(&Plain{}).Where("note = ?", "canary").Rows(); err == nil {
		failed = append(failed, rows.Err(), rows.Close())
	}
	return failed
}

// Whatever logger is used, and however a statement got it, no value is in the log.
func TestNoLoggerShowsAValue(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		w := &paper{}
		talked := map[string]int{}
		for name, l := range loggers(w) {
			for how, conn := range map[string]*gorm.DB{
				"Session":              h.gorm().Session(&gorm.Session{Logger: l}),
				"Session, then Debug":  h.gorm().Session(&gorm.Session{Logger: l}).Debug(),
				"Debug of the context": h.gorm().Session(&gorm.Session{Logger: l, Context: h.ctx}).Debug().WithContext(h.ctx),
				"wrapped by hand":      h.gorm().Session(&gorm.Session{Logger: privacy.Logger(l)}),
			} {
				failed := talk(conn)
				require.ErrorIs(t, failed[1], privacy.ErrRefused)
				require.Error(t, failed[10], "a duplicate")
				out := w.take()
				noCanary(t, name+" by "+how, out)
				require.Contains(t, out, "plains", name)
				require.Contains(t, out, "logger_test.go:", "the place of the statement: %s", name)
				talked[name] += len(out)
			}
		}
		require.Len(t, talked, 4)
	})
}

func noCanary(t *testing.T, how, out string) {
	t.Helper()
	for _, line := range strings.Split(out, "\n") {
		// Statements name the table canary, which is no value.
		line = strings.ReplaceAll(line, "FROM canary", "")
		if line = strings.ReplaceAll(line, `"sql":"canary /*`, ""); strings.HasPrefix(strings.TrimSpace(line), "canary /*") || strings.Contains(line, "] canary /*") {
			continue
		}
		require.NotContains(t, line, "canary", how)
		require.NotContains(t, line, "138001", how)
	}
}

// The logger that a database was opened with is quiet from db.Use on.
func TestUseQuietensTheLogger(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		for name := range loggers(&paper{}) {
			w := &paper{}
			own := db.Reopen(t)
			own.DB.Logger = loggers(w)[name]
			before := own.DB.Session(&gorm.Session{})
			h := openHouse(t, own, kek, nil)
			w.take()
			talk(h.gorm())
			noCanary(t, name, w.take())
			talk(before)
			noCanary(t, name+", a session from before", w.take())
			own.DB.Logger = loggers(w)[name]
			talk(h.gorm())
			noCanary(t, name+", set later", w.take())
			h.gorm().Logger.Info(h.ctx, "saw %s", "canary")
			h.gorm().Session(&gorm.Session{Logger: privacy.Logger(loggers(w)[name])}).Logger.Error(h.ctx, "saw %v", errors.New("canary"))
		}
	})
}

// Without the vault the same statements do show them: the tests above would notice.
func TestLoggersWithoutTheVaultShowValues(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	require.NoError(t, db.AutoMigrate(&Plain{}))
	w := &paper{}
	for name, l := range loggers(w) {
		talk(db.Session(&gorm.Session{Logger: l, Context: context.Background()}))
		require.Contains(t, w.take(), "canary", name)
	}
}

func TestWhatTheLogStillSays(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	w := &paper{}
	quiet := privacy.Logger(chatty{w})
	say := func(sql string, err error) string {
		quiet.Trace(t.Context(), time.Now(), func() (string, int64) { return sql, 3 }, err)
		return w.take()
	}
	require.Contains(t, say("SELECT * FROM `customers` WHERE `phone_index` IN (?,?) AND n = 12.5e3 LIMIT 1", nil), "SELECT * FROM `customers` WHERE `phone_index` IN (?,?) AND n = ? LIMIT ?")
	require.Contains(t, say(`SELECT $1, E'x', N'y', t2.c1 FROM t2`, nil), "SELECT $1, E?, N?, t2.c1 FROM t2")
	require.Contains(t, say("SELECT $x$canary$x$", nil), "SELECT ?")
	require.Contains(t, say("x", gorm.ErrRecordNotFound), "record not found")
	require.Contains(t, say("x", &privacy.Refusal{Field: "a", Why: "b", Remedy: "c"}), "privacy: a: b; c")
	err := fmt.Errorf("canary: %w", context.Canceled)
	require.Contains(t, say("x", err), "context canceled (the rest of the error may quote values and is withheld)")
	require.NotContains(t, say("x", err), "canary")
	require.NoError(t, db.AutoMigrate(&Plain{}))
	require.NoError(t, db.Create(&Plain{ID: "1"}).Error)
	dup := db.Create(&Plain{ID: "1"}).Error
	require.Error(t, dup)
	require.Contains(t, say("x", dup), "code 1555")
	require.Contains(t, say("x", errors.New("canary")), "*errors.errorString")
	quiet.Warn(t.Context(), "saw %s and %v", "canary", errors.New("canary"))
	require.NotContains(t, w.take(), "canary")
}
