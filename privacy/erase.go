package privacy

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gorm.io/gorm"
)

// State is what a vault knows about a person.
type State uint8

const (
	// NeverSeen: nothing was ever sealed for the person.
	NeverSeen State = iota
	// Live: the person has a key.
	Live
	// Erased: the key was destroyed, and nothing can be sealed for the person again.
	Erased
)

func (s State) String() string {
	switch s {
	case NeverSeen:
		return "never seen"
	case Live:
		return "live"
	case Erased:
		return "erased"
	}
	return fmt.Sprintf("State(%d)", uint8(s))
}

// A Certificate says that a person was erased. It holds no personal value. Bytes is what one signs.
type Certificate struct {
	Tenant     string
	Subject    string
	Was        State     // before this call
	ErasedAt   time.Time // of the first erasure
	IndexCells int64     // rows whose index columns this call emptied, and search tokens it removed
}

// Bytes is an unambiguous encoding of the certificate.
func (c Certificate) Bytes() []byte {
	return encode("confide.erasure", c.Tenant, c.Subject, c.Was.String(), c.ErasedAt.UTC().Format(time.RFC3339Nano), fmt.Sprint(c.IndexCells))
}

// Subject reports what the vault knows about a person, by the id "<kind>:<id>".
func (v *Vault) Subject(ctx context.Context, db *gorm.DB, subject string) (State, error) {
	k, err := v.subjectKey(ctx, session(ctx, db), subject)
	return stateOf(k), err
}

func stateOf(k *StoredKey) State {
	switch {
	case k == nil:
		return NeverSeen
	case k.Erased.IsZero():
		return Live
	}
	return Erased
}

func (v *Vault) subjectKey(ctx context.Context, db *gorm.DB, subject string) (*StoredKey, error) {
	kind, id, ok := strings.Cut(subject, ":")
	if !ok || kind == "" || id == "" {
		return nil, fmt.Errorf("privacy: subject: an id has the form kind:id, such as customer:1")
	}
	tenant, err := v.tenant(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := v.cfg.Keys.Load(ctx, db, []KeyName{{tenant, subject, purposeData}}, false)
	if err != nil {
		return nil, fmt.Errorf("privacy: load the key of %s: %w", subject, err)
	}
	if len(stored) == 0 {
		return nil, nil
	}
	return &stored[0], nil
}

// Erase makes everything that was sealed for a person unreadable, here and in every backup: it destroys the
// person's key, leaves a fence so that nothing can be sealed for the person again, and empties the index
// columns of all rows that hold the person's data. That happens in db's transaction, or in one of its own.
// Erasing twice is fine.
//
// The erasure is recorded as "<kind>.erase". With a transaction from the caller the recorder must find it
// in ctx; otherwise see Config.WithTx.
func (v *Vault) Erase(ctx context.Context, db *gorm.DB, subject string) (Certificate, error) {
	if (conn{session(ctx, db)}).inTransaction() {
		if err := v.recordErasure(ctx, subject); err != nil {
			return Certificate{}, err
		}
		return v.erase(ctx, session(ctx, db), subject)
	}
	if v.cfg.WithTx == nil {
		if err := v.recordErasure(ctx, subject); err != nil {
			return Certificate{}, err
		}
	}
	var cert Certificate
	err := session(ctx, db).Transaction(func(tx *gorm.DB) (err error) {
		if v.cfg.WithTx != nil {
			if err := v.recordErasure(v.cfg.WithTx(ctx, tx), subject); err != nil {
				return err
			}
		}
		cert, err = v.erase(ctx, session(ctx, tx), subject)
		return err
	})
	if err != nil {
		return Certificate{}, err
	}
	return cert, nil
}

func (v *Vault) recordErasure(ctx context.Context, subject string) error {
	kind, _, _ := strings.Cut(subject, ":")
	err := v.cfg.Record.Record(ctx, kind+".erase",
		slog.String("resource", kind), slog.String("subject", subject), slog.String("result", "ok"))
	if err != nil {
		return fmt.Errorf("privacy: erase %s: it could not be recorded, so nothing was done: %w", subject, err)
	}
	return nil
}

func (v *Vault) erase(ctx context.Context, db *gorm.DB, subject string) (Certificate, error) {
	before, err := v.subjectKey(ctx, db, subject)
	if err != nil {
		return Certificate{}, err
	}
	tenant, err := v.tenant(ctx)
	if err != nil {
		return Certificate{}, err
	}
	// To the millisecond, as stored, so that a certificate issued again is the same.
	now := v.cfg.Now().UTC().Truncate(time.Millisecond)
	cert := Certificate{Tenant: tenant, Subject: subject, Was: stateOf(before), ErasedAt: now}
	if cert.Was == Erased {
		cert.ErasedAt = before.Erased
	}
	if err := v.cfg.Keys.Erase(ctx, db, KeyName{tenant, subject, purposeData}, now); err != nil {
		return Certificate{}, fmt.Errorf("privacy: destroy the key of %s: %w", subject, err)
	}
	if cert.IndexCells, err = v.emptyIndexes(ctx, db, tenant, subject); err != nil {
		return Certificate{}, err
	}
	return cert, nil
}

// emptyIndexes empties the index columns of every row of a person in every registered model. An index is
// made with the tenant's key, which stays, and would go on answering whether the person was a customer.
func (v *Vault) emptyIndexes(ctx context.Context, db *gorm.DB, tenant, subject string) (int64, error) {
	kind, id, _ := strings.Cut(subject, ":")
	c := conn{db}
	var total int64
	for _, m := range v.reg.Load().all {
		if m.kind != kind || len(m.indexes) == 0 {
			continue
		}
		var set, some []string
		for _, x := range m.indexes {
			set = append(set, c.quote(x.column)+" = NULL")
			some = append(some, c.quote(x.column)+" IS NOT NULL")
		}
		col := c.quote(m.subject.DBName)
		text := "UPDATE " + c.quote(m.table) + " SET " + strings.Join(set, ", ") + " WHERE " + col + " = ?"
		args := []any{id}
		if c.dialect() == "mysql" {
			// Its default collations take A and a for the same id.
			text += " AND CAST(" + col + " AS BINARY) = CAST(? AS BINARY)"
			args = append(args, id)
		}
		if m.tenant != nil {
			text += " AND " + c.quote(m.tenant.DBName) + " = ?"
			args = append(args, tenant)
		}
		n, err := c.exec(ctx, text+" AND ("+strings.Join(some, " OR ")+")", args...)
		if err != nil {
			return 0, fmt.Errorf("privacy: empty the indexes of %s in %s: %w", subject, m.table, err)
		}
		total += n
	}
	n, err := v.eraseTokens(ctx, db, tenant, subject)
	return total + n, err
}

// ReplayErasures empties the index columns and search tokens of every person that was ever erased, and returns
// how many rows and tokens it changed. Call it after rows came back from a backup, before anybody can search them: the backup's
// ciphertexts stay unreadable by themselves, because their keys are gone, but its index columns are from
// before the erasure.
func (v *Vault) ReplayErasures(ctx context.Context, db *gorm.DB) (int, error) {
	if !(conn{session(ctx, db)}).inTransaction() {
		total := 0
		err := session(ctx, db).Transaction(func(tx *gorm.DB) (err error) {
			total, err = v.ReplayErasures(ctx, tx)
			return err
		})
		return total, err
	}
	db = session(ctx, db)
	total := 0
	for after := (KeyName{}); ; {
		fences, err := v.cfg.Keys.Erased(ctx, db, after, 500)
		if err != nil {
			return 0, fmt.Errorf("privacy: list erased persons: %w", err)
		}
		for _, f := range fences {
			n, err := v.emptyIndexes(ctx, db, f.Tenant, f.Subject)
			if err != nil {
				return 0, err
			}
			total += int(n)
			after = f.KeyName
		}
		if len(fences) < 500 {
			return total, nil
		}
	}
}
