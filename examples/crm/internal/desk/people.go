package desk

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"gorm.io/gorm"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/duty"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/rbac"
)

// Staff returns everybody who works here, with their roles.
func (d *Desk) Staff(ctx context.Context) (Staff, error) {
	var rows []book.User
	if err := d.db(ctx).Order("created_at").Order("id").Find(&rows).Error; err != nil {
		return Staff{}, clarify(err)
	}
	shown, err := cells(ctx, d, rows, []string{"first_name", "last_name", "email", "phone"}, "staff directory")
	if err != nil {
		return Staff{}, err
	}
	policy, err := d.Policies.Load(ctx)
	if err != nil {
		return Staff{}, err
	}
	roles := map[string][]string{}
	for _, a := range policy.Assignments {
		if a.Tenant == who.From(ctx).Tenant {
			roles[a.User] = append(roles[a.User], a.Role)
		}
	}
	staff := Staff{Roles: describe(policy)}
	if staff.MayManage, err = d.may(ctx, "assign", self(ctx)); err != nil {
		return Staff{}, err
	}
	if staff.MayDisable, err = d.may(ctx, "disable", self(ctx)); err != nil {
		return Staff{}, err
	}
	names := map[string]string{}
	for i, u := range rows {
		names[u.ID] = name(shown[i])
	}
	for i, u := range rows {
		slices.Sort(roles[u.ID])
		staff.People = append(staff.People, Person{
			ID: u.ID, Title: u.Title, ManagerID: u.ManagerID, Manager: names[u.ManagerID], Disabled: u.Disabled,
			Cells: shown[i], Roles: roles[u.ID], Name: names[u.ID],
		})
	}
	return staff, nil
}

// describe lists the roles of a policy with their rules, as written.
func describe(p rbac.Policy) []Role {
	var roles []Role
	for _, r := range p.Roles {
		role := Role{Name: r.Name}
		for _, rule := range p.Rules {
			if rule.Role == r.Name {
				line := strings.Join(rule.Actions, ", ") + " " + rule.Resource
				if rule.When != "" {
					line += ": " + rule.When
				}
				role.Rules = append(role.Rules, line)
			}
		}
		roles = append(roles, role)
	}
	return roles
}

// SetRoles gives a user exactly these roles. Nobody changes their own.
func (d *Desk) SetRoles(ctx context.Context, userID string, roles []string) error {
	err := d.inTx(ctx, func(ctx context.Context, tx *gorm.DB) error {
		u, err := d.user(tx, userID)
		if err != nil {
			return err
		}
		if err := d.must(ctx, "assign", u); err != nil {
			return err
		}
		if userID == who.From(ctx).ID {
			return invalid("nobody changes their own roles; ask another administrator")
		}
		for _, r := range roles {
			if !slices.Contains(duty.Roles(), r) {
				return invalid("there is no such role")
			}
		}
		if err := d.Assign(ctx, u.TenantID, userID, roles); err != nil {
			return err
		}
		return d.Log.Record(ctx, "user.assign", slog.String("resource", "user"), slog.String("row", userID),
			slog.String("roles", strings.Join(roles, " ")), slog.String("result", "ok"))
	})
	if err != nil {
		return err
	}
	return d.Authz.Reload(ctx)
}

// Assign makes roles the only ones of a user, within the transaction of ctx.
func (d *Desk) Assign(ctx context.Context, tenant, userID string, roles []string) error {
	return d.Authz.Edit(ctx, func(p *rbac.Policy) error {
		p.Assignments = slices.DeleteFunc(p.Assignments, func(a rbac.Assignment) bool {
			return a.Tenant == tenant && a.User == userID
		})
		for _, r := range roles {
			p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: tenant, User: userID, Role: r})
		}
		return nil
	})
}

// SetDisabled closes or opens the door for a user; sessions end with the next
// request.
func (d *Desk) SetDisabled(ctx context.Context, userID string, disabled bool) error {
	return d.inTx(ctx, func(ctx context.Context, tx *gorm.DB) error {
		u, err := d.user(tx, userID)
		if err != nil {
			return err
		}
		if err := d.must(ctx, "disable", u); err != nil {
			return err
		}
		if userID == who.From(ctx).ID {
			return invalid("nobody disables themselves; ask another administrator")
		}
		return clarify(tx.Model(u).Update("disabled", disabled).Error)
	})
}

func (d *Desk) user(tx *gorm.DB, id string) (*book.User, error) {
	var u book.User
	if err := tx.Where("id = ?", id).First(&u).Error; err != nil {
		return nil, clarify(err)
	}
	return &u, nil
}

// colleagues returns the names of members of the staff.
func (d *Desk) colleagues(ctx context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	if len(ids) == 0 {
		return names, nil
	}
	var rows []book.User
	if err := d.db(ctx).Where("id IN ?", ids).Find(&rows).Error; err != nil {
		return nil, clarify(err)
	}
	shown, err := cells(ctx, d, rows, []string{"first_name", "last_name"}, "names of owners")
	if err != nil {
		return nil, err
	}
	for i, u := range rows {
		names[u.ID] = name(shown[i])
	}
	return names, nil
}
