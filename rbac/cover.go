package rbac

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gorm.io/gorm"
)

// MustCover reports every table of db that is neither a resource, nor listed in Config.Unguarded, nor one
// of this library's own. Call it once at start-up, after the migrations: a table that was forgotten is a
// table without a guard.
func (a *Authorizer) MustCover(ctx context.Context, db *gorm.DB) error {
	if a.db.Load() == nil {
		return fmt.Errorf("rbac: the guard is not installed: call db.Use(authorizer)")
	}
	tables, err := db.WithContext(ctx).Migrator().GetTables()
	if err != nil {
		return fmt.Errorf("rbac: list tables: %w", err)
	}
	var forgotten []string
	for _, table := range tables {
		name := strings.ToLower(table)
		if a.tables[name] == nil && !strings.HasPrefix(name, "confide_") && !strings.HasPrefix(name, "sqlite_") && !slices.Contains(a.cfg.Unguarded, table) {
			forgotten = append(forgotten, table)
		}
	}
	if len(forgotten) == 0 {
		return nil
	}
	slices.Sort(forgotten)
	return fmt.Errorf("rbac: nobody guards %s: add each to Config.Resources, or to Config.Unguarded if everybody may read and change it", strings.Join(forgotten, ", "))
}

// Tables lists the guarded tables, sorted.
func (a *Authorizer) Tables() []string { return slices.Sorted(maps.Keys(a.tables)) }
