package escrow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/confide-go/confide/privacy"
)

// The ways in which an escrow can fail to cover a database.
const (
	NotSealed  = "made after the escrow was sealed: seal again"
	Changed    = "wrapped anew or rotated since the escrow was sealed: seal again, or drill"
	OtherKeys  = "the escrow's keys do not open it: it was rotated since, or the escrow is another database's"
	NewPersons = "persons whose keys the escrow's do not open: the tenant's data key was rotated since; seal again"
	Gone       = "in the escrow, but not in the database: is it the right one, and complete?"
)

// A Gap is something that an escrow does not cover.
type Gap struct {
	Tenant  string
	Why     string // one of the constants
	Persons int64  // how many, with NewPersons
}

// A Report says what an escrow opens of a database. It holds no key and no personal data, so it can be
// recorded and printed.
type Report struct {
	Digest  string    // of the escrow
	Sealed  time.Time // when
	By      []string  // name and fingerprint of those who opened it; empty: Status
	Tenants int       // in the database and covered
	Persons int64     // whose keys open
	Gaps    []Gap
	Changed int // keys that Recover wrapped anew
}

// Covers reports whether nothing of the database is outside the escrow.
func (r Report) Covers() bool { return len(r.Gaps) == 0 }

// String is the report for people.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "escrow %s of %s: %d tenants", r.Digest[:min(16, len(r.Digest))], r.Sealed.Format(time.DateOnly), r.Tenants)
	if len(r.By) > 0 {
		fmt.Fprintf(&b, " and %d persons open with %s", r.Persons, strings.Join(r.By, " and "))
	} else {
		b.WriteString(" unchanged since")
	}
	for _, g := range r.Gaps {
		fmt.Fprintf(&b, "\ntenant %q: ", g.Tenant)
		if g.Persons > 0 {
			fmt.Fprintf(&b, "%d ", g.Persons)
		}
		b.WriteString(g.Why)
	}
	return b.String()
}

func (r Report) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("digest", r.Digest), slog.Time("sealed", r.Sealed), slog.Any("by", r.By),
		slog.Int("tenants", r.Tenants), slog.Int64("persons", r.Persons), slog.Int("gaps", len(r.Gaps)),
	}
}

func (r Report) err() error {
	if r.Covers() {
		return nil
	}
	return fmt.Errorf("%w: %d gaps; the first is tenant %q: %s", ErrNotCovered, len(r.Gaps), r.Gaps[0].Tenant, r.Gaps[0].Why)
}

// Status looks without any private key whether the escrow is stale: whether tenants were made, or their
// keys changed, after it was sealed. It proves nothing; Drill does.
func Status(ctx context.Context, d Database, e *Escrow) (Report, error) {
	h, err := d.open()
	if err != nil {
		return Report{}, err
	}
	r := Report{Digest: e.Digest(), Sealed: e.sealed}
	err = e.compare(ctx, h, &r, func(_ string, keys tenantKeys, sealed entry) (Gap, error) {
		if digestOf(keys.data) != sealed.stored {
			return Gap{Why: Changed}, nil
		}
		return Gap{}, nil
	})
	return r, err
}

// Drill proves what a recovery by these people would open, and writes nothing but the record of it: each
// tenant's keys must open its index keyset and every person's key in the database. The error wraps
// ErrNotCovered if something does not; the report says what.
func Drill(ctx context.Context, d Database, e *Escrow, by ...*Identity) (Report, error) {
	h, err := d.open()
	if err != nil {
		return Report{}, err
	}
	r, _, drillErr := e.drill(ctx, h, by)
	if drillErr != nil && !errors.Is(drillErr, ErrNotCovered) {
		return r, drillErr
	}
	if err := h.record.Record(ctx, "escrow.drill", r.attrs()...); err != nil {
		return r, errors.Join(drillErr, fmt.Errorf("escrow: drill: it could not be recorded: %w", err))
	}
	return r, drillErr
}

// A recoverable is a tenant whose keys the escrow has and the database knows.
type recoverable struct {
	stored privacy.StoredKey
	handle *keyset.Handle
}

func (e *Escrow) drill(ctx context.Context, h house, by []*Identity) (Report, []recoverable, error) {
	r := Report{Digest: e.Digest(), Sealed: e.sealed}
	key, names, err := e.open(by)
	if err != nil {
		return r, nil, err
	}
	r.By = names
	var found []recoverable
	err = e.compare(ctx, h, &r, func(name string, keys tenantKeys, sealed entry) (Gap, error) {
		own := privacy.StoredKey{KeyName: keys.data.KeyName, Version: sealed.version, Wrapped: sealed.wrapped}
		handle, primitive, err := unwrap(ctx, own, key)
		if err != nil || sealed.version != keys.data.Version || !opens(keys.index, primitive) {
			return Gap{Why: OtherKeys}, nil
		}
		found = append(found, recoverable{keys.data, handle})
		opened, closed, err := h.persons(ctx, name, primitive)
		r.Persons += opened
		if closed > 0 {
			return Gap{Why: NewPersons, Persons: closed}, err
		}
		return Gap{}, err
	})
	if err != nil {
		return r, nil, err
	}
	return r, found, r.err()
}

// compare goes through the tenants of the database and of the escrow, and asks look about those in both.
func (e *Escrow) compare(ctx context.Context, h house, r *Report, look func(string, tenantKeys, entry) (Gap, error)) error {
	sealed := map[string]entry{}
	for _, t := range e.tenants {
		sealed[t.tenant] = t
	}
	err := h.tenants(ctx, func(name string, keys tenantKeys) error {
		gap := Gap{Why: NotSealed}
		if t, ok := sealed[name]; ok {
			var err error
			if gap, err = look(name, keys, t); err != nil {
				return err
			}
		}
		if gap.Tenant = name; gap.Why != "" {
			r.Gaps = append(r.Gaps, gap)
		} else {
			r.Tenants++
		}
		delete(sealed, name)
		return nil
	})
	for _, t := range e.tenants {
		if _, left := sealed[t.tenant]; left && err == nil {
			r.Gaps = append(r.Gaps, Gap{Tenant: t.tenant, Why: Gone})
		}
	}
	return err
}
