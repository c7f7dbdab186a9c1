package web

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/confide-go/confide/audit/httpaudit"
	"github.com/confide-go/confide/examples/crm/internal/signin"
)

// loginData is what the login page shows.
type loginData struct {
	Login   string // as typed, to be corrected
	Next    string
	Problem string
	Demo    []Login
}

func (a *app) loginForm(v *visit) error {
	next := localPath(v.query("next"), "")
	if v.session != nil {
		return v.seeOther(localPath(next, "/"))
	}
	return v.showLogin(http.StatusOK, loginData{Next: next})
}

func (v *visit) showLogin(status int, d loginData) error {
	d.Demo = v.DemoLogins
	return v.show(status, "login", page{Title: v.t("login.title"), Here: "/login", Data: d})
}

// login begins a session. A session that the browser already has ends first: a
// token that somebody planted there must not come to life.
func (a *app) login(v *visit) error {
	if v.session != nil {
		if err := v.Sessions.SignOut(v.ctx(), v.token); err != nil {
			return err
		}
	}
	d := loginData{Login: v.form("login"), Next: localPath(v.form("next"), "")}
	token, err := v.Sessions.SignIn(v.ctx(), d.Login, v.r.PostForm.Get("password"))
	var throttled *signin.Throttled
	switch {
	case errors.As(err, &throttled):
		seconds := int(math.Ceil(throttled.RetryAfter.Seconds()))
		v.w.Header().Set("Retry-After", strconv.Itoa(seconds))
		d.Problem = v.t("login.throttled", seconds)
		httpaudit.Recorded(v.ctx()) // by the door
		return v.showLogin(http.StatusTooManyRequests, d)
	case errors.Is(err, signin.ErrCredentials):
		d.Problem = v.t("login.wrong")
		return v.showLogin(http.StatusUnprocessableEntity, d)
	case err != nil:
		return err
	}
	v.setCookie(v.sessionCookie(), token, 0)
	return v.seeOther(localPath(d.Next, "/"))
}

func (a *app) logout(v *visit) error {
	if err := v.Sessions.SignOut(v.ctx(), v.token); err != nil {
		return err
	}
	v.setCookie(v.sessionCookie(), "", -1)
	return v.seeOther("/login")
}
