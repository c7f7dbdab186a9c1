package privacy

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy/internal/pinyin"
)

// Config configures a Vault. KEK, Gate and Record are required.
type Config struct {
	// KEK wraps the tenants' keysets: a local key file (privacy/keyfile) or a key management service. It is
	// called once per tenant and process, never per value.
	KEK tink.AEADWithContext
	// OtherKEKs open what another KEK wrapped: former ones until a rotation is through, and the coming one
	// while some processes already have it as KEK. Nothing is wrapped with them.
	OtherKEKs []tink.AEADWithContext
	// KeyTTL is how long a tenant's unwrapped keys are kept before the KEK is asked again. Zero means five
	// minutes. All processes on one database must agree on it: a rotation waits for it.
	KeyTTL time.Duration
	// KeyGrace is how much longer they are used if the KEK cannot be reached then. Zero means one minute, a
	// negative value none.
	KeyGrace time.Duration
	// KeyUses is how many statements may use a tenant's keys before the KEK is asked again. Zero means a
	// million.
	KeyUses int64
	// Tenant names the tenant in ctx; every key belongs to one. Nil means the single tenant "main".
	Tenant func(ctx context.Context) (string, error)
	// Gate decides who may see values in full. AllowAll is the named "everybody".
	Gate Gate
	// Record writes down each look, each export and each erasure, before it happens. Discard is the named
	// "nobody".
	Record Recorder
	// WithTx gives the recorder the transaction that Erase opens when its caller has none, e.g.
	// audit.WithTx. Nil makes Erase record before that transaction begins.
	WithTx func(ctx context.Context, tx *gorm.DB) context.Context
	// Region is where telephone numbers without country code are from, e.g. "CN". Empty: digits as given.
	Region string
	// Candidates bounds the rows that one condition may open to answer a search that an index answers only in
	// part, and the rows that a search by name may find. Zero means 10,000; at most 30,000.
	Candidates int
	// Open declares columns of tables without model open for MustCover and FindLeaks: from table.column to the
	// reason why what by its name is personal data need not be sealed.
	Open map[string]string
	// Keys holds the wrapped keys. Nil means two tables in the database given to db.Use.
	Keys KeyStore
	// Now is the clock for certificates and key records. Nil means time.Now.
	Now func() time.Time
}

// A Vault seals, indexes and opens the privacy fields of one database. It is a gorm.Plugin and safe for
// concurrent use.
type Vault struct {
	cfg   Config
	ring  keyRing
	reg   atomic.Pointer[registry]
	regMu sync.Mutex
	db    atomic.Pointer[gorm.DB]
	names *pinyin.Table

	oneTenant bool // every row of every table is the one tenant's
}

// Open checks the configuration and proves that the KEK enforces associated data: some services ignore it
// without an error, and then every key could be passed off for every other.
func Open(ctx context.Context, cfg Config) (*Vault, error) {
	switch {
	case cfg.KEK == nil:
		return nil, errors.New("privacy: Config.KEK is missing; use privacy/keyfile or a key management service")
	case cfg.Gate == nil:
		return nil, errors.New("privacy: Config.Gate is missing; pass an rbac.Authorizer, or privacy.AllowAll to let everybody see everything")
	case cfg.Record == nil:
		return nil, errors.New("privacy: Config.Record is missing; pass an audit.Log, or privacy.Discard to write nothing down")
	}
	if _, ok := phoneRegion(cfg.Region); !ok && cfg.Region != "" {
		return nil, fmt.Errorf("privacy: Config.Region %q has no telephone rules; leave it empty to compare digits as given", cfg.Region)
	}
	if cfg.KeyTTL < 0 || cfg.KeyUses < 0 {
		return nil, errors.New("privacy: Config.KeyTTL and Config.KeyUses may not be negative; leave them zero for the default")
	}
	if cfg.Candidates < 0 || cfg.Candidates > 30_000 {
		return nil, fmt.Errorf("privacy: Config.Candidates is %d; a statement cannot name more than 30,000 rows", cfg.Candidates)
	}
	if cfg.Candidates == 0 {
		cfg.Candidates = 10_000
	}
	if err := checkOpen(cfg.Open); err != nil {
		return nil, err
	}
	oneTenant := cfg.Tenant == nil
	if oneTenant {
		cfg.Tenant = func(context.Context) (string, error) { return "main", nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Keys == nil {
		cfg.Keys = tableKeys{now: cfg.Now}
	}
	if err := testKEK(ctx, cfg.KEK); err != nil {
		return nil, err
	}
	v := &Vault{cfg: cfg, oneTenant: oneTenant, names: pinyin.New()}
	v.ring.kek, v.ring.store, v.ring.limits = kekSet{cfg.KEK, cfg.OtherKEKs}, cfg.Keys, limitsOf(cfg)
	v.reg.Store(&registry{})
	return v, nil
}

func testKEK(ctx context.Context, kek tink.AEADWithContext) error {
	probe := make([]byte, 32)
	if _, err := rand.Read(probe); err != nil {
		return fmt.Errorf("privacy: random source: %w", err)
	}
	right, wrong := encode("confide.probe", "right"), encode("confide.probe", "wrong")
	box, err := kek.EncryptWithContext(ctx, probe, right)
	if err != nil {
		return fmt.Errorf("%w: the KEK does not encrypt: %w", ErrKey, err)
	}
	back, err := kek.DecryptWithContext(ctx, box, right)
	if err != nil || !bytes.Equal(back, probe) {
		return fmt.Errorf("%w: the KEK does not decrypt what it encrypted: %w", ErrKey, errors.Join(err))
	}
	if _, err := kek.DecryptWithContext(ctx, box, wrong); err == nil {
		return fmt.Errorf("%w: the KEK ignores associated data, so one key could be passed off for another; use a key type that enforces it (Vault transit: a derived key)", ErrKey)
	}
	return nil
}

// tenant names the tenant in ctx. Its absence is an error, never a default.
func (v *Vault) tenant(ctx context.Context) (string, error) {
	t, err := v.cfg.Tenant(ctx)
	if err != nil {
		return "", fmt.Errorf("privacy: tenant: %w", err)
	}
	if t == "" {
		return "", errors.New("privacy: tenant: Config.Tenant found none in the context; pass the request's context with db.WithContext(ctx)")
	}
	return t, nil
}
