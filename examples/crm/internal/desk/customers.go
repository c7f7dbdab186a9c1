package desk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/rbac"
)

// Customers returns a page of the customers the caller may see.
func (d *Desk) Customers(ctx context.Context, q CustomerQuery) (CustomerPage, error) {
	works, err := d.worksWith(ctx, &book.Customer{TenantID: who.From(ctx).Tenant, OwnerID: who.From(ctx).ID})
	if err != nil || !works.read {
		return CustomerPage{Page: 1, Pages: 1}, err
	}
	matching := func() *gorm.DB {
		tx := d.db(ctx).Model(&book.Customer{})
		if works.hidden && !q.ShowHidden { // for the others hidden rows do not exist
			tx = tx.Where("hidden = ?", false)
		}
		if s := strings.TrimSpace(q.Search); s != "" {
			tx = tx.Where(d.search(s))
		}
		return tx
	}
	var total int64
	if err := matching().Count(&total).Error; errors.Is(err, privacy.ErrRefused) {
		return CustomerPage{}, invalid("too little or too much to search for; write more of the name or number")
	} else if err != nil {
		return CustomerPage{}, clarify(err)
	}
	page := CustomerPage{Total: int(total), Page: onPage(q.Page, int(total)), Pages: pages(int(total)), SeesHidden: works.hidden, MayExport: works.export}
	var rows []book.Customer
	err = matching().Order("created_at").Order("id").Limit(PageSize).Offset((page.Page - 1) * PageSize).Find(&rows).Error
	if err != nil {
		return CustomerPage{}, clarify(err)
	}
	if page.Customers, err = d.show(ctx, rows, "customer list"); err != nil {
		return CustomerPage{}, err
	}
	return page, seen(ctx, d, "customer", rows, CustomerFields(), "customer list")
}

// works says whether a caller has to do with rows of a kind at all.
type works struct{ read, hidden, export bool }

// worksWith asks for the caller's rights with a row of their own. Who has none
// with that has none with others, and the fields that lists are filtered and
// sorted by are hidden from them too.
func (d *Desk) worksWith(ctx context.Context, own any) (w works, err error) {
	views, err := d.Authz.View(ctx, own)
	if err != nil {
		return w, err
	}
	return works{read: views[0].Can("read"), hidden: views[0].Can("view_hidden"), export: views[0].Can("export")}, nil
}

// search is the condition for what a person typed into the search box: an e-mail
// address or @ and a domain, a telephone number or its last digits, and names:
// words of them, Chinese characters, pinyin or its initials. Which of them the
// text is can be seen from its form.
func (d *Desk) search(s string) *gorm.DB {
	value := privacy.New(s)
	switch {
	case strings.HasPrefix(s, "@") && len(s) > 1:
		return d.DB.Where("email = ?", privacy.AtDomain(s))
	case strings.Contains(s, "@"):
		return d.DB.Where("email = ?", value)
	case isNumber(s):
		return d.DB.Where("phone = ?", value).Or("fax = ?", value).Or("phone = ?", privacy.EndsWith(s))
	}
	found := d.DB.Where("last_name = ?", value).Or("company = ?", value)
	words := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
	if len(words) == 0 || len(words) > 8 || slices.ContainsFunc(words, func(w string) bool { return len(w) < 2 }) {
		return found // nothing that a word of a name could be
	}
	named := d.DB
	for _, w := range words {
		one := privacy.Match(w)
		named = named.Where("first_name = ? OR last_name = ? OR company = ?", one, one, one)
	}
	found = found.Or(named)
	if full := []rune(s); len(full) > 1 && len(full) < 5 && unicode.Is(unicode.Han, full[0]) {
		// A surname of one character or two before the given name, in fields of their own.
		for n := 1; n < min(3, len(full)); n++ {
			found = found.Or("last_name = ? AND first_name = ?", privacy.New(string(full[:n])), privacy.Match(string(full[n:])))
		}
	}
	return found
}

// isNumber reports whether a text is digits and what people write between them.
func isNumber(s string) bool {
	digits := 0
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits++
		case !strings.ContainsRune("+-()/. \u3000\u00a0（）－＋", r):
			return false
		}
	}
	return digits >= 4
}

// Customer returns one customer, ErrNotFound if the caller may not see it.
func (d *Desk) Customer(ctx context.Context, id string) (Customer, error) {
	row, err := d.customer(d.db(ctx), id)
	if err != nil {
		return Customer{}, err
	}
	shown, err := d.show(ctx, []book.Customer{*row}, "customer page")
	if err != nil {
		return Customer{}, err
	}
	return shown[0], seen(ctx, d, "customer", []book.Customer{*row}, CustomerFields(), "customer page")
}

func (d *Desk) customer(tx *gorm.DB, id string) (*book.Customer, error) {
	var row book.Customer
	if err := tx.Where("id = ?", id).First(&row).Error; err != nil {
		return nil, clarify(err)
	}
	return &row, nil
}

// show makes rows into what the caller may see of them.
func (d *Desk) show(ctx context.Context, rows []book.Customer, purpose string) ([]Customer, error) {
	shown, err := cells(ctx, d, rows, CustomerFields(), purpose)
	if err != nil {
		return nil, err
	}
	owners := make([]string, len(rows))
	for i, row := range rows {
		owners[i] = row.OwnerID
	}
	names, err := d.colleagues(ctx, owners)
	if err != nil {
		return nil, err
	}
	list := make([]Customer, len(rows))
	for i, row := range rows {
		list[i] = Customer{
			ID: row.ID, OwnerID: row.OwnerID, Owner: names[row.OwnerID], Hidden: row.Hidden, Country: row.Country,
			Erased: row.LastName.IsErased(), Cells: shown[i], Updated: row.UpdatedAt,
		}
		if list[i].Can, err = d.rights(ctx, &rows[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (d *Desk) rights(ctx context.Context, row *book.Customer) (r Rights, err error) {
	if row.LastName.IsErased() {
		return r, nil
	}
	if r.Update, err = d.may(ctx, "update", row); err != nil {
		return r, err
	}
	if r.Hide, err = d.may(ctx, "hide", row); err != nil {
		return r, err
	}
	r.Reveal, err = d.may(ctx, "reveal", row)
	return r, err
}

// Reveal returns one value in full, if the caller may see it and the log has
// taken down who asked for what and why.
func (d *Desk) Reveal(ctx context.Context, id, field, purpose string) (string, error) {
	row, err := d.customer(d.db(ctx), id)
	if err != nil {
		return "", err
	}
	value := row.Sealed(field)
	if value == nil {
		return "", ErrNotFound
	}
	if purpose = strings.TrimSpace(purpose); len([]rune(purpose)) < 5 {
		return "", invalid("give a reason of at least five characters")
	}
	text, err := value.Reveal(rbac.WithReason(ctx, purpose), purpose)
	return text, clarify(err)
}
