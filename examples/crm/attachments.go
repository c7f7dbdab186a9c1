package main

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/privacy/attach"
)

// largestFile is in bytes; the pages accept no more.
const largestFile = 10 << 20

// openFiles opens the folder of the customers' files.
func (a *app) openFiles(ctx context.Context) (err error) {
	if a.store, err = attach.OpenDir(ctx, a.folder.files()); err != nil {
		return err
	}
	a.files, err = attach.New(attach.Config{Store: a.store, MaxSize: largestFile})
	return err
}

// forgetFiles takes the files of a customer who is being erased out of their rows
// and names them. Their keys go with the customer's.
func forgetFiles(tx *gorm.DB, customerID string) (objects []string, err error) {
	mine := func() *gorm.DB { return tx.Model(&book.Document{}).Where("customer_id = ?", customerID) }
	if err := mine().Where("object <> ?", "").Pluck("object", &objects).Error; err != nil || len(objects) == 0 {
		return nil, err
	}
	return objects, mine().Update("object", "").Error
}

// removeFiles deletes objects that nobody can open any more. What it does not
// reach, sweepFiles finds.
func (a *app) removeFiles(ctx context.Context, objects []string) error {
	for _, id := range objects {
		if err := a.store.Delete(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// sweepFiles removes uploads whose row was never written and files of customers
// who were erased, once a day.
func (a *app) sweepFiles(ctx context.Context) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			swept, err := a.sweep(operator(ctx, "sweep files"))
			if err != nil && ctx.Err() == nil {
				a.logger.ErrorContext(ctx, "files without a row could not be removed; the next day tries again", "error", err)
				continue
			}
			a.logger.InfoContext(ctx, "files swept", "removed", swept.Removed, "kept", swept.Live)
		}
	}
}

func (a *app) sweep(ctx context.Context) (attach.Swept, error) {
	return a.files.Sweep(ctx, attach.SweepConfig{Live: func(ctx context.Context, ids []string) (live []string, err error) {
		err = a.db.WithContext(ctx).Model(&book.Document{}).Where("object IN ?", ids).Pluck("object", &live).Error
		return live, err
	}})
}
