// Package gormpolicy keeps an rbac policy in the application's own database, in tables that begin with
// confide_policy. A change commits or rolls back with the business transaction it belongs to, and bumps a
// version by which every instance of the application notices it.
//
//	store, err := gormpolicy.Open(ctx, db)
//	authz, err := rbac.Open(ctx, rbac.Config{Policies: store, ...})
//	err = db.Transaction(func(tx *gorm.DB) error {
//		return authz.Edit(rbac.WithTx(ctx, tx), func(p *rbac.Policy) error { ... })
//	})
//	err = authz.Reload(ctx)
//
// Whoever can write these tables decides who sees what: give the database user of reports no right to them.
package gormpolicy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/rbac"
)

// Config is what a Store needs. DB is required.
type Config struct {
	DB *gorm.DB
	// Record receives each change with its hash; nil keeps the history in the database only.
	Record Recorder
	// WithTx puts a transaction that the store itself began into the context for Record: audit.WithTx.
	WithTx func(ctx context.Context, tx *gorm.DB) context.Context
	// Notify tells other instances of a new version from inside the transaction that makes it:
	// pglisten.Notify. Nil leaves it to their polls.
	Notify func(ctx context.Context, tx *gorm.DB, version int64) error
	// Now is the clock of the history; nil means time.Now.
	Now func() time.Time
}

// Store is an rbac.PolicyStore and an rbac.PolicyHistory.
type Store struct {
	db     *gorm.DB
	record Recorder
	withTx func(ctx context.Context, tx *gorm.DB) context.Context
	notify func(ctx context.Context, tx *gorm.DB, version int64) error
	now    func() time.Time
}

// Open is New with nothing but a database.
func Open(ctx context.Context, db *gorm.DB) (*Store, error) { return New(ctx, Config{DB: db}) }

// New creates the tables if they are missing. A new store holds the empty policy, version 0, which denies
// everything; fill it with Authorizer.Edit.
func New(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.DB == nil {
		return nil, errors.New("gormpolicy: Config.DB is missing: pass the application's *gorm.DB")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	db := cfg.DB.Session(&gorm.Session{NewDB: true, Logger: logger.Discard})
	if err := db.WithContext(ctx).AutoMigrate(&version{}, &role{}, &inherit{}, &rule{}, &field{}, &assignment{}); err != nil {
		return nil, fmt.Errorf("gormpolicy: create tables: %w", err)
	}
	s := &Store{db: db, record: cfg.Record, withTx: cfg.WithTx, notify: cfg.Notify, now: cfg.Now}
	if err := s.openHistory(ctx); err != nil {
		return nil, err
	}
	var n int64
	if err := db.WithContext(ctx).Model(&version{}).Count(&n).Error; err != nil {
		return nil, fmt.Errorf("gormpolicy: read version: %w", err)
	}
	if n == 0 {
		if err := db.WithContext(ctx).Create(&version{ID: only}).Error; err != nil {
			// Another instance may have been faster.
			if _, again := s.Version(ctx); again != nil {
				return nil, fmt.Errorf("gormpolicy: create version: %w", err)
			}
		}
	}
	return s, nil
}

// on returns the transaction of ctx, or the database.
func (s *Store) on(ctx context.Context) *gorm.DB {
	if tx := rbac.Tx(ctx); tx != nil {
		return tx.Session(&gorm.Session{NewDB: true, Logger: logger.Discard}).WithContext(ctx)
	}
	return s.db.WithContext(ctx)
}

// join puts the transaction that the store began into the context; one that was there stays.
func (s *Store) join(ctx context.Context, tx *gorm.DB) context.Context {
	if s.withTx == nil || rbac.Tx(ctx) != nil {
		return ctx
	}
	return s.withTx(ctx, tx)
}

// Version returns the number of changes so far.
func (s *Store) Version(ctx context.Context) (int64, error) {
	var v version
	if err := s.on(ctx).Where("id = ?", only).Take(&v).Error; err != nil {
		return 0, fmt.Errorf("gormpolicy: read version: %w", err)
	}
	return v.Version, nil
}

// Load reads the policy in one consistent state: a change that commits meanwhile makes it start again.
func (s *Store) Load(ctx context.Context) (rbac.Policy, error) {
	const attempts = 10
	for range attempts {
		before, err := s.Version(ctx)
		if err != nil {
			return rbac.Policy{}, err
		}
		t, err := read(s.on(ctx))
		if err != nil {
			return rbac.Policy{}, err
		}
		after, err := s.Version(ctx)
		if err != nil {
			return rbac.Policy{}, err
		}
		if before == after {
			p, err := t.policy()
			p.Version = after
			return p, err
		}
	}
	return rbac.Policy{}, errors.New("gormpolicy: the policy keeps changing while it is read; try again")
}

// Save replaces the policy of p.Version and returns the next version, in the transaction of rbac.WithTx or in
// its own.
func (s *Store) Save(ctx context.Context, p rbac.Policy) (int64, error) {
	if rbac.Tx(ctx) != nil {
		return s.save(ctx, s.on(ctx), p)
	}
	var next int64
	err := s.on(ctx).Transaction(func(tx *gorm.DB) error {
		var err error
		next, err = s.save(ctx, tx, p)
		return err
	})
	return next, err
}

// save takes the version first: whoever does so holds its row until the end of the transaction, so changes
// queue up instead of mixing.
func (s *Store) save(ctx context.Context, tx *gorm.DB, p rbac.Policy) (int64, error) {
	got := tx.Model(&version{}).Where("id = ? AND version = ?", only, p.Version).Update("version", p.Version+1)
	if got.Error != nil {
		return 0, fmt.Errorf("gormpolicy: take the version: %w", got.Error)
	}
	if got.RowsAffected != 1 {
		return 0, fmt.Errorf("gormpolicy: %w: version %d is no longer current", rbac.ErrConflict, p.Version)
	}
	old, err := read(tx)
	if err != nil {
		return 0, err
	}
	before, err := old.policy()
	if err != nil {
		return 0, err
	}
	before.Version = p.Version
	next := tablesOf(p)
	if err := old.replace(tx, next); err != nil {
		return 0, fmt.Errorf("gormpolicy: save policy: %w", err)
	}
	after, err := next.policy() // as Load will return it
	if err != nil {
		return 0, err
	}
	if err := s.remember(ctx, tx, before, after); err != nil {
		return 0, err
	}
	if s.notify != nil {
		if err := s.notify(ctx, tx, p.Version+1); err != nil {
			return 0, fmt.Errorf("gormpolicy: notify: %w", err)
		}
	}
	return p.Version + 1, nil
}
