package attach

import (
	"mime"
	"net/http"
	"strings"
	"time"
)

// ServeHTTP serves the file as a download, with ranges. Whatever is in it, a browser saves it and does not show
// or run it. The caller has asked the gate already: a Ref comes from Reveal only. Of several ranges in one
// request none is honoured, because each would cost a segment.
func (r *Reader) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	h := w.Header()
	h.Set("Content-Type", r.held.Type)
	h.Set("Content-Disposition", disposition(r.held.Name))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, no-store")
	// An object never changes, so that its id is the strongest tag there is.
	h.Set("ETag", `"`+r.held.ID+`"`)
	if strings.Contains(req.Header.Get("Range"), ",") {
		req = req.Clone(req.Context())
		req.Header.Del("Range")
	}
	http.ServeContent(w, req, "", time.Time{}, r)
}

func disposition(name string) string {
	if v := mime.FormatMediaType("attachment", map[string]string{"filename": name}); v != "" {
		return v
	}
	return "attachment"
}
