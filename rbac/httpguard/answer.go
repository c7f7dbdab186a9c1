package httpguard

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/confide-go/confide/rbac"
)

// Fail answers the request with what err means to a client. It is for handlers behind Wrap; it must come
// before anything is written.
func (g *Guard) Fail(w http.ResponseWriter, r *http.Request, err error) {
	sw, ok := w.(*writer)
	if !ok {
		sw = &writer{ResponseWriter: w}
	}
	g.fail(sw, r, err)
}

// fail answers, or cuts the connection if an answer has begun: half a page with status 200 must not pass
// for a whole one.
func (g *Guard) fail(w *writer, r *http.Request, err error) {
	g.cfg.Report(r.Context(), err)
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	w.restore()
	p := problemOf(err)
	for _, challenge := range g.challenges(err, p.Status) {
		h.Add("WWW-Authenticate", challenge)
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// restore takes back what the handler prepared for the answer that is not given, such as a cookie or the
// name of a file.
func (w *writer) restore() {
	h := w.Header()
	if w.before == nil {
		for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Content-Range", "Etag", "Last-Modified", "Location", "Link", "Set-Cookie", "Trailer"} {
			h.Del(name)
		}
		return
	}
	clear(h)
	maps.Copy(h, w.before)
}

// problem is the body of a refusal, RFC 9457. Its type is about:blank: the status says it all.
type problem struct {
	Title  string   `json:"title"`
	Status int      `json:"status"`
	Needs  []string `json:"needs,omitempty"`
}

func problemOf(err error) problem {
	var required *rbac.Required
	status := http.StatusInternalServerError
	var needs []string
	switch {
	case errors.Is(err, rbac.ErrNoCaller):
		status = http.StatusUnauthorized
	case errors.As(err, &required):
		status, needs = requiredStatus(required), needsOf(required)
	case errors.Is(err, rbac.ErrDenied):
		status = http.StatusForbidden
	}
	return problem{Title: http.StatusText(status), Status: status, Needs: needs}
}

// requiredStatus asks for what comes first: who somebody is, then whether others agree, then why.
func requiredStatus(r *rbac.Required) int {
	switch {
	case r.Assurance > 0:
		return http.StatusUnauthorized
	case r.Approval:
		return http.StatusForbidden
	case r.Reason:
		return http.StatusPreconditionRequired
	}
	return http.StatusForbidden
}

func needsOf(r *rbac.Required) []string {
	var needs []string
	if r.Assurance > 0 {
		needs = append(needs, "step-up")
	}
	if r.Approval {
		needs = append(needs, "approval")
	}
	if r.Reason {
		needs = append(needs, "reason")
	}
	return needs
}

// challenges are what a 401 must carry.
func (g *Guard) challenges(err error, status int) []string {
	if status != http.StatusUnauthorized {
		return nil
	}
	var required *rbac.Required
	if errors.Is(err, rbac.ErrNoCaller) || !errors.As(err, &required) {
		return []string{"Bearer"}
	}
	c := `Bearer error="insufficient_user_authentication", error_description="A stronger or more recent sign-in is required"`
	if acr := g.cfg.ACR(required.Assurance); acr != "" && quotable(acr) {
		c += fmt.Sprintf(`, acr_values="%s"`, acr)
	}
	if required.MaxAge > 0 {
		c += fmt.Sprintf(`, max_age="%d"`, int64(required.MaxAge/time.Second))
	}
	return []string{c}
}

// quotable reports whether s can stand between quotes as it is (RFC 6750, section 3).
func quotable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
}
