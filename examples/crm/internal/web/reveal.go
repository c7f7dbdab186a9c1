package web

import (
	"net/http"
	"slices"
	"unicode/utf8"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

const (
	shortestPurpose = 5   // characters
	longestPurpose  = 200 // characters
	shownFor        = 30  // seconds
)

// revealData is the form for browsers without scripts, and the page that answers
// it.
type revealData struct {
	desk.Customer
	Field   string
	Purpose string
	Problem string
	Value   string // only on the page that shows it once
	Seconds int
}

// revealForm is GET /customers/{id}/reveal?field=…: the dialog as a page.
func (a *app) revealForm(v *visit) error {
	c, err := v.customer()
	if err != nil {
		return err
	}
	d := revealData{Customer: c, Field: v.query("field")}
	switch cell := c.Cells[d.Field]; {
	case !slices.Contains(desk.CustomerFields(), d.Field):
		return desk.ErrNotFound
	case c.Erased || cell.Erased:
		return desk.ErrErased
	case !cell.Revealable:
		return desk.ErrDenied
	}
	return v.showReveal(http.StatusOK, "reveal", d)
}

func (v *visit) showReveal(status int, name string, d revealData) error {
	return v.show(status, name, page{
		Title: v.t("reveal.title", v.words.label(v.lang, fieldKey, d.Field)), Section: "customers",
		Here: customerPath(d.ID), Data: d,
	})
}

// reveal is POST /customers/{id}/reveal, the only way a full value leaves. The
// desk asks the permission and writes the log before it returns the value.
func (a *app) reveal(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	field, purpose := v.form("field"), v.form("purpose")
	if !slices.Contains(desk.CustomerFields(), field) {
		return desk.ErrNotFound
	}
	if n := utf8.RuneCountInString(purpose); n < shortestPurpose || n > longestPurpose || !printable(purpose) {
		return v.askAgain(id, field, purpose)
	}
	value, err := v.Customers.Reveal(v.ctx(), id, field, purpose)
	if err != nil {
		return err
	}
	if v.wantsJSON() {
		v.json(http.StatusOK, map[string]string{"value": value})
		return nil
	}
	c, err := v.Customers.Customer(v.ctx(), id)
	if err != nil {
		return err
	}
	return v.showReveal(http.StatusOK, "revealed", revealData{Customer: c, Field: field, Purpose: purpose, Value: value, Seconds: shownFor})
}

// askAgain answers a reason that is none.
func (v *visit) askAgain(id, field, purpose string) error {
	problem := v.t("reveal.purpose.problem", shortestPurpose, longestPurpose)
	if v.wantsJSON() {
		v.json(http.StatusUnprocessableEntity, map[string]string{"error": problem})
		return nil
	}
	c, err := v.Customers.Customer(v.ctx(), id)
	if err != nil {
		return err
	}
	return v.showReveal(http.StatusUnprocessableEntity, "reveal", revealData{Customer: c, Field: field, Purpose: purpose, Problem: problem})
}
