package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/fileanchor"
	"github.com/confide-go/confide/audit/gormstore"
	"github.com/confide-go/confide/backup/sqlsource"
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/duty"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/gormpolicy"
)

// An app is the CRM, put together: the one place where the packages of Confide
// meet.
type app struct {
	now    func() time.Time
	folder folder
	places places
	plan   plan

	keepLog time.Duration // how long events are kept that are about to be pruned

	logger *slog.Logger
	db     *gorm.DB
	kek    tink.AEADWithContext
	vault  *privacy.Vault
	authz  *rbac.Authorizer
	log    *audit.Log
	desk   *desk.Desk
	store  attach.Store
	files  *attach.Files

	recovery tink.HybridDecrypt // opens backups that are sealed to recipients; usually nil
}

// open puts the CRM together on the data folder and database of the settings,
// making what a new folder lacks.
func open(ctx context.Context, c *command) (*app, error) {
	logger, err := newLog(c.stderr, c.log)
	if err != nil {
		return nil, err
	}
	a := &app{now: c.clock, keepLog: c.keepLog, folder: folder(c.data), places: c.places(), logger: logger}
	if a.plan, err = a.folder.plan(); err != nil {
		return nil, err
	}
	if a.recovery, err = c.openRecovery(); err != nil {
		return nil, err
	}
	_, missing := os.Stat(a.folder.database())
	if err := a.folder.prepare(); err != nil {
		return nil, err
	}
	if a.kek, err = a.folder.openKEK(c.db != "" || errors.Is(missing, os.ErrNotExist)); err != nil {
		return nil, err
	}
	if c.db == "" {
		if err := a.folder.ownDatabase(); err != nil {
			return nil, err
		}
	}
	if a.db, err = openDatabase(c.settings, a.folder, logger); err != nil {
		return nil, err
	}
	if err := a.inUse(ctx, c.promoting); err != nil {
		a.close()
		return nil, err
	}
	if err := a.wire(ctx); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// inUse refuses a restored database in which nobody has made sure yet that erased
// people stay erased, unless the caller is about to.
func (a *app) inUse(ctx context.Context, promoting bool) error {
	pool, err := a.db.DB()
	if err != nil {
		return err
	}
	database, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: a.db.Name()})
	if err != nil {
		return err
	}
	in, err := database.Quarantined(ctx)
	if err == nil && in && !promoting {
		err = errors.New("the database is in quarantine: a restore into it did not come to its end, and people who were erased may be in it; empty it and restore again")
	}
	return err
}

// wire opens the packages in the order in which they need each other: the log
// first, since the others write to it.
func (a *app) wire(ctx context.Context) error {
	if err := a.openLog(ctx); err != nil {
		return err
	}
	policies, err := gormpolicy.Open(ctx, a.db)
	if err != nil {
		return err
	}
	a.authz, err = rbac.Open(ctx, rbac.Config{
		Caller:   caller,
		Attrs:    map[string]any{"reports": []string(nil), "email": ""},
		Index:    index{a},
		Env:      environment,
		Now:      a.now,
		Policies: policies,
		Resources: []rbac.Resource{
			{Model: &book.Customer{}, Tenant: "tenant_id"},
			{Model: &book.Invoice{}, Tenant: "tenant_id"},
			{Model: &book.User{}, Tenant: "tenant_id"},
			{Model: &book.Document{}, Tenant: "tenant_id"},
		},
		Record:    a.log,
		Unguarded: []string{"crm_sessions"},
	})
	if err != nil {
		return err
	}
	ttl, err := time.ParseDuration(env("KEY_TTL", "5m"))
	if err != nil {
		return fmt.Errorf("%w: CONFIDE_KEY_TTL is a duration such as 5m", errUsage)
	}
	a.vault, err = privacy.Open(ctx, privacy.Config{
		KEK:    a.kek,
		Gate:   a.authz,
		Record: a.log,
		WithTx: audit.WithTx,
		Region: env("REGION", "CN"),
		KeyTTL: ttl, KeyGrace: min(ttl, time.Minute),
	})
	if err != nil {
		return err
	}
	for _, plugin := range []gorm.Plugin{a.vault, a.authz, a.log} {
		if err := a.db.Use(plugin); err != nil {
			return fmt.Errorf("database plugin %s: %w", plugin.Name(), err)
		}
	}
	if err := a.openFiles(ctx); err != nil {
		return err
	}
	a.desk = desk.New(desk.Config{
		DB: a.db, Vault: a.vault, Authz: a.authz, Log: a.log, Policies: policies, Passwords: passwords{a.kek}, Files: a.files, State: a.systemState,
	})
	return a.migrate(audit.AllowRaw(operator(ctx, migration), migration))
}

func (a *app) openLog(ctx context.Context) error {
	store, err := gormstore.Open(ctx, a.db)
	if err != nil {
		return err
	}
	signer, verifier, err := a.folder.openAuditKey(ctx, a.kek)
	if err != nil {
		return err
	}
	anchor, err := fileanchor.Open(a.folder.anchors())
	if err != nil {
		return err
	}
	a.log, err = audit.Open(ctx, audit.Config{
		Store: store, Signer: signer, Verifier: verifier, Anchor: anchor,
		Actor: actor, Logger: a.logger, Now: a.now, Interval: time.Second, Ignore: []string{"crm_sessions"},
		Diff: &audit.Diff{}, RawReasons: []string{migration}, Spill: a.folder.spill(),
		Keep: a.keepLog, DataType: book.DataType, Class: class,
	})
	return err
}

// migration is why the tables may be rebuilt by SQL text.
const migration = "migrate the database"

// migrate makes the tables and, in a new database, the first policy.
func (a *app) migrate(ctx context.Context) error {
	tables := a.db.WithContext(ctx).Migrator()
	older := tables.HasTable(&book.Customer{}) && !tables.HasColumn(&book.Customer{}, "phone_last4")
	if err := a.vault.Migrate(ctx, a.db, book.Models()...); err != nil {
		return err
	}
	if err := a.vault.MustCover(ctx, a.db); err != nil {
		return err
	}
	if older { // made before there was a search for parts of names and numbers
		if _, err := a.vault.Reindex(ctx, a.db, privacy.RotateOptions{}); err != nil {
			return err
		}
	}
	if a.authz.Version() > 0 {
		return nil
	}
	err := a.authz.Edit(ctx, func(p *rbac.Policy) error {
		version := p.Version
		*p = duty.Policy()
		p.Version = version
		return nil
	})
	if errors.Is(err, rbac.ErrConflict) { // another process was first
		return a.authz.Reload(ctx)
	}
	return err
}

// close seals what has happened and lets go of the database.
func (a *app) close() error {
	var failed error
	if a.log != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		failed = a.log.Close()
		if _, err := a.log.Seal(ctx); err != nil {
			failed = errors.Join(failed, fmt.Errorf("seal the audit log: %w", err))
		}
	}
	if pool, err := a.db.DB(); err == nil {
		failed = errors.Join(failed, pool.Close())
	}
	return failed
}

// caller tells rbac who is at work.
func caller(ctx context.Context) (rbac.Caller, error) {
	w := who.From(ctx)
	return rbac.Caller{ID: w.ID, Tenant: w.Tenant, Attrs: map[string]any{"reports": w.Reports, "email": w.Email}}, nil
}

// environment is what the server knows of the request: a rule may ask for an address, or
// for a sign-in that is not long ago.
func environment(ctx context.Context) (rbac.Env, error) {
	w := who.From(ctx)
	ip, _ := netip.ParseAddr(w.IP) // none at the command line: unknown
	return rbac.Env{IP: ip, AuthTime: w.SignedIn, Assurance: w.Assurance}, nil
}

// index lets rules compare sealed columns. The vault, which knows how, is opened after
// the authorizer, which it asks.
type index struct{ *app }

func (i index) BlindIndex(ctx context.Context, db *gorm.DB, model any, column, value string) ([][]byte, error) {
	if i.vault == nil {
		return nil, errors.New("the vault is not open yet")
	}
	return i.vault.BlindIndex(ctx, db, model, column, value)
}

// class makes looks at rows as strict as changes: what the log does not take is not shown.
func class(action string) audit.Class {
	if strings.HasSuffix(action, ".read") {
		return audit.Must
	}
	return 0
}

// actor tells the log who is at work.
func actor(ctx context.Context) audit.Actor {
	w := who.From(ctx)
	return audit.Actor{ID: w.ID, Tenant: w.Tenant, IP: w.IP, Channel: w.Channel, RequestID: w.RequestID}
}

// operator is the person at the command line. Whoever holds the data folder and
// the key file is asked for a reason, not for a right; the log has both.
func operator(ctx context.Context, reason string) context.Context {
	ctx = who.With(ctx, who.Who{ID: "operator", Tenant: book.Tenant, Channel: "cli"})
	return rbac.System(ctx, reason)
}

// operatorFor is the operator at work on a verb.
func operatorFor(ctx context.Context, verb string) context.Context { return operator(ctx, "crm "+verb) }
