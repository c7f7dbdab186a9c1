package privacy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"
)

// Migrate creates the vault's own tables, checks that the KEK is the one this database was made with, and
// runs AutoMigrate on the models with a CHECK constraint on each sealed column and index column, so that
// nothing at all can store plaintext there. It registers the models. Call it at every start.
func (v *Vault) Migrate(ctx context.Context, db *gorm.DB, models ...any) error {
	if v.db.Load() == nil {
		return errors.New("privacy: migrate: call db.Use(vault) first")
	}
	ctx = withInternal(ctx)
	quiet := db.Session(&gorm.Session{NewDB: true, Context: ctx})
	if _, ok := v.cfg.Keys.(tableKeys); ok {
		if err := quiet.AutoMigrate(&tenantKeyRow{}, &subjectKeyRow{}); err != nil {
			return fmt.Errorf("privacy: migrate the key tables: %w", err)
		}
	}
	if err := quiet.AutoMigrate(&rotationRow{}); err != nil {
		return fmt.Errorf("privacy: migrate the table of rotations: %w", err)
	}
	if err := v.checkKEK(ctx, session(ctx, db)); err != nil {
		return err
	}
	if err := v.declare(db, models); err != nil {
		return err
	}
	if v.searched() {
		if err := quiet.AutoMigrate(&tokenRow{}); err != nil {
			return fmt.Errorf("privacy: migrate the table of search tokens: %w", err)
		}
	}
	if err := quiet.AutoMigrate(models...); err != nil {
		return fmt.Errorf("privacy: migrate: %w", err)
	}
	return v.requireChecks(quiet, models)
}

// Register makes the models known to a vault whose tables were migrated elsewhere. It fails if a table
// exists without the CHECK constraints that Migrate would have given it.
func (v *Vault) Register(ctx context.Context, db *gorm.DB, models ...any) error {
	if v.db.Load() == nil {
		return errors.New("privacy: register: call db.Use(vault) first")
	}
	ctx = withInternal(ctx)
	if err := v.checkKEK(ctx, session(ctx, db)); err != nil {
		return err
	}
	if err := v.declare(db, models); err != nil {
		return err
	}
	return v.requireChecks(db.Session(&gorm.Session{NewDB: true, Context: ctx}), models)
}

// declare parses and registers the models. Those without sealed fields are no concern of the vault.
func (v *Vault) declare(db *gorm.DB, models []any) error {
	v.regMu.Lock()
	defer v.regMu.Unlock()
	reg := v.reg.Load()
	for _, value := range models {
		m, err := parseModel(db, value)
		if err != nil {
			return err
		}
		reg = reg.seen(modelSchema(db, value))
		if m == nil || reg.byType[m.typ] != nil {
			continue
		}
		if reg, err = reg.with(m); err != nil {
			return err
		}
		if err := m.addChecks(db); err != nil {
			return err
		}
	}
	v.reg.Store(reg)
	return nil
}

// A check is a CHECK constraint of a column.
type check struct{ column, name, sql string }

// checks lists the constraints of a model. They compare bytes that no text in any encoding starts with.
func (m *model) checks(db *gorm.DB) []check {
	c := conn{session(context.Background(), db)}
	var out []check
	for _, f := range m.sealed {
		head := fmt.Sprintf("%02X%02X", cellMagic0, cellMagic1)
		out = append(out, check{f.column, checkName(m.table, f.column), checkSQL(c, f.column, head, ">=", cellMin)})
	}
	for _, x := range m.indexes {
		out = append(out, check{x.column, checkName(m.table, x.column), checkSQL(c, x.column, x.head(), "=", x.size())})
	}
	return out
}

func checkName(table, column string) string {
	name := "sealed_" + strings.ReplaceAll(table, ".", "_") + "_" + column
	if len(name) > 60 { // PostgreSQL keeps 63 bytes, MySQL 64
		sum := bytes.Clone(encode(name))
		name = fmt.Sprintf("sealed_%s_%08x", column[:min(len(column), 40)], crc(sum))
	}
	return name
}

// crc is FNV-1a: a short name for a long one.
func crc(b []byte) uint32 {
	h := uint32(2166136261)
	for _, c := range b {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

func checkSQL(c conn, column, head, compare string, size int) string {
	col := c.quote(column)
	n := len(head) / 2
	switch c.dialect() {
	case "postgres":
		return fmt.Sprintf(`%s IS NULL OR (octet_length(%s) %s %d AND substring(%s from 1 for %d) = '\x%s'::bytea)`, col, col, compare, size, col, n, head)
	case "mysql":
		return fmt.Sprintf("%s IS NULL OR (octet_length(%s) %s %d AND left(%s, %d) = x'%s')", col, col, compare, size, col, n, head)
	}
	return fmt.Sprintf("%s IS NULL OR (typeof(%s) = 'blob' AND length(%s) %s %d AND substr(%s, 1, %d) = x'%s')", col, col, col, compare, size, col, n, head)
}

// addChecks gives the constraints to GORM's migrator, so that AutoMigrate emits them wherever it is called.
func (m *model) addChecks(db *gorm.DB) error {
	for _, k := range m.checks(db) {
		f := m.schema.FieldsByDBName[k.column]
		if own := f.TagSettings["CHECK"]; own != "" && !strings.HasPrefix(own, k.name+",") {
			return m.fail(f, "has a check of its own, and a column can have one only", "declare that check on another field")
		}
		f.TagSettings["CHECK"] = k.name + "," + k.sql
	}
	return nil
}

// requireChecks fails if a table of these models exists without its constraints.
func (v *Vault) requireChecks(db *gorm.DB, models []any) error {
	for _, value := range models {
		m := v.reg.Load().byType[modelType(db, value)]
		if m == nil || !db.Migrator().HasTable(value) {
			continue
		}
		for _, k := range m.checks(db) {
			if !db.Migrator().HasConstraint(value, k.name) {
				return refuse(m.resource+"."+k.column, "table "+m.table+" lacks the CHECK constraint "+k.name, "call vault.Migrate")
			}
		}
	}
	return nil
}

// seen notes a schema.
func (r *registry) seen(s *schema.Schema) *registry {
	if s == nil || slices.ContainsFunc(r.schemas, func(o *schema.Schema) bool { return o.ModelType == s.ModelType }) {
		return r
	}
	n := *r
	n.schemas = append(slices.Clone(r.schemas), s)
	return &n
}

func modelSchema(db *gorm.DB, value any) *schema.Schema {
	stmt := &gorm.Statement{DB: db}
	if stmt.Parse(value) != nil {
		return nil
	}
	return stmt.Schema
}

func modelType(db *gorm.DB, value any) reflect.Type {
	s := modelSchema(db, value)
	if s == nil {
		return nil
	}
	return s.ModelType
}

var checkText = []byte("confide key check value")

// checkKEK compares the KEK with the one the database was made with, before anything is written with it.
func (v *Vault) checkKEK(ctx context.Context, db *gorm.DB) error {
	name := KeyName{Purpose: purposeCheck}
	aad := keyAAD(name, keyVersion)
	stored, err := v.cfg.Keys.Load(ctx, db, []KeyName{name}, false)
	if err != nil {
		return fmt.Errorf("privacy: load the key check value (was Migrate called?): %w", err)
	}
	if len(stored) == 0 {
		box, err := v.cfg.KEK.EncryptWithContext(ctx, checkText, aad)
		if err != nil {
			return fmt.Errorf("%w: the KEK does not encrypt: %w", ErrKey, err)
		}
		if err := v.cfg.Keys.Add(ctx, db, []StoredKey{{KeyName: name, Version: keyVersion, Wrapped: box}}); err != nil {
			return fmt.Errorf("privacy: store the key check value: %w", err)
		}
		if stored, err = v.cfg.Keys.Load(ctx, db, []KeyName{name}, false); err != nil || len(stored) == 0 {
			return fmt.Errorf("privacy: load the key check value: %w", errors.Join(err, ErrKey))
		}
	}
	text, err := v.ring.kek.DecryptWithContext(ctx, stored[0].Wrapped, aad)
	if err != nil || !bytes.Equal(text, checkText) {
		return fmt.Errorf("%w: the KEK is not the one this database was made with; give the right key file or key name: %w", ErrKey, errors.Join(err))
	}
	return nil
}
