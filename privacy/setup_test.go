package privacy_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/insecurekey"
)

// The model of most tests. Phone and Email are found by their indexes, Name is not.
type Customer struct {
	ID         string         `gorm:"primaryKey;size:36" privacy:"subject=customer"`
	Owner      string         `gorm:"size:36"`
	Name       privacy.String `privacy:"mask=name"`
	Phone      privacy.String `privacy:"mask=phone"`
	PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
	Email      privacy.String `privacy:"mask=email"`
	EmailIndex privacy.Index  `gorm:"index" privacy:"of=Email,norm=email"`
	Prefs      privacy.Value[Prefs]
	Invoices   []Invoice `gorm:"constraint:-"`
}

type Prefs struct {
	Diet  string
	Calls bool
}

// Invoice holds data of the customer it belongs to.
type Invoice struct {
	ID          string         `gorm:"primaryKey;size:36"`
	CustomerID  string         `gorm:"size:36" privacy:"subject=customer"`
	Customer    *Customer      `gorm:"constraint:-"`
	BillingName privacy.String `privacy:"mask=name"`
	Total       int
}

// Plain has no sealed field.
type Plain struct {
	ID         string `gorm:"primaryKey;size:36"`
	CustomerID string `gorm:"size:36"`
	Note       string
}

// look is one call of Record.
type look struct {
	action string
	attrs  map[string]string
}

// recorder notes what it is told, or fails.
type recorder struct {
	mu    sync.Mutex
	looks []look
	fail  bool
}

func (r *recorder) Record(_ context.Context, action string, attrs ...slog.Attr) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail {
		return errors.New("disk full")
	}
	m := map[string]string{}
	for _, a := range attrs {
		m[a.Key] = a.Value.String()
	}
	r.looks = append(r.looks, look{action, m})
	return nil
}

// gate counts its questions and denies what it was told to.
type gate struct {
	mu    sync.Mutex
	asked []string
	deny  bool
}

func (g *gate) MayReveal(_ context.Context, resource string, rows, fields []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, resource+" "+strings.Join(rows, ",")+" "+strings.Join(fields, ","))
	if g.deny {
		return errors.New("not allowed")
	}
	return nil
}

// countingKEK counts the calls that a key management service would bill.
type countingKEK struct {
	tink.AEADWithContext
	mu    sync.Mutex
	opens int
}

func (k *countingKEK) DecryptWithContext(ctx context.Context, c, ad []byte) ([]byte, error) {
	k.mu.Lock()
	k.opens++
	k.mu.Unlock()
	return k.AEADWithContext.DecryptWithContext(ctx, c, ad)
}

type tenantKey struct{}

func withTenant(t string) context.Context {
	return context.WithValue(context.Background(), tenantKey{}, t)
}

// A house is a database with a vault in front of it.
type house struct {
	db    testdb.DB
	vault *privacy.Vault
	kek   *countingKEK
	gate  *gate
	log   *recorder
	ctx   context.Context
}

func newKEK(t testing.TB) *countingKEK {
	t.Helper()
	kek, err := insecurekey.New()
	require.NoError(t, err)
	return &countingKEK{AEADWithContext: kek}
}

// newHouse opens a vault over an empty database and migrates the models of the tests.
func newHouse(t testing.TB, db testdb.DB) *house {
	return openHouse(t, db, newKEK(t), nil)
}

func openHouse(t testing.TB, db testdb.DB, kek *countingKEK, change func(*privacy.Config)) *house {
	t.Helper()
	h := &house{db: db, kek: kek, gate: &gate{}, log: &recorder{}, ctx: context.Background()}
	cfg := privacy.Config{KEK: kek, Gate: h.gate, Record: h.log, Region: "CN"}
	if change != nil {
		change(&cfg)
	}
	var err error
	h.vault, err = privacy.Open(h.ctx, cfg)
	require.NoError(t, err)
	require.NoError(t, db.Use(h.vault))
	require.NoError(t, h.vault.Migrate(h.ctx, db.DB, &Customer{}, &Invoice{}, &Plain{}))
	return h
}

func (h *house) gorm() *gorm.DB { return h.db.DB.WithContext(h.ctx) }

func customer(id, name, phone, email string) *Customer {
	return &Customer{ID: id, Owner: "e3", Name: privacy.New(name), Phone: privacy.New(phone), Email: privacy.New(email)}
}

// reveal returns the text of a value, failing the test if there is none.
func reveal(t testing.TB, s privacy.String) string {
	t.Helper()
	text, err := s.Reveal(context.Background(), "test")
	require.NoError(t, err)
	return text
}

// stored returns a column's bytes as the database holds them, past everything.
func (h *house) stored(t testing.TB, table, column, id string) []byte {
	t.Helper()
	pool, err := h.db.DB.DB()
	require.NoError(t, err)
	placeholder := "?"
	if h.db.Engine == testdb.Postgres {
		placeholder = "$1"
	}
	var b []byte
	require.NoError(t, pool.QueryRow("SELECT "+column+" FROM "+table+" WHERE id = "+placeholder, id).Scan(&b))
	return b
}

type recorderFunc func(ctx context.Context) error

func (f recorderFunc) Record(ctx context.Context, _ string, _ ...slog.Attr) error { return f(ctx) }
