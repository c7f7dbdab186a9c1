package desk

import (
	"context"
	"encoding/csv"
	"io"
	"log/slog"
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/who"
)

// ExportCustomers writes the customers the caller may see as CSV, masked as on
// the screen; a field that may not be exported stays empty. The log says that it happened before the first row leaves.
func (d *Desk) ExportCustomers(ctx context.Context, w io.Writer) error {
	if err := d.must(ctx, "export", &book.Customer{TenantID: who.From(ctx).Tenant, OwnerID: who.From(ctx).ID}); err != nil {
		return err
	}
	page, err := d.Customers(ctx, CustomerQuery{})
	if err != nil {
		return err
	}
	if err := d.Log.Record(ctx, "customer.export", slog.String("resource", "customer"), slog.Int("count", page.Total), slog.String("result", "ok")); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	if err := out.Write(append([]string{"id", "owner_id", "country"}, CustomerFields()...)); err != nil {
		return err
	}
	for n := 1; ; n++ {
		for _, c := range page.Customers {
			record := []string{harmless(c.ID), harmless(c.OwnerID), harmless(c.Country)}
			for _, f := range CustomerFields() {
				record = append(record, harmless(c.Cells[f].export()))
			}
			if err := out.Write(record); err != nil {
				return err
			}
		}
		if n >= page.Pages {
			out.Flush()
			return out.Error()
		}
		if page, err = d.Customers(ctx, CustomerQuery{Page: n + 1}); err != nil {
			return err
		}
	}
}

// export returns what of a cell may leave in a file.
func (c Cell) export() string {
	if !c.exportable {
		return ""
	}
	return c.Text
}

// harmless keeps a spreadsheet from taking a cell for a formula (OWASP, CSV
// injection): also the full-width signs, which some take for the plain ones.
func harmless(cell string) string {
	if first, _ := utf8.DecodeRuneInString(cell); strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) && cell != "" {
		return "'" + cell
	}
	return cell
}
