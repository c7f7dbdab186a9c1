package web

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
)

// A visit is one request at a page.
type visit struct {
	*app
	w       http.ResponseWriter
	r       *http.Request
	lang    string
	session *signin.Session // nil: nobody is signed in
	token   string          // the session's, from the cookie
	csrf    string          // for the forms of this page

	seesAudit, seesSystem bool
}

// A handler answers a visit or returns why it could not.
type handler func(*visit) error

func (v *visit) ctx() context.Context { return v.r.Context() }

// open finds out who is there, checks the form of a POST, and answers errors.
func (a *app) open(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{app: a, w: w, r: r, lang: a.chosenLang(r)}
		err := v.identify()
		if err == nil && r.Method == http.MethodPost {
			err = v.checkForm()
		}
		if err == nil {
			err = h(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// signedIn sends visitors without a session to the login page.
func signedIn(h handler) handler {
	return func(v *visit) error {
		if v.session == nil {
			return signin.ErrNoSession
		}
		return h(v)
	}
}

// identify sets session and csrf. Without a session the form token hangs on a
// cookie of its own.
func (v *visit) identify() error {
	if c, err := v.r.Cookie(v.sessionCookie()); err == nil {
		s, err := v.Sessions.Session(v.ctx(), c.Value)
		if err == nil {
			s.Lang = v.lang
			v.session, v.token, v.csrf = &s, c.Value, s.CSRF
			ctx, err := v.Within(v.ctx(), s)
			if err != nil {
				return err
			}
			v.r = v.r.WithContext(ctx)
			if v.seesAudit, err = v.SeesAudit(ctx); err != nil || v.System == nil {
				return err
			}
			v.seesSystem, err = v.System.SeesSystem(ctx)
			return err
		}
		if !errors.Is(err, signin.ErrNoSession) {
			return err
		}
		v.setCookie(v.sessionCookie(), "", -1)
	}
	c, err := v.r.Cookie(v.formCookie())
	if err != nil || len(c.Value) < 26 || len(c.Value) > 64 {
		c = &http.Cookie{Value: rand.Text()}
		v.setCookie(v.formCookie(), c.Value, 0)
	}
	sum := sha256.Sum256([]byte("crm form\x00" + c.Value))
	v.csrf = hex.EncodeToString(sum[:])
	return nil
}

// checkForm parses the body, and only the body, and wants the token in it.
func (v *visit) checkForm() error {
	kind, _, err := mime.ParseMediaType(v.r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return errNotAForm
	}
	if err := v.r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return errTooLarge
		}
		return errNotAForm
	}
	if subtle.ConstantTimeCompare([]byte(v.form("csrf")), []byte(v.csrf)) != 1 {
		return errOldForm
	}
	return nil
}

// form is a value of the posted form, never of the address.
func (v *visit) form(name string) string { return strings.TrimSpace(v.r.PostForm.Get(name)) }

// query is a value of the address, if it is text.
func (v *visit) query(name string) string {
	s := strings.TrimSpace(v.r.URL.Query().Get(name))
	if !printable(s) {
		return ""
	}
	return s
}

// pageNumber is the page of the address, from 1.
func (v *visit) pageNumber() int {
	n, err := strconv.Atoi(v.query("page"))
	if err != nil || n < 1 || n > 1_000_000 {
		return 1
	}
	return n
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// id is the row that the address names. What cannot be an id is not there.
func (v *visit) id() (string, error) {
	id := v.r.PathValue("id")
	if !plainID.MatchString(id) {
		return "", desk.ErrNotFound
	}
	return id, nil
}

func (v *visit) seeOther(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

// wantsJSON is how the script asks.
func (v *visit) wantsJSON() bool { return v.r.Header.Get("Accept") == "application/json" }

func (v *visit) t(key string, args ...any) string { return v.words.say(v.lang, key, args...) }

func (a *app) sessionCookie() string { return a.cookieName("session") }
func (a *app) formCookie() string    { return a.cookieName("form") }
func (a *app) langCookie() string    { return a.cookieName("lang") }

// cookieName puts __Host- before the name where browsers honour it: no other
// host, also no subdomain, can then set the cookie.
func (a *app) cookieName(name string) string {
	if a.Secure {
		return "__Host-crm_" + name
	}
	return "crm_" + name
}

// setCookie sets a cookie for maxAge seconds; 0 until the browser closes, -1
// deletes it.
func (v *visit) setCookie(name, value string, maxAge int) {
	http.SetCookie(v.w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: v.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// localPath returns an address of this site, or otherwise if to is none.
func localPath(to, otherwise string) string {
	// Browsers take a backslash for a slash and drop tabs and newlines.
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.Contains(to, `\`) || !printable(to) || len(to) > 2000 {
		return otherwise
	}
	if _, err := url.Parse(to); err != nil {
		return otherwise
	}
	return to
}

type requestIDContext struct{}

func withRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDContext{}, id)
}

func requestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDContext{}).(string)
	return id
}
