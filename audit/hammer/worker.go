package hammer

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/fileanchor"
	"github.com/confide-go/confide/audit/gormstore"
)

// errBack is why a transaction is rolled back on purpose.
var errBack = errors.New("rolled back on purpose")

// Worker writes and seals until it is killed, or until stdin ends, which ends the
// process: it returns only an error. For each transaction it prints "+ id;" after
// the commit and "- id;" after a rollback on purpose, so that Run knows what must be in
// the log and what must not.
func Worker(ctx context.Context, open func(dsn string) (*gorm.DB, error), stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	line, err := in.ReadBytes('\n')
	var j job
	if err != nil || json.Unmarshal(line, &j) != nil {
		return fmt.Errorf("%w: this process is one of hammer.Run's, it is not started by hand", audit.ErrInvalid)
	}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		os.Exit(1)
	}()
	db, err := open(j.DSN)
	if err != nil {
		return err
	}
	log, err := openLog(ctx, db, j)
	if err != nil {
		return err
	}
	if err := db.Use(log); err != nil {
		return fmt.Errorf("hammer: %w", err)
	}
	go func() { _ = log.Run(ctx) }()
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", j.Name, i)
		switch err := transaction(ctx, db, log, id, i); {
		case err == nil:
			fmt.Fprintf(stdout, "+ %s;\n", id)
		case errors.Is(err, errBack):
			fmt.Fprintf(stdout, "- %s;\n", id)
		}
	}
}

type tenantKey struct{}

func actor(ctx context.Context) audit.Actor {
	tenant, _ := ctx.Value(tenantKey{}).(string)
	return audit.Actor{ID: "hammer", Tenant: tenant}
}

func tenants() []string { return []string{"a", "b"} }

// transaction makes three events, and takes every fifth back.
func transaction(ctx context.Context, db *gorm.DB, log *audit.Log, id string, i int) error {
	ctx = context.WithValue(ctx, tenantKey{}, tenants()[i%2])
	return db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Create(&hammered{ID: id}).Error; err != nil {
			return err
		}
		if err := tx.Model(&hammered{ID: id}).Update("owner", "u").Error; err != nil {
			return err
		}
		if err := log.Record(audit.WithTx(ctx, tx), "hammered.reveal", slog.String("resource", "hammered"), slog.String("row", id)); err != nil {
			return err
		}
		if i%5 == 4 {
			return errBack
		}
		return nil
	})
}

func openLog(ctx context.Context, db *gorm.DB, j job) (*audit.Log, error) {
	store, err := gormstore.Open(ctx, db)
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(j.Skey)
	if err != nil {
		return nil, errors.New("hammer: the key of this run cannot be read") // its text would hold the key
	}
	verifier, err := note.NewVerifier(j.Vkey)
	if err != nil {
		return nil, fmt.Errorf("hammer: %w", err)
	}
	anchor, err := fileanchor.Open(j.Anchor)
	if err != nil {
		return nil, err
	}
	return audit.Open(ctx, audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actor, Anchor: anchor,
		Interval: 5 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
}
