package desk

import (
	"context"
	"io"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/rbac"
)

// A Document is a file of a customer as the caller may see it: that it is there.
// Its name is as private as its content.
type Document struct {
	ID    string
	Added time.Time
	Size  int64 // bytes
}

// Documents returns the files of a customer, newest first.
func (d *Desk) Documents(ctx context.Context, customerID string) ([]Document, error) {
	if _, err := d.customer(d.db(ctx), customerID); err != nil {
		return nil, err
	}
	var rows []book.Document
	err := d.db(ctx).Where("customer_id = ?", customerID).Order("created_at DESC").Order("id").Find(&rows).Error
	if err != nil {
		return nil, clarify(err)
	}
	list := make([]Document, len(rows))
	for i, row := range rows {
		list[i] = Document{ID: row.ID, Added: row.CreatedAt, Size: row.Size}
	}
	return list, seen(ctx, d, "document", rows, nil, "document list")
}

// AddDocument stores a file of a customer whom the caller may change. The file is
// sealed first and its row written after: a crash between leaves a file that
// nobody can open and that Sweep removes.
func (d *Desk) AddDocument(ctx context.Context, customerID, name string, content io.Reader) error {
	row, err := d.customer(d.db(ctx), customerID)
	if err != nil {
		return err
	}
	if row.LastName.IsErased() {
		return ErrErased
	}
	if err := d.must(ctx, "update", row); err != nil {
		return err
	}
	ref, err := d.Files.Seal(ctx, name, content)
	if err != nil {
		return err
	}
	return d.inTx(ctx, func(ctx context.Context, tx *gorm.DB) error {
		row, err := d.customer(tx, customerID) // again: the upload may have taken a while
		if err != nil {
			return err
		}
		return clarify(tx.Create(&book.Document{
			ID: book.NewID(), TenantID: row.TenantID, CustomerID: row.ID, OwnerID: row.OwnerID, Hidden: row.Hidden,
			Object: ref.ID(), Size: ref.Size(), File: ref.Sealed(),
		}).Error)
	})
}

// OpenDocument opens a file, if the caller may see it and the log has taken down
// who asked for it and why. Close it.
func (d *Desk) OpenDocument(ctx context.Context, customerID, id, purpose string) (*attach.Reader, error) {
	if _, err := d.customer(d.db(ctx), customerID); err != nil {
		return nil, err
	}
	var row book.Document
	if err := d.db(ctx).Where("id = ? AND customer_id = ?", id, customerID).First(&row).Error; err != nil {
		return nil, clarify(err)
	}
	if purpose = strings.TrimSpace(purpose); len([]rune(purpose)) < 5 {
		return nil, invalid("give a reason of at least five characters")
	}
	ref, err := row.File.Reveal(rbac.WithReason(ctx, purpose), purpose)
	if err != nil {
		return nil, clarify(err)
	}
	return d.Files.Open(ctx, ref)
}
