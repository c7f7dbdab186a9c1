package rbac

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// Config is what an Authorizer needs. Caller, Policies, Resources and Record are required.
type Config struct {
	// Caller finds out who asks. An error or an empty ID is nobody, and nobody gets nothing.
	Caller func(ctx context.Context) (Caller, error)
	// Policies holds the policy: NewMemory, or a gormpolicy.Store.
	Policies PolicyStore
	// Resources are the guarded tables.
	Resources []Resource
	// Attrs declares the attributes that conditions may read as caller.<name>, by a value of their type:
	// {"reports": []string(nil), "level": int64(0)}.
	Attrs map[string]any
	// Shares is the table that conditions ask with shared(row, "read"), if any.
	Shares ShareTable
	// Record receives what was denied, and each use of System. Discard is the named "nowhere".
	Record DenialRecorder
	// Unguarded are tables that MustCover shall accept without a resource. Tables of this library
	// (confide_*) always are.
	Unguarded []string
	// Naming is the database's naming strategy, if it is not GORM's default.
	Naming schema.Namer
	// Index compares sealed columns by their blind indexes; *privacy.Vault is one. Nil: conditions cannot read
	// sealed columns.
	Index Indexer
	// Env returns what the server knows of the request. Nil: conditions cannot ask for it, and rules not for
	// a step-up.
	Env func(ctx context.Context) (Env, error)
	// Approvals keeps approvals. Nil: rules cannot need any.
	Approvals Approvals
	// MaxStale is how long a policy decides without being confirmed by the store (Watch, Reload). After it
	// every decision is refused with a *Stale. 0 means for ever.
	MaxStale time.Duration
	// Now is the clock of conditions; nil means time.Now.
	Now func() time.Time
}

func (c *Config) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// DenialRecorder records what must survive the rollback of the transaction it happened in.
// *audit.Log is one.
type DenialRecorder interface {
	RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error
}

// Discard is the DenialRecorder that records nothing.
const Discard = discard("discard")

type discard string

func (discard) RecordApart(context.Context, string, ...slog.Attr) error { return nil }

// Authorizer decides by the current policy, and as a GORM plugin holds every statement to it. It is safe
// for concurrent use.
type Authorizer struct {
	cfg       Config
	resources map[string]*resource // by name
	tables    map[string]*resource // by table
	models    map[reflect.Type]*resource
	langs     map[*resource]*language
	shares    *shareTable // or nil
	snap      atomic.Pointer[snapshot]
	zones     sync.Map                  // time zones by name
	confirmed atomic.Pointer[time.Time] // when snap was last known to be the store's
	db        atomic.Pointer[gorm.DB]
}

// Open checks the configuration, loads the policy and compiles it.
func Open(ctx context.Context, cfg Config) (*Authorizer, error) {
	switch {
	case cfg.Caller == nil:
		return nil, fmt.Errorf("rbac: Config.Caller is missing: it must return who is signed in")
	case cfg.Policies == nil:
		return nil, fmt.Errorf("rbac: Config.Policies is missing: use rbac.NewMemory or gormpolicy.Open")
	case cfg.Record == nil:
		return nil, fmt.Errorf("rbac: Config.Record is missing: pass the audit log, or rbac.Discard")
	case len(cfg.Resources) == 0:
		return nil, fmt.Errorf("rbac: Config.Resources is empty: nothing would be guarded")
	}
	if cfg.Naming == nil {
		cfg.Naming = schema.NamingStrategy{IdentifierMaxLength: 64}
	}
	a := &Authorizer{cfg: cfg, resources: map[string]*resource{}, tables: map[string]*resource{}, models: map[reflect.Type]*resource{}, langs: map[*resource]*language{}}
	attrs, err := attrKinds(cfg.Attrs)
	if err != nil {
		return nil, err
	}
	if a.shares, err = newShareTable(cfg.Shares, attrs, cfg.Naming); err != nil {
		return nil, err
	}
	for _, r := range cfg.Resources {
		if err := a.register(r, attrs); err != nil {
			return nil, err
		}
	}
	return a, a.Reload(ctx)
}

func attrKinds(declared map[string]any) (map[string]kind, error) {
	kinds := map[string]kind{"id": text, "tenant": text, "roles": texts}
	names := make([]string, 0, len(declared))
	for name := range declared {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if _, taken := kinds[name]; taken || !word(name) {
			return nil, fmt.Errorf("rbac: Config.Attrs: %q must be a lower-case word other than id, tenant and roles", name)
		}
		if kinds[name] = kindOf(declared[name]); kinds[name] == null {
			return nil, fmt.Errorf("rbac: Config.Attrs: %q is a %T; use a string, int64, bool or []string", name, declared[name])
		}
	}
	return kinds, nil
}

func (a *Authorizer) register(r Resource, attrs map[string]kind) error {
	res, err := newResource(r, a.cfg.Naming)
	if err != nil {
		return err
	}
	if !word(res.name) || a.resources[res.name] != nil || a.tables[strings.ToLower(res.table)] != nil {
		return fmt.Errorf("rbac: resource %q (table %s): name and table must be new, the name a lower-case word; set Resource.Name", res.name, res.table)
	}
	if len(a.resources) == maxResources {
		return fmt.Errorf("rbac: Config.Resources holds more than %d", maxResources)
	}
	res.number = uint16(len(a.resources))
	lang, err := newLanguage(res, attrs, a.shares)
	if err != nil {
		return err
	}
	lang.served, lang.approvable, lang.indexed = a.cfg.Env != nil, a.cfg.Approvals != nil, a.cfg.Index != nil
	a.resources[res.name], a.tables[strings.ToLower(res.table)], a.models[res.typ], a.langs[res] = res, res, res, lang
	return nil
}

// Reload fetches the policy if its version changed, and swaps it in as a whole. After an error the old
// policy goes on deciding. Inside the transaction of WithTx it is an error: the policy it sees may roll back.
func (a *Authorizer) Reload(ctx context.Context) error {
	if Tx(ctx) != nil {
		return fmt.Errorf("rbac: Reload inside a transaction: the policy it would fetch may yet roll back; call it after the commit")
	}
	asked := a.cfg.now()
	current := a.snap.Load()
	if current != nil {
		v, err := a.cfg.Policies.Version(ctx)
		if err != nil {
			return fmt.Errorf("rbac: policy version: %w", err)
		}
		if v == current.version {
			a.confirm(asked)
			return nil
		}
	}
	p, err := a.cfg.Policies.Load(ctx)
	if err != nil {
		return fmt.Errorf("rbac: load policy: %w", err)
	}
	next, err := newSnapshot(p, current, a.resources, a.langs)
	if err != nil {
		return err
	}
	for {
		// Two reloads may finish in either order: the newer policy stays.
		current = a.snap.Load()
		if current != nil && current.version > next.version {
			return nil
		}
		if a.snap.CompareAndSwap(current, next) {
			a.confirm(asked)
			return nil
		}
	}
}

// Version returns the version of the policy that decides now.
func (a *Authorizer) Version() int64 { return a.snap.Load().version }

// Validate reports the first thing in p that would be refused.
func (a *Authorizer) Validate(p Policy) error {
	_, err := newSnapshot(p, a.snap.Load(), a.resources, a.langs)
	return err
}

// Edit changes the policy: it loads the current one, lets change alter it, validates the result and saves
// it. In the transaction of WithTx it commits or rolls back with it, and the caller calls Reload after
// the commit; otherwise Edit reloads.
func (a *Authorizer) Edit(ctx context.Context, change func(*Policy) error) error {
	ctx = a.signed(ctx)
	p, err := a.cfg.Policies.Load(ctx)
	if err != nil {
		return fmt.Errorf("rbac: load policy: %w", err)
	}
	version := p.Version
	if err := change(&p); err != nil {
		return err
	}
	p.Version = version
	if err := a.Validate(p); err != nil {
		return err
	}
	if _, err := a.cfg.Policies.Save(ctx, p); err != nil {
		return err
	}
	if Tx(ctx) != nil {
		return nil
	}
	return a.Reload(ctx)
}
