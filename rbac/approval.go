package rbac

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Approvals is where the application keeps what one person asked for and another one approved.
type Approvals interface {
	// Approval returns the approval with this id; the zero Approval if there is none, or it was not given,
	// withdrawn or used. The id may come from a request.
	Approval(ctx context.Context, id string) (Approval, error)
	// Use marks the approval as used, once and for all: of many calls exactly one returns nil. It must
	// join the transaction Tx(ctx) if there is one: on a database with one connection it would wait for itself.
	Use(ctx context.Context, id string) error
}

// Approval is one person's yes to one act of another one.
type Approval struct {
	ID        string
	Tenant    string
	Requester string // the Caller.ID of who asked
	Approver  string // the Caller.ID of who approved, somebody else
	Action    string
	Resource  string
	RowSet    string    // RowSet of the primary keys of all rows that were approved
	Expires   time.Time // required
}

// RowSet returns the fingerprint of a set of rows by their primary keys; order and repetition do not matter.
// It is "1:" and, in hexadecimal, the SHA-256 of each sorted key behind its length in 8 bytes, big-endian.
func RowSet(keys []string) string {
	h := sha256.New()
	for _, key := range slices.Compact(slices.Sorted(slices.Values(keys))) {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(key)))
		h.Write(size[:])
		h.Write([]byte(key))
	}
	return "1:" + hex.EncodeToString(h.Sum(nil))
}

type grantsKey struct{}

// grants is what a request brings to meet obligations. It remembers what was recorded, so that a loop over
// pages is one record.
type grants struct {
	reason   string
	tickets  []*ticket
	mu       sync.Mutex
	recorded map[settlement]bool
}

// ticket is one approval that was presented.
type ticket struct {
	id   string
	rows []string
	mu   sync.Mutex
	used *Approval
}

type settlement struct {
	a                     *Authorizer
	resource, action, row string
}

func grantsOf(ctx context.Context) *grants {
	g, _ := ctx.Value(grantsKey{}).(*grants)
	return g
}

func (g *grants) with(ctx context.Context, change func(*grants)) context.Context {
	next := &grants{recorded: map[settlement]bool{}}
	if g != nil {
		next.reason, next.tickets = g.reason, slices.Clone(g.tickets)
	}
	change(next)
	return context.WithValue(ctx, grantsKey{}, next)
}

// WithReason returns a context that carries the reason the caller gave for what they are about to do. It
// meets the need "reason" of rules, and is recorded where a rule asked for it. An empty one meets nothing.
func WithReason(ctx context.Context, reason string) context.Context {
	return grantsOf(ctx).with(ctx, func(g *grants) { g.reason = strings.TrimSpace(reason) })
}

// WithApproval returns a context that presents an approval for these rows, by their primary keys. It meets
// the need "approval" where Config.Approvals knows the id as an unexpired approval of this caller's action
// on exactly these rows by somebody else. The first decision that rests on it uses it up; what else is done
// under the same context for the same action may rest on it too.
func WithApproval(ctx context.Context, id string, rows []string) context.Context {
	return grantsOf(ctx).with(ctx, func(g *grants) { g.tickets = append(g.tickets, &ticket{id: id, rows: slices.Clone(rows)}) })
}

// approved is an approval that is good for this caller, with the rows it covers.
type approved struct {
	Approval
	ticket *ticket
	roles  *roleSet // of the approver
	rows   *node
}

// covers reports whether the approval is one that the obligation accepts.
func (p *approved) covers(o *obligation) bool {
	return p.Action == o.action && p.Resource == o.res.name && slices.Contains(p.roles.ids, o.by)
}

// loadApprovals asks the application about the approvals that were presented, and keeps the good ones.
func (a *Authorizer) loadApprovals(ctx context.Context, s *snapshot, who *asker, c *circumstances) error {
	if c.granted == nil || !s.needy || a.cfg.Approvals == nil {
		return nil
	}
	for _, t := range c.granted.tickets {
		if len(t.rows) > maxList {
			return fmt.Errorf("rbac: an approval for %d rows was presented; at most %d can be approved at once", len(t.rows), maxList)
		}
		got, err := t.approval(ctx, a.cfg.Approvals)
		if err != nil {
			return err
		}
		res := a.resources[got.Resource]
		good := got.ID == t.id && t.id != "" && got.Approver != "" && got.Approver != who.ID && got.Requester == who.ID &&
			got.Tenant == who.Tenant && got.RowSet == RowSet(t.rows) && len(t.rows) > 0 && !got.Expires.IsZero() && who.now < seconds(got.Expires)
		if good && res != nil && res.key != nil {
			c.approvals = append(c.approvals, approved{got, t, s.rolesOf(got.Tenant, got.Approver), res.keyIn(t.rows)})
		}
	}
	return nil
}

// approval returns what the application knows; after its use, what it knew then.
func (t *ticket) approval(ctx context.Context, store Approvals) (Approval, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used != nil {
		return *t.used, nil
	}
	got, err := store.Approval(ctx, t.id)
	if err != nil {
		return Approval{}, fmt.Errorf("rbac: approval: %w", err)
	}
	return got, nil
}

// use uses the approval up, once for the context that presents it.
func (t *ticket) use(ctx context.Context, store Approvals, as Approval) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used != nil {
		return nil
	}
	if err := store.Use(ctx, t.id); err != nil {
		return fmt.Errorf("rbac: the approval could not be used: %w", err)
	}
	t.used = &as
	return nil
}

func (p *approved) has(id string) bool { return slices.Contains(p.ticket.rows, id) }
