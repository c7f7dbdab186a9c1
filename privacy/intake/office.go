package intake

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/internal/tuple"
)

// Config configures an Office. Keys, Gate and Record are required.
type Config struct {
	Keys *Keys
	// Gate decides who may open which submission: resource is the form, row the submission, field "box".
	Gate privacy.Gate
	// Record writes down each opening before its content is handed out.
	Record privacy.Recorder
	// Tenant names the tenant in ctx; nil means the single tenant "main".
	Tenant func(ctx context.Context) (string, error)
	// WithTx gives the recorder the transaction of Accept, e.g. audit.WithTx. Nil makes Accept record before
	// that transaction begins, so that a record may tell of an attempt that failed.
	WithTx func(ctx context.Context, tx *gorm.DB) context.Context
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// An Office opens submissions. It is safe for concurrent use.
type Office struct{ cfg Config }

// NewOffice checks the configuration.
func NewOffice(cfg Config) (*Office, error) {
	switch {
	case cfg.Keys == nil:
		return nil, errors.New("intake: Config.Keys is missing; use intake.Load")
	case cfg.Gate == nil:
		return nil, errors.New("intake: Config.Gate is missing; pass an rbac.Authorizer, or privacy.AllowAll to let everybody open everything")
	case cfg.Record == nil:
		return nil, errors.New("intake: Config.Record is missing; pass an audit.Log, or privacy.Discard to write nothing down")
	}
	if cfg.Tenant == nil {
		cfg.Tenant = func(context.Context) (string, error) { return "main", nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Office{cfg}, nil
}

// accepted is a submission that was accepted.
type accepted struct {
	// ID is a hash, so that ids that differ in case only stay two ids in every database's collation.
	ID   string `gorm:"primaryKey;size:64"`
	Form string `gorm:"size:200"`
	At   int64  // Unix milliseconds
}

// TableName is for GORM.
func (accepted) TableName() string { return "confide_intake_accepted" }

// Migrate makes the table of accepted submissions.
func (o *Office) Migrate(ctx context.Context, db *gorm.DB) error {
	if err := db.WithContext(ctx).AutoMigrate(&accepted{}); err != nil {
		return fmt.Errorf("intake: migrate: %w", err)
	}
	return nil
}

// Open returns the content of a submission, if the gate lets the caller in ctx see it and the recorder has written
// down that and why, as "<form>.open". The purpose must not be empty.
func (o *Office) Open(ctx context.Context, purpose, form, submission string, box Box) ([]byte, error) {
	body, _, err := o.open(ctx, purpose, form, submission, box)
	if err != nil {
		return nil, err
	}
	if err := o.record(ctx, "open", purpose, form, submission); err != nil {
		return nil, err
	}
	return body, nil
}

// Accept moves a submission into the database: in one transaction it notes that it was accepted, records
// "<form>.accept", and calls save with the content. If any of that fails nothing has happened. A submission that
// was accepted before is ErrAccepted, and save is not called.
func (o *Office) Accept(ctx context.Context, db *gorm.DB, purpose, form, submission string, box Box, save func(tx *gorm.DB, body []byte) error) error {
	body, at, err := o.open(ctx, purpose, form, submission, box)
	if err != nil {
		return err
	}
	if o.cfg.WithTx == nil {
		if err := o.record(ctx, "accept", purpose, form, submission); err != nil {
			return err
		}
	}
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		sum := sha256.Sum256(tuple.Encode("confide.intake.accepted", at.Tenant, at.Form, at.Submission))
		row := accepted{ID: hex.EncodeToString(sum[:]), Form: form, At: o.cfg.Now().UnixMilli()}
		done := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row)
		if done.Error != nil {
			return fmt.Errorf("intake: accept: note the submission: %w", done.Error)
		}
		if done.RowsAffected == 0 {
			return fmt.Errorf("%w: %s of form %s; delete its row", ErrAccepted, submission, form)
		}
		if o.cfg.WithTx != nil {
			if err := o.record(o.cfg.WithTx(ctx, tx), "accept", purpose, form, submission); err != nil {
				return err
			}
		}
		return save(tx, body)
	})
}

func (o *Office) open(ctx context.Context, purpose, form, submission string, box Box) ([]byte, Place, error) {
	if strings.TrimSpace(purpose) == "" {
		return nil, Place{}, errors.New("intake: open: the purpose is empty; say why the content is needed, it goes into the log")
	}
	tenant, err := o.cfg.Tenant(ctx)
	if err != nil {
		return nil, Place{}, fmt.Errorf("intake: tenant: %w", err)
	}
	at := Place{Form: form, Tenant: tenant, Submission: submission}
	if err := at.check(); err != nil {
		return nil, Place{}, err
	}
	if err := o.cfg.Gate.MayReveal(ctx, form, []string{submission}, []string{"box"}); err != nil {
		return nil, Place{}, fmt.Errorf("intake: open %s of form %s: %w", submission, form, err)
	}
	body, err := o.cfg.Keys.open(at, box)
	return body, at, err
}

func (o *Office) record(ctx context.Context, what, purpose, form, submission string) error {
	err := o.cfg.Record.Record(ctx, form+"."+what,
		slog.String("resource", form), slog.String("row", submission), slog.String("fields", "box"),
		slog.String("purpose", purpose), slog.String("result", "ok"))
	if err != nil {
		return fmt.Errorf("intake: %s: it could not be recorded, so it did not happen: %w", what, err)
	}
	return nil
}
