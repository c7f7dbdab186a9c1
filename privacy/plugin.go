package privacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"
)

// Name is for GORM.
func (v *Vault) Name() string { return "confide:privacy" }

// Initialize is for GORM: it is what db.Use(vault) calls. A vault belongs to one database.
func (v *Vault) Initialize(db *gorm.DB) error {
	if !v.db.CompareAndSwap(nil, db) {
		return errors.New("privacy: a vault belongs to one database; open another vault for another database")
	}
	v.hush(db)
	cb := db.Callback()
	return errors.Join(
		cb.Create().Before("gorm:create").Register("confide:privacy:hush:create", v.hush),
		cb.Update().Before("gorm:update").Register("confide:privacy:hush:update", v.hush),
		cb.Delete().Before("gorm:delete").Register("confide:privacy:hush:delete", v.hush),
		cb.Query().Before("gorm:query").Register("confide:privacy:hush:query", v.hush),
		cb.Row().Before("gorm:row").Register("confide:privacy:hush:row", v.hush),
		cb.Raw().Before("gorm:raw").Register("confide:privacy:hush:raw", v.hush),
		cb.Row().After("gorm:row").Register("confide:privacy:hush:scan", v.hushScan),
		cb.Create().Before("gorm:create").After("gorm:save_before_associations").Register("confide:privacy:create", v.guard(v.beforeCreate)),
		cb.Create().After("gorm:create").Register("confide:privacy:created", v.afterCreate),
		cb.Create().After("gorm:create").Before("gorm:commit_or_rollback_transaction").Register("confide:privacy:unique:create", v.afterUnique),
		cb.Create().After("*").Register("confide:privacy:end:create", v.endTransaction),
		cb.Update().Before("gorm:update").After("gorm:save_before_associations").Register("confide:privacy:update", v.guard(v.beforeUpdate)),
		cb.Update().After("gorm:update").Register("confide:privacy:updated", v.afterWrite),
		cb.Update().After("gorm:update").Before("gorm:commit_or_rollback_transaction").Register("confide:privacy:unique:update", v.afterUnique),
		cb.Update().After("*").Register("confide:privacy:end:update", v.endTransaction),
		cb.Delete().Before("gorm:delete").Register("confide:privacy:delete", v.guard(v.beforeDelete)),
		cb.Delete().After("gorm:delete").Register("confide:privacy:deleted", v.afterWrite),
		cb.Query().Before("gorm:query").Register("confide:privacy:query", v.guard(v.beforeQuery)),
		cb.Query().After("*").Register("confide:privacy:end:query", v.endTransaction),
		cb.Delete().After("*").Register("confide:privacy:end:delete", v.endTransaction),
		cb.Query().After("gorm:query").Before("gorm:preload").Register("confide:privacy:opened", v.afterQuery),
		cb.Row().Before("gorm:row").Register("confide:privacy:row", v.guard(v.beforeRow)),
		cb.Raw().Before("gorm:raw").Register("confide:privacy:raw", v.guard(v.beforeRaw)),
	)
}

// internal marks the vault's own work in a context: migrations and the look at the row before an update.
type internal struct{}

func withInternal(ctx context.Context) context.Context {
	return context.WithValue(ctx, internal{}, true)
}

func isInternal(ctx context.Context) bool { return ctx.Value(internal{}) != nil }

// guard runs a callback unless the statement has failed already, and makes its error the statement's.
func (v *Vault) guard(f func(*gorm.DB) error) func(*gorm.DB) {
	return func(db *gorm.DB) {
		if db.Error != nil {
			return
		}
		if err := f(db); err != nil {
			// A raw statement holds its parameters already, and GORM logs what failed.
			db.Statement.SQL.Reset()
			db.Statement.Vars = nil
			_ = db.AddError(err)
		}
	}
}

const ownTransaction = "confide:privacy:own_transaction"

// beginTransaction makes sure that a key and the row it seals are written together, also where GORM's own
// transaction is switched off.
func beginTransaction(db *gorm.DB, options ...*sql.TxOptions) error {
	if (conn{db}).inTransaction() || db.DryRun {
		return nil
	}
	tx := session(db.Statement.Context, db).Begin(options...)
	if errors.Is(tx.Error, gorm.ErrInvalidTransaction) {
		return nil // a connection pool that has no transactions
	}
	if tx.Error != nil {
		return fmt.Errorf("privacy: begin the transaction of key and row: %w", tx.Error)
	}
	db.InstanceSet(ownTransaction, db.Statement.ConnPool)
	db.Statement.ConnPool = tx.Statement.ConnPool
	return nil
}

// beginSnapshot is beginTransaction for reads: all that the statement reads is of one moment. SQLite's
// transactions are like that by themselves.
func beginSnapshot(db *gorm.DB) error {
	if _, locks := db.Statement.Clauses["FOR"]; locks || db.Dialector.Name() == "sqlite" {
		return beginTransaction(db)
	}
	return beginTransaction(db, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
}

// endTransaction runs as the very last callback.
func (v *Vault) endTransaction(db *gorm.DB) {
	before, ok := db.InstanceGet(ownTransaction)
	if !ok {
		return
	}
	tx := session(db.Statement.Context, db)
	if db.Error != nil {
		tx.Rollback()
	} else if err := tx.Commit().Error; err != nil {
		_ = db.AddError(err)
	}
	db.Statement.ConnPool = before.(gorm.ConnPool)
}
