package rbac

import (
	"fmt"
	"slices"

	"gorm.io/gorm"
)

// Name is the plugin's name in GORM.
func (a *Authorizer) Name() string { return "confide:rbac" }

// Initialize puts the guard around every statement of db; db.Use calls it. One Authorizer guards one
// database.
func (a *Authorizer) Initialize(db *gorm.DB) error {
	if !slices.Contains([]string{sqlite, postgres, mysql}, db.Dialector.Name()) {
		return fmt.Errorf("rbac: the database %q is not supported: conditions are exact on sqlite, postgres and mysql only", db.Dialector.Name())
	}
	if _, taken := db.ClauseBuilders["WHERE"]; taken {
		return fmt.Errorf("rbac: another plugin builds WHERE clauses; the guard cannot be put around them")
	}
	if !a.db.CompareAndSwap(nil, db) {
		return fmt.Errorf("rbac: this Authorizer guards another database: open one for each")
	}
	if err := a.sameNames(db); err != nil {
		return err
	}
	if a.shares != nil {
		if err := a.shares.namedAs(db); err != nil {
			return err
		}
	}
	return a.registerCallbacks(db)
}

// sameNames makes sure that the tables and columns of the policy are those of the database.
func (a *Authorizer) sameNames(db *gorm.DB) error {
	for _, res := range a.resources {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(res.model()); err != nil {
			return fmt.Errorf("rbac: resource %s: %w", res.name, err)
		}
		if stmt.Schema.Table != res.table || !slices.Equal(stmt.Schema.DBNames, res.schema.DBNames) {
			return fmt.Errorf("rbac: resource %s is named differently in this database: set Config.Naming to its NamingStrategy", res.name)
		}
	}
	return nil
}

func (a *Authorizer) registerCallbacks(db *gorm.DB) error {
	cb := db.Callback()
	// The guard stands directly around GORM's own callback: behind privacy, which rewrites conditions, and
	// gone again before the associations, which have statements of their own, and before the commit.
	type place interface {
		Register(name string, fn func(*gorm.DB)) error
	}
	ops := []struct {
		name          string
		before, after place
	}{
		{"create", cb.Create().Before("gorm:create").After("confide:privacy:create"), cb.Create().After("gorm:create").Before("gorm:save_after_associations")},
		{"query", cb.Query().Before("gorm:query").After("confide:privacy:query"), cb.Query().After("gorm:query").Before("gorm:preload")},
		{"update", cb.Update().Before("gorm:update").After("confide:privacy:update"), cb.Update().After("gorm:update").Before("gorm:save_after_associations")},
		{"delete", cb.Delete().Before("gorm:delete").After("confide:privacy:delete"), cb.Delete().After("gorm:delete").Before("gorm:after_delete")},
		{"row", cb.Row().Before("gorm:row").After("confide:privacy:row"), cb.Row().After("gorm:row")},
		{"raw", cb.Raw().Before("gorm:raw").After("confide:privacy:raw"), cb.Raw().After("gorm:raw")},
	}
	var errs []error
	for _, op := range ops {
		errs = append(errs, op.before.Register("confide:rbac:"+op.name, a.guard(op.name)), op.after.Register("confide:rbac:"+op.name+":done", release))
	}
	for name, place := range map[string]place{
		"query": cb.Query().Before("confide:privacy:query"), "row": cb.Row().Before("confide:privacy:row"),
		"update": cb.Update().Before("confide:privacy:update"), "delete": cb.Delete().Before("confide:privacy:delete"),
	} {
		errs = append(errs, place.Register("confide:rbac:"+name+":asked", a.asked(name)))
	}
	// What opens sealed values after a query has statements of its own as well.
	errs = append(errs, cb.Query().After("gorm:query").Before("confide:privacy:opened").Register("confide:rbac:query:opened", release))
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("rbac: register callbacks: %w", err)
		}
	}
	return nil
}

// action is the right that a kind of statement needs.
func action(op string) string {
	if op == "query" || op == "row" || op == "raw" {
		return "read"
	}
	return op
}
