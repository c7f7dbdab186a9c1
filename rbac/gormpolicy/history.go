package gormpolicy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/rbac"
)

// A Recorder records each change of the policy, with its hash, in the transaction of the change.
// *audit.Log is one.
type Recorder interface {
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
}

// entry is one version in the history: what it changed against the one before.
type entry struct {
	Version int64 `gorm:"primaryKey;autoIncrement:false"`
	At      int64 // milliseconds since 1970, UTC
	Who     string
	Reason  string
	Body    string // a delta, see FORMAT.md
	Prev    string `gorm:"size:64"` // the hash of the entry before; "" for the first
	Hash    string `gorm:"size:64"`
}

func (entry) TableName() string { return "confide_policy_history" }

// Entry is one version of the policy: who made it, when and why.
type Entry struct {
	Version int64
	At      time.Time
	Who     string // "" if nobody was named
	Reason  string
	Hash    string // over everything in the entry and the hash of the one before, in hex
}

// openHistory creates the table. A store from before there was a history begins it with its next change.
func (s *Store) openHistory(ctx context.Context) error {
	if err := s.db.WithContext(ctx).AutoMigrate(&entry{}); err != nil {
		return fmt.Errorf("gormpolicy: create tables: %w", err)
	}
	return nil
}

// last returns the entry of the policy's version. If there is none, the policy is older than its history, or
// a program that keeps none changed it: an entry of its own says so, and changes of policy go on.
func (s *Store) last(tx *gorm.DB, now int64, old rbac.Policy) (entry, error) {
	var found []entry
	if err := tx.Where("version <= ?", old.Version).Order("version DESC").Limit(1).Find(&found).Error; err != nil {
		return entry{}, fmt.Errorf("gormpolicy: read history: %w", err)
	}
	e := entry{Version: old.Version, At: now, Reason: "the history begins"}
	from := rbac.Policy{}
	if len(found) > 0 {
		if found[0].Version == old.Version {
			return found[0], nil
		}
		told, err := s.At(rbac.WithTx(tx.Statement.Context, tx), found[0].Version)
		if err != nil {
			return entry{}, err
		}
		from, e.Prev, e.Reason = told, found[0].Hash, "changed by a program that keeps no history"
	}
	body, err := delta(from, old)
	if err != nil {
		return entry{}, err
	}
	e.Body = body
	e.Hash = e.sum()
	if err := tx.Create(&e).Error; err != nil {
		return entry{}, fmt.Errorf("gormpolicy: save history: %w", err)
	}
	return e, nil
}

// remember appends the version that next becomes. The caller holds the version row, so nobody appends
// beside it.
func (s *Store) remember(ctx context.Context, tx *gorm.DB, old, next rbac.Policy) error {
	now := s.now().UnixMilli()
	last, err := s.last(tx, now, old)
	if err != nil {
		return err
	}
	body, err := delta(old, next)
	if err != nil {
		return err
	}
	c := rbac.ChangeOf(ctx)
	e := entry{Version: old.Version + 1, At: now, Who: c.Who, Reason: c.Reason, Body: body, Prev: last.Hash}
	e.Hash = e.sum()
	if err := tx.Create(&e).Error; err != nil {
		return fmt.Errorf("gormpolicy: save history: %w", err)
	}
	if s.record == nil {
		return nil
	}
	err = s.record.Record(s.join(ctx, tx), "policy.change", slog.Int64("version", e.Version), slog.String("who", e.Who),
		slog.String("purpose", e.Reason), slog.String("hash", e.Hash))
	if err != nil {
		return fmt.Errorf("gormpolicy: the change could not be recorded: %w", err)
	}
	return nil
}

// sum is the entry's hash, see FORMAT.md.
func (e *entry) sum() string {
	var b bytes.Buffer
	b.WriteByte(format)
	for _, n := range []int64{e.Version, e.At} {
		_ = binary.Write(&b, binary.BigEndian, n) // a buffer takes everything
	}
	for _, s := range []string{e.Who, e.Reason, e.Body, e.Prev} {
		_ = binary.Write(&b, binary.BigEndian, int64(len(s)))
		b.WriteString(s)
	}
	h := sha256.Sum256(b.Bytes())
	return hex.EncodeToString(h[:])
}

// History returns all versions, the first one first. It checks the chain of hashes: an entry that was changed,
// taken out of the middle or put in is an error with its version.
func (s *Store) History(ctx context.Context) ([]Entry, error) {
	chain, err := s.chain(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Entry, 0, len(chain))
	for _, e := range chain {
		list = append(list, Entry{e.Version, time.UnixMilli(e.At).UTC(), e.Who, e.Reason, e.Hash})
	}
	return list, nil
}

func (s *Store) chain(ctx context.Context) ([]entry, error) {
	version, err := s.Version(ctx)
	if err != nil {
		return nil, err
	}
	var chain []entry
	// What commits meanwhile is above the version that was read first.
	if err := s.on(ctx).Where("version <= ?", version).Order("version").Find(&chain).Error; err != nil {
		return nil, fmt.Errorf("gormpolicy: read history: %w", err)
	}
	prev := ""
	for _, e := range chain {
		if e.Prev != prev || e.Hash != e.sum() {
			return nil, fmt.Errorf("gormpolicy: version %d in confide_policy_history is not what was written: restore the table from a backup", e.Version)
		}
		prev = e.Hash
	}
	return chain, nil
}

// At returns the policy as it was at a version, with that version.
func (s *Store) At(ctx context.Context, version int64) (rbac.Policy, error) {
	chain, err := s.chain(ctx)
	if err != nil {
		return rbac.Policy{}, err
	}
	var state sections
	for _, e := range chain {
		if state, err = state.apply(e.Body); err != nil {
			return rbac.Policy{}, fmt.Errorf("gormpolicy: version %d in confide_policy_history: %w", e.Version, err)
		}
		if e.Version == version {
			p, err := state.policy()
			p.Version = version
			return p, err
		}
	}
	return rbac.Policy{}, fmt.Errorf("gormpolicy: the history has no version %d: History lists those it has", version)
}

// Verify checks that the policy in the tables is what the history says it is: rows that somebody wrote by
// hand are found here, and a history that lost its end. The hashes have no key: whoever can write all tables
// can write a new history, so compare Entry.Hash with what the Recorder wrote down.
func (s *Store) Verify(ctx context.Context) error {
	stored, err := s.Load(ctx)
	if err != nil || stored.Version == 0 {
		return err
	}
	told, err := s.At(ctx, stored.Version)
	if err != nil {
		return err
	}
	a, err := sectionsOf(stored)
	if err != nil {
		return err
	}
	b, err := sectionsOf(told)
	if err != nil {
		return err
	}
	if part := a.differs(b); part != "" {
		return fmt.Errorf("gormpolicy: %s of policy version %d are not what confide_policy_history says: somebody changed the tables by hand; roll back to a version you trust", part, stored.Version)
	}
	return nil
}
