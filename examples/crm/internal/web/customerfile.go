package web

import (
	"log/slog"
	"net/http"
)

// customerFile is GET /customers.csv. The desk writes an export into the audit
// log, so a page of another site must not be able to start one.
func (a *app) customerFile(v *visit) error {
	if site := v.r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" {
		return errOldForm
	}
	out := &download{w: v.w, name: "customers-" + v.Now().In(v.Zone).Format("2006-01-02") + ".csv"}
	err := v.Customers.ExportCustomers(v.ctx(), out)
	if err == nil {
		_, err = out.Write(nil)
		return err
	}
	if !out.begun {
		return err
	}
	v.Log.ErrorContext(v.ctx(), "an export broke off", slog.Any("error", err), slog.String("request", requestID(v.ctx())))
	// Cut the connection: a file that merely ends would look whole.
	panic(http.ErrAbortHandler)
}

// A download becomes one with the first byte; until then it can still become a
// page that says why not.
type download struct {
	w     http.ResponseWriter
	name  string // ours, nothing to escape
	begun bool
}

func (d *download) Write(p []byte) (int, error) {
	if !d.begun {
		d.begun = true
		d.w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		d.w.Header().Set("Content-Disposition", `attachment; filename="`+d.name+`"`)
	}
	return d.w.Write(p)
}
