package web

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/confide-go/confide/audit/httpaudit"
	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
)

var (
	errNoPage   = errors.New("web: no such page")
	errOldForm  = errors.New("web: the form is not of this session")
	errNotAForm = errors.New("web: not a form")
	errTooLarge = errors.New("web: the form is too large")
)

// A failure is what the reader gets to see of an error.
type failure struct {
	Status      int
	Title, Text string // keys
	Told        string // what the error says itself, for people
	Request     string // id, only where somebody has to look into the log
}

func failureOf(err error) failure {
	var tooLarge *http.MaxBytesError
	var needs *desk.Needs
	switch {
	case errors.As(err, &needs):
		return failure{Status: http.StatusForbidden, Title: "error.needs.title", Text: needsText(needs)}
	case errors.Is(err, desk.ErrNotFound), errors.Is(err, errNoPage):
		return failure{Status: http.StatusNotFound, Title: "error.404.title", Text: "error.404.text"}
	case errors.Is(err, desk.ErrDenied):
		return failure{Status: http.StatusForbidden, Title: "error.403.title", Text: "error.403.text"}
	case errors.Is(err, desk.ErrErased):
		return failure{Status: http.StatusGone, Title: "error.410.title", Text: "error.410.text"}
	case errors.Is(err, desk.ErrInvalid):
		return failure{Status: http.StatusUnprocessableEntity, Title: "error.422.title", Text: "error.422.text", Told: told(err)}
	case errors.Is(err, signin.ErrNoSession):
		return failure{Status: http.StatusUnauthorized, Title: "error.401.title", Text: "error.401.text"}
	case errors.Is(err, errOldForm):
		return failure{Status: http.StatusForbidden, Title: "error.form.title", Text: "error.form.text"}
	case errors.Is(err, errNotAForm):
		return failure{Status: http.StatusBadRequest, Title: "error.form.title", Text: "error.form.text"}
	case errors.Is(err, errTooLarge), errors.As(err, &tooLarge):
		return failure{Status: http.StatusRequestEntityTooLarge, Title: "error.413.title", Text: "error.413.text"}
	}
	return failure{Status: http.StatusInternalServerError, Title: "error.500.title", Text: "error.500.text"}
}

// needsText says what the caller can bring.
func needsText(n *desk.Needs) string {
	switch {
	case n.SignIn:
		return "error.needs.signin"
	case n.Approval:
		return "error.needs.approval"
	}
	return "error.needs.reason"
}

// told is the sentence that an error of ErrInvalid has for people.
func told(err error) string {
	s := strings.ReplaceAll(err.Error(), desk.ErrInvalid.Error(), "")
	return strings.Trim(s, ": ")
}

// fail answers an error: JSON to the script, the login page to who is not signed
// in, a page to everybody else.
func (v *visit) fail(err error) {
	f := failureOf(err)
	if f.Status == http.StatusInternalServerError {
		f.Request = requestID(v.ctx())
		v.Log.ErrorContext(v.ctx(), "a page failed", slog.String("route", v.r.Pattern), slog.Any("error", err), slog.String("request", f.Request))
	}
	if errors.Is(err, desk.ErrDenied) {
		httpaudit.Recorded(v.ctx()) // by the desk, which knows what was refused
	}
	switch {
	case v.wantsJSON():
		text := v.t(f.Text)
		if f.Told != "" {
			text = f.Told
		}
		v.json(f.Status, map[string]string{"error": text})
	case f.Status == http.StatusUnauthorized:
		v.toLogin()
	default:
		v.show(f.Status, "error", page{Title: v.t(f.Title), Here: "/customers", Data: f})
	}
}

// toLogin remembers where the person wanted to go, without the query: that may
// hold what they searched for.
func (v *visit) toLogin() {
	to := "/login"
	if v.r.Method == http.MethodGet && v.r.URL.Path != "/" {
		to += "?" + url.Values{"next": {v.r.URL.EscapedPath()}}.Encode()
	}
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
}

func (v *visit) json(status int, body any) {
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // maps of strings
	}
	v.w.Header().Set("Content-Type", "application/json; charset=utf-8")
	v.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	v.w.WriteHeader(status)
	v.w.Write(b)
}
