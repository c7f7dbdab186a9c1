package privacy

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"
)

// A KeyName names one wrapped key: a tenant's own (Subject is empty; Purpose is one of "data", "index",
// "check") or a person's (Purpose is "data").
type KeyName struct{ Tenant, Subject, Purpose string }

// A StoredKey is a wrapped key, or the fence that is left of it.
type StoredKey struct {
	KeyName
	Version int
	Wrapped []byte
	Erased  time.Time // not zero: the key was destroyed, and no other may take its place
}

// A KeyStore keeps wrapped keys. The db it gets runs on the connection of the statement at work, so that a
// key becomes visible and disappears together with the row it seals; a store that lives elsewhere must
// make its own arrangements for a transaction that rolls back. The rules are those of
// privacytest.TestKeyStore.
type KeyStore interface {
	// Load returns those of the named keys that exist, fences included. With hold, nobody may erase them
	// before the transaction ends.
	Load(ctx context.Context, db *gorm.DB, names []KeyName, hold bool) ([]StoredKey, error)
	// Add stores the keys whose names are new and leaves keys and fences that exist as they are.
	Add(ctx context.Context, db *gorm.DB, keys []StoredKey) error
	// Erase destroys a key and leaves a fence, also where there was no key. A fence that exists keeps its time.
	Erase(ctx context.Context, db *gorm.DB, name KeyName, at time.Time) error
	// Erased returns up to limit fences whose tenant and subject sort behind after's.
	Erased(ctx context.Context, db *gorm.DB, after KeyName, limit int) ([]StoredKey, error)
}

// keyText is a column that compares bytes on every database: MySQL's default collations would take
// customer:A and customer:a for one person, and PostgreSQL's locales are slow at it.
type keyText string

func (keyText) GormDataType() string { return string(schema.String) }

func (keyText) GormDBDataType(db *gorm.DB, _ *schema.Field) string {
	switch db.Dialector.Name() {
	case "mysql":
		return "varbinary(255)"
	case "postgres":
		return `text COLLATE "C"`
	}
	return "text"
}

type tenantKeyRow struct {
	Tenant    keyText `gorm:"primaryKey"`
	Purpose   keyText `gorm:"primaryKey"`
	Version   int     `gorm:"not null"`
	Wrapped   []byte  `gorm:"not null"`
	CreatedAt int64   `gorm:"not null;autoCreateTime:false"`
}

func (tenantKeyRow) TableName() string { return "confide_tenant_keys" }

type subjectKeyRow struct {
	Tenant    keyText `gorm:"primaryKey"`
	Subject   keyText `gorm:"primaryKey"`
	Version   int     `gorm:"not null"`
	Wrapped   []byte
	CreatedAt int64 `gorm:"not null;autoCreateTime:false"`
	ErasedAt  int64 `gorm:"not null"` // 0: live
}

func (subjectKeyRow) TableName() string { return "confide_subject_keys" }

// TableKeys returns the KeyStore that a Config without one gets: the tables confide_tenant_keys and
// confide_subject_keys in the vault's own database, which Migrate creates.
func TableKeys() KeyStore { return tableKeys{now: time.Now} }

// tableKeys is TableKeys.
type tableKeys struct{ now func() time.Time }

// keyChunk keeps a statement below every database's limit of parameters.
const keyChunk = 5000

func (t tableKeys) Load(ctx context.Context, db *gorm.DB, names []KeyName, hold bool) ([]StoredKey, error) {
	c := conn{db}
	var out []StoredKey
	tenants, subjects := splitNames(names)
	lock := ""
	if hold {
		lock = shareLock(c.dialect())
	}
	for tenant, purposes := range tenants {
		err := c.query(ctx, func(r *sql.Rows) error {
			k := StoredKey{KeyName: KeyName{Tenant: tenant}}
			out = append(out, k)
			last := &out[len(out)-1]
			return r.Scan(&last.Purpose, &last.Version, &last.Wrapped)
		}, "SELECT purpose, version, wrapped FROM confide_tenant_keys WHERE tenant = ? AND purpose IN ?"+lock, tenant, purposes)
		if err != nil {
			return nil, err
		}
	}
	for tenant, ids := range subjects {
		for len(ids) > 0 {
			n := min(len(ids), keyChunk)
			if err := c.loadSubjects(ctx, tenant, ids[:n], hold, &out); err != nil {
				return nil, err
			}
			ids = ids[n:]
		}
	}
	return out, nil
}

// shareLock keeps an erasure waiting until the transaction that seals with the key has ended. SQLite needs
// none: it has one writer. MariaDB knows only the older spelling.
func shareLock(dialect string) string {
	switch dialect {
	case "postgres":
		return " FOR SHARE"
	case "mysql":
		return " LOCK IN SHARE MODE"
	}
	return ""
}

func splitNames(names []KeyName) (tenants, subjects map[string][]string) {
	tenants, subjects = map[string][]string{}, map[string][]string{}
	for _, n := range names {
		if n.Subject == "" {
			tenants[n.Tenant] = append(tenants[n.Tenant], n.Purpose)
		} else {
			subjects[n.Tenant] = append(subjects[n.Tenant], n.Subject)
		}
	}
	return tenants, subjects
}

func (t tableKeys) Add(ctx context.Context, db *gorm.DB, keys []StoredKey) error {
	var tenants []any
	var subjects []StoredKey
	now := t.now().UnixMilli()
	for _, k := range keys {
		if k.Subject == "" {
			tenants = append(tenants, []any{k.Tenant, k.Purpose, k.Version, k.Wrapped, now})
		} else {
			subjects = append(subjects, k)
		}
	}
	c := conn{db}
	if err := insertNew(ctx, c, "confide_tenant_keys (tenant, purpose, version, wrapped, created_at)", tenants); err != nil {
		return err
	}
	for chunk := range slices.Chunk(subjects, insertChunk) {
		if _, err := c.insertSubjects(ctx, chunk, now); err != nil {
			return err
		}
	}
	return nil
}

// insertNew inserts the rows whose key is new. On MySQL an assignment of a column to itself, and not INSERT
// IGNORE, because the latter would also ignore values that do not fit.
func insertNew(ctx context.Context, c conn, into string, rows []any) error {
	tail := " ON CONFLICT DO NOTHING"
	if c.dialect() == "mysql" {
		tail = " ON DUPLICATE KEY UPDATE version = version"
	}
	for len(rows) > 0 {
		n := min(len(rows), 1000)
		values := clause.CommaExpression{}
		for _, row := range rows[:n] {
			values.Exprs = append(values.Exprs, clause.Expr{SQL: "?", Vars: []any{row}})
		}
		if _, err := c.exec(ctx, "INSERT INTO "+into+" VALUES ?"+tail, values); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

func (t tableKeys) Erase(ctx context.Context, db *gorm.DB, name KeyName, at time.Time) error {
	c := conn{db}
	if c.dialect() == "sqlite" {
		// Freed bytes would stay in the file until they are overwritten by chance.
		if _, err := c.exec(ctx, "PRAGMA secure_delete = ON"); err != nil {
			return err
		}
	}
	fence := []any{[]any{name.Tenant, name.Subject, 1, nil, at.UnixMilli(), at.UnixMilli()}}
	if err := insertNew(ctx, c, "confide_subject_keys (tenant, subject, version, wrapped, created_at, erased_at)", fence); err != nil {
		return err
	}
	_, err := c.exec(ctx, "UPDATE confide_subject_keys SET wrapped = NULL, erased_at = ? WHERE tenant = ? AND subject = ? AND erased_at = 0",
		at.UnixMilli(), name.Tenant, name.Subject)
	return err
}

func (t tableKeys) Erased(ctx context.Context, db *gorm.DB, after KeyName, limit int) ([]StoredKey, error) {
	var out []StoredKey
	err := conn{db}.query(ctx, func(r *sql.Rows) error {
		k := StoredKey{KeyName: KeyName{Purpose: purposeData}}
		var erased int64
		if err := r.Scan(&k.Tenant, &k.Subject, &k.Version, &erased); err != nil {
			return err
		}
		k.Erased = time.UnixMilli(erased).UTC()
		out = append(out, k)
		return nil
	}, `SELECT tenant, subject, version, erased_at FROM confide_subject_keys
		WHERE erased_at <> 0 AND (tenant > ? OR (tenant = ? AND subject > ?)) ORDER BY tenant, subject LIMIT ?`,
		after.Tenant, after.Tenant, after.Subject, limit)
	return out, err
}
