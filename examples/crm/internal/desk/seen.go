package desk

import (
	"context"
	"log/slog"

	"github.com/confide-go/confide/examples/crm/internal/book"
)

// seen writes down that rows were on a page: one event for all of them, with the
// fields that stood there, masked or not. What stood there in full has an event of its
// own besides. The caller shows nothing if the log does not take it.
func seen[T any](ctx context.Context, d *Desk, resource string, rows []T, fields []string, purpose string) error {
	if len(rows) == 0 {
		return nil
	}
	ids := make([]string, len(rows))
	for i := range rows {
		switch row := any(&rows[i]).(type) {
		case *book.Customer:
			ids[i] = row.ID
		case *book.Invoice:
			ids[i] = row.ID
		case *book.Document:
			ids[i] = row.ID
		}
	}
	return d.Log.Seen(ctx, resource, ids, fields, slog.String("purpose", purpose))
}
