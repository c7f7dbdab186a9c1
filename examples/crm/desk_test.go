package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/rbac"
)

// TestDeskHoldsWithoutThePages asks the desk directly, as another front end would:
// nothing may depend on what the pages check.
func TestDeskHoldsWithoutThePages(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &command{settings: settings{data: filepath.Join(t.TempDir(), "data"), log: "error", lang: "en"}, stdout: &out, stderr: &out}
	a, err := open(t.Context(), c)
	require.NoError(t, err)
	defer a.close()
	_, err = a.demo(t.Context(), true)
	require.NoError(t, err)

	jane, err := a.desk.Within(who.With(t.Context(), who.Who{IP: "192.0.2.1", Channel: "test"}), signin.Session{UserID: "3", Tenant: book.Tenant})
	require.NoError(t, err)

	for _, purpose := range []string{"", "    ", "abc", " abc "} {
		_, err = a.desk.Reveal(jane, "1", "phone", purpose)
		require.ErrorIs(t, err, desk.ErrInvalid)
		require.ErrorContains(t, err, "give a reason of at least five characters")
	}
	_, err = a.desk.Reveal(jane, "2", "phone", "call back")
	require.Equal(t, desk.ErrNotFound, err)
	_, err = a.desk.Reveal(jane, "1", "password", "call back")
	require.Equal(t, desk.ErrNotFound, err)
	phone, err := a.desk.Reveal(jane, "1", "phone", "call back")
	require.NoError(t, err)
	require.Equal(t, "+55 (12) 3923-5555", phone)

	for problem, changed := range map[string]map[string]string{
		"there is no field tenant_id":                     {"tenant_id": "other"},
		"last_name must not be empty":                     {"last_name": "  "},
		"owner_id names nobody on the staff":              {"owner_id": "99"},
		"email is not an address; write name@example.com": {"email": "Luís <luis@example.com>"},
		"country is longer than 80 bytes; shorten it":     {"country": string(bytes.Repeat([]byte("x"), 81))},
		"company is longer than 500 bytes; shorten it":    {"company": string(bytes.Repeat([]byte("x"), 501))},
	} {
		err := a.desk.UpdateCustomer(jane, "1", changed)
		require.ErrorIs(t, err, desk.ErrInvalid, problem)
		require.ErrorContains(t, err, problem)
	}
	require.Equal(t, desk.ErrNotFound, a.desk.UpdateCustomer(jane, "2", map[string]string{"company": "Mine"}))
	// Sales people do not give customers away; their manager does, and the invoices go along.
	require.Equal(t, desk.ErrDenied, a.desk.UpdateCustomer(jane, "3", map[string]string{"owner_id": "4"}))
	nancy, err := a.desk.Within(who.With(t.Context(), who.Who{Channel: "test"}), signin.Session{UserID: "2", Tenant: book.Tenant})
	require.NoError(t, err)
	before, err := a.desk.Invoices(jane, "", 1)
	require.NoError(t, err)
	of3, err := a.desk.Invoices(jane, "3", 1)
	require.NoError(t, err)
	require.NoError(t, a.desk.UpdateCustomer(nancy, "3", map[string]string{"owner_id": "4"}))
	_, err = a.desk.Customer(jane, "3")
	require.Equal(t, desk.ErrNotFound, err)
	after, err := a.desk.Invoices(jane, "", 1)
	require.NoError(t, err)
	require.NotZero(t, of3.Total)
	require.Equal(t, before.Total-of3.Total, after.Total)

	// To see a list is not to take it away.
	require.NoError(t, a.desk.ExportCustomers(jane, &out))
	require.NoError(t, a.authz.Edit(operator(t.Context(), "test"), func(p *rbac.Policy) error {
		for i := range p.Rules {
			p.Rules[i].Actions = slices.DeleteFunc(p.Rules[i].Actions, func(a string) bool { return a == "export" })
		}
		return nil
	}))
	out.Reset()
	require.Equal(t, desk.ErrDenied, a.desk.ExportCustomers(jane, &out))
	require.Empty(t, out.String())

	// Nobody is nobody: a context without a person gets nothing.
	_, err = a.desk.Customers(t.Context(), desk.CustomerQuery{})
	require.Error(t, err)
	_, err = a.desk.VerifyLog(jane)
	require.Equal(t, desk.ErrDenied, err)
}
