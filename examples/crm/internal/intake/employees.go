package intake

import (
	"context"
	"fmt"
	"strings"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/privacy"
)

// Employees takes sheets of employees; they become users.
type Employees struct {
	// Welcome is told of each new user and returns what to store as the first
	// password, "" for none.
	Welcome func(ctx context.Context, u *book.User, login string) (password string, err error)

	emails   map[string]int    // folded address to line
	managers map[string]string // of every user in the file
	lines    map[string]int
}

func (t *Employees) check(r *Reader, row Row) error {
	if t.emails == nil {
		t.emails, t.managers, t.lines = map[string]int{}, map[string]string{}, map[string]int{}
	}
	if err := email(row.Values["email"]); err != nil {
		return r.at(row.Line, r.Heading("email"), err.Error())
	}
	folded := strings.ToLower(row.Values["email"])
	if line, twice := t.emails[folded]; twice {
		return r.at(row.Line, r.Heading("email"), fmt.Sprintf("line %d has the same address; people sign in with it, so everybody needs their own", line))
	}
	if err := short(row.Values["title"], 80); err != nil {
		return r.at(row.Line, r.Heading("title"), err.Error())
	}
	id := row.Values["id"]
	t.emails[folded], t.managers[id], t.lines[id] = row.Line, row.Values["manager_id"], row.Line
	return nil
}

func (t *Employees) take(ctx context.Context, tx *gorm.DB, r *Reader, rows []Row) (Counts, []error, error) {
	stored, err := byID(tx, rows, func(u *book.User) string { return u.ID })
	if err != nil {
		return Counts{}, nil, err
	}
	taken, err := t.othersWithEmail(tx, rows)
	if err != nil {
		return Counts{}, nil, err
	}
	var counts Counts
	var wrong []error
	for _, row := range rows {
		if taken[strings.ToLower(row.Values["email"])] {
			wrong = append(wrong, r.at(row.Line, r.Heading("email"), "is the address of another user; people sign in with it, so everybody needs their own"))
			continue
		}
		u, known := stored[row.Values["id"]]
		if !known {
			u = &book.User{ID: row.Values["id"], TenantID: book.Tenant}
		}
		ch := &change{values: row.Values}
		ch.sealed(u.Sealed, "first_name", "last_name", "email", "phone")
		ch.plain("title", &u.Title)
		ch.plain("manager_id", &u.ManagerID)
		switch {
		case !known:
			counts.New++
			if u.Password, err = t.Welcome(ctx, u, row.Values["email"]); err == nil {
				err = tx.Create(u).Error
			}
		case len(ch.columns) == 0:
			counts.Unchanged++
		default:
			counts.Updated++
			err = tx.Model(u).Select(append(ch.columns, "updated_at")).Updates(u).Error
		}
		if err != nil {
			return counts, nil, err
		}
	}
	return counts, wrong, nil
}

// othersWithEmail finds which addresses of the batch belong to users with other
// ids. It asks one by one: which address was found cannot be read off the answer.
func (t *Employees) othersWithEmail(tx *gorm.DB, rows []Row) (map[string]bool, error) {
	taken := map[string]bool{}
	for _, row := range rows {
		var n int64
		err := tx.Model(&book.User{}).Where(&book.User{Email: privacy.New(row.Values["email"])}).Where("id <> ?", row.Values["id"]).Count(&n).Error
		if err != nil {
			return nil, err
		}
		taken[strings.ToLower(row.Values["email"])] = n > 0
	}
	return taken, nil
}

// finish checks that everybody's manager exists and that nobody is, by whatever
// detour, their own manager.
func (t *Employees) finish(_ context.Context, tx *gorm.DB, r *Reader) ([]error, error) {
	var staff []book.User
	if err := tx.Select("id", "manager_id").Find(&staff).Error; err != nil {
		return nil, fmt.Errorf("import into the database: %w", err)
	}
	managers := map[string]string{}
	for _, u := range staff {
		managers[u.ID] = u.ManagerID
	}
	for id, manager := range t.managers {
		managers[id] = manager // also when earlier rows were refused and nothing was stored
	}
	var wrong []error
	for id, line := range t.lines {
		if problem := managerProblem(id, managers); problem != "" {
			wrong = append(wrong, r.at(line, r.Heading("manager_id"), problem))
		}
	}
	return wrong, nil
}

func managerProblem(id string, managers map[string]string) string {
	for at, steps := managers[id], 0; at != ""; at, steps = managers[at], steps+1 {
		if _, ok := managers[at]; !ok {
			if steps == 0 {
				return "names nobody on the staff; add the row, or mend this one"
			}
			return "" // reported at the row that names them
		}
		if at == id || steps > len(managers) {
			return "makes somebody their own manager by a detour; the tree needs a top with an empty value"
		}
	}
	return ""
}
