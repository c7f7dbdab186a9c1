package web

import (
	"errors"
	"net/http"
	"net/mail"
	"slices"
	"unicode/utf8"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

const longestField = 300 // characters

// editData is the form. A masked field has no value in it, only its mask beside
// it: what is left empty stays as it is.
type editData struct {
	desk.Customer
	Inputs  []input
	Owners  []desk.Person // empty: the caller may not see who could own it
	Problem string
}

// An input is one field of the form.
type input struct {
	Name    string
	Value   string // typed; of a field in full what is stored
	Was     string // what the form showed when it was opened
	Mask    string
	Masked  bool
	Clear   bool // to be emptied
	Problem string
}

func (a *app) editForm(v *visit) error {
	c, err := v.editable()
	if err != nil {
		return err
	}
	return v.showEdit(http.StatusOK, editData{Customer: c, Inputs: inputsOf(c)})
}

// editable is the customer of the address, if the caller may change it.
func (v *visit) editable() (desk.Customer, error) {
	c, err := v.customer()
	switch {
	case err != nil:
		return c, err
	case c.Erased:
		return c, desk.ErrErased
	case !c.Can.Update:
		return c, desk.ErrDenied
	}
	return c, nil
}

func inputsOf(c desk.Customer) []input {
	var all []input
	for _, name := range desk.CustomerFields() {
		cell := c.Cells[name]
		in := input{Name: name, Masked: cell.Masked, Mask: cell.Text}
		if !cell.Masked {
			in.Value, in.Was = cell.Text, cell.Text
		}
		all = append(all, in)
	}
	return append(all,
		input{Name: "country", Value: c.Country, Was: c.Country},
		input{Name: "owner_id", Value: c.OwnerID, Was: c.OwnerID})
}

func (v *visit) showEdit(status int, d editData) error {
	staff, err := v.People.Staff(v.ctx())
	if err != nil && !errors.Is(err, desk.ErrDenied) {
		return err
	}
	d.Owners = slices.DeleteFunc(staff.People, func(p desk.Person) bool { return p.Disabled && p.ID != d.OwnerID })
	return v.show(status, "edit", page{
		Title: v.t("edit.title", v.nameOf(d.Customer)), Section: "customers", Here: customerPath(d.ID) + "/edit", Data: d,
	})
}

func (a *app) edit(v *visit) error {
	c, err := v.editable()
	if err != nil {
		return err
	}
	d := editData{Customer: c, Inputs: inputsOf(c)}
	changed, ok := v.typed(d.Inputs)
	if !ok {
		d.Problem = v.t("edit.problem")
		return v.showEdit(http.StatusUnprocessableEntity, d)
	}
	if len(changed) == 0 {
		return v.seeOther(customerPath(c.ID) + "?done=unchanged")
	}
	err = v.Customers.UpdateCustomer(v.ctx(), c.ID, changed)
	if errors.Is(err, desk.ErrInvalid) {
		d.Problem = told(err)
		return v.showEdit(http.StatusUnprocessableEntity, d)
	}
	if err != nil {
		return err
	}
	// The change may have put the customer out of the caller's sight.
	if _, err := v.Customers.Customer(v.ctx(), c.ID); err != nil {
		return v.seeOther("/customers?done=saved")
	}
	return v.seeOther(customerPath(c.ID) + "?done=saved")
}

// typed reads the form into the inputs and returns what the person changed. A
// field in full counts as changed against what the form showed, not against what
// is stored now: somebody else's change meanwhile is not undone.
func (v *visit) typed(inputs []input) (changed map[string]string, ok bool) {
	changed, ok = map[string]string{}, true
	for i := range inputs {
		in := &inputs[i]
		if _, sent := v.r.PostForm[in.Name]; !sent {
			continue
		}
		in.Value, in.Clear = v.form(in.Name), v.form("clear_"+in.Name) == "1"
		was := ""
		if !in.Masked {
			in.Was = v.form("was_" + in.Name)
			was = in.Was
		}
		switch {
		case utf8.RuneCountInString(in.Value) > longestField:
			in.Problem, ok = v.t("edit.toolong", longestField), false
		case !printable(in.Value):
			in.Problem, ok = v.t("edit.unprintable"), false
		case in.Masked && in.Clear && in.Value != "":
			in.Problem, ok = v.t("edit.both"), false
		case in.Value == "" && required(in.Name) && (in.Masked && in.Clear || was != ""):
			in.Problem, ok = v.t("edit.required"), false
		case in.Name == "email" && in.Value != was && in.Value != "" && !isAddress(in.Value):
			in.Problem, ok = v.t("edit.email"), false
		case in.Masked && in.Clear:
			changed[in.Name] = ""
		case in.Value != was:
			changed[in.Name] = in.Value
		}
	}
	return changed, ok
}

// required names the fields that a customer cannot be without. The desk has the
// last word; this is for a sentence beside the field, in the reader's language.
func required(name string) bool { return name == "last_name" || name == "owner_id" }

func isAddress(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}
