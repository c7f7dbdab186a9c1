package web

import (
	"errors"
	"net/http"
	"slices"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

// peopleData is the staff, the roles, and who looks at them.
type peopleData struct {
	desk.Staff
	Me      string
	Problem string
}

func (a *app) people(v *visit) error { return v.showPeople(http.StatusOK, "") }

func (v *visit) showPeople(status int, problem string) error {
	staff, err := v.People.Staff(v.ctx())
	if err != nil {
		return err
	}
	return v.show(status, "people", page{
		Title: v.t("people.title"), Section: "people", Done: v.done(), Here: "/users",
		Data: peopleData{Staff: staff, Me: v.session.UserID, Problem: problem},
	})
}

// Has reports whether a person has a role; the template asks.
func (peopleData) Has(p desk.Person, role string) bool { return slices.Contains(p.Roles, role) }

func (a *app) setRoles(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	roles := slices.Clone(v.r.PostForm["role"])
	slices.Sort(roles)
	return v.afterPeople(v.People.SetRoles(v.ctx(), id, slices.Compact(roles)), "roles")
}

func (a *app) setDisabled(disabled bool) handler {
	done := "enabled"
	if disabled {
		done = "disabled"
	}
	return func(v *visit) error {
		id, err := v.id()
		if err != nil {
			return err
		}
		return v.afterPeople(v.People.SetDisabled(v.ctx(), id, disabled), done)
	}
}

// afterPeople leads back to the list, or says there what was wrong.
func (v *visit) afterPeople(err error, done string) error {
	if errors.Is(err, desk.ErrInvalid) {
		return v.showPeople(http.StatusUnprocessableEntity, told(err))
	}
	if err != nil {
		return err
	}
	return v.seeOther("/users?done=" + done)
}
