package escrow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/escrow"
	"github.com/confide-go/confide/privacy/insecurekey"
)

type customer struct {
	ID         string         `gorm:"primaryKey" privacy:"subject=customer"`
	Name       privacy.String `privacy:"mask=name"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
}

// log is a recorder that remembers or fails.
type log struct {
	mu    sync.Mutex
	lines []string
	fail  bool
}

func (l *log) Record(_ context.Context, action string, attrs ...slog.Attr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail {
		return errors.New("disk full")
	}
	l.lines = append(l.lines, fmt.Sprint(action, attrs))
	return nil
}

type tenantKey struct{}

func in(tenant string) context.Context {
	return context.WithValue(context.Background(), tenantKey{}, tenant)
}

func newKEK(t testing.TB) tink.AEADWithContext {
	t.Helper()
	kek, err := insecurekey.New()
	require.NoError(t, err)
	return kek
}

// start opens a vault over db as the program does.
func start(t testing.TB, db testdb.DB, kek tink.AEADWithContext) error {
	t.Helper()
	_, err := startAt(t, db, kek, time.Now)
	return err
}

func startAt(t testing.TB, db testdb.DB, kek tink.AEADWithContext, now func() time.Time) (*privacy.Vault, error) {
	t.Helper()
	v, err := privacy.Open(t.Context(), privacy.Config{
		KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard, Region: "CN", Now: now,
		Tenant: func(ctx context.Context) (string, error) { s, _ := ctx.Value(tenantKey{}).(string); return s, nil },
	})
	require.NoError(t, err)
	require.NoError(t, db.Use(v))
	return v, v.Migrate(t.Context(), db.DB, &customer{})
}

func add(t testing.TB, db testdb.DB, tenant, id string) {
	t.Helper()
	require.NoError(t, db.DB.WithContext(in(tenant)).Create(&customer{ID: tenant + id, Name: privacy.New("王小明"), Phone: privacy.New("138 0013 8000")}).Error)
}

func find(t testing.TB, db testdb.DB, tenant string) (string, error) {
	t.Helper()
	var c customer
	if err := db.DB.WithContext(in(tenant)).Where(&customer{Phone: privacy.New("+86 13800138000")}).First(&c).Error; err != nil {
		return "", err
	}
	return c.Name.Reveal(in(tenant), "test")
}

// A house is a database with two tenants, and people who may recover it.
type house struct {
	db     testdb.DB
	target escrow.Database
	kek    tink.AEADWithContext
	log    *log
	people []*escrow.Identity
}

func identities(t testing.TB, names ...string) []*escrow.Identity {
	t.Helper()
	var out []*escrow.Identity
	for _, name := range names {
		i, err := escrow.NewIdentity(name)
		require.NoError(t, err)
		out = append(out, i)
	}
	return out
}

func newHouse(t testing.TB, db testdb.DB) *house {
	t.Helper()
	h := &house{db: db, kek: newKEK(t), log: &log{}, people: identities(t, "ana", "ben", "王芳")}
	h.target = escrow.Database{DB: db.DB, Record: h.log}
	require.NoError(t, start(t, db, h.kek))
	for _, tenant := range []string{"north", "south"} {
		add(t, db, tenant, "1")
		add(t, db, tenant, "2")
	}
	return h
}

func (h *house) plan(threshold int) escrow.Plan {
	p := escrow.Plan{Threshold: threshold}
	for _, i := range h.people {
		p.Recipients = append(p.Recipients, i.Recipient())
	}
	return p
}

func (h *house) seal(t testing.TB, threshold int) *escrow.Escrow {
	t.Helper()
	e, err := escrow.Seal(t.Context(), h.target, h.kek, h.plan(threshold))
	require.NoError(t, err)
	return e
}

// keyTable is every stored wrapped key, to see that nothing was written.
func keyTable(t testing.TB, db *gorm.DB) string {
	t.Helper()
	pool, err := db.DB()
	require.NoError(t, err)
	var b strings.Builder
	for _, q := range []string{"SELECT tenant, purpose, wrapped FROM confide_tenant_keys ORDER BY 1, 2", "SELECT tenant, subject, wrapped FROM confide_subject_keys ORDER BY 1, 2"} {
		rows, err := pool.Query(q)
		require.NoError(t, err)
		for rows.Next() {
			var a, c string
			var w []byte
			require.NoError(t, rows.Scan(&a, &c, &w))
			fmt.Fprintf(&b, "%s %s %x\n", a, c, w)
		}
		require.NoError(t, rows.Err())
		rows.Close()
	}
	return b.String()
}
