package rbac_test

import (
	"context"
	"database/sql"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
)

// Part hangs on a Thing, so that things are reached by preloads and joins. Nobody guards it.
type Part struct {
	ID      string `gorm:"primaryKey;size:36"`
	ThingID string `gorm:"size:36"`
	Thing   *Thing `gorm:"constraint:-"`
}

// table is a guarded table with an id and the plain columns weight and touched.
type table struct {
	db    *gorm.DB
	model any
	mark  int
}

// requireRows asks for the caller's rows in every way that has an answer, and wants exactly these, by id.
func (x *table) requireRows(t *testing.T, ctx context.Context, want []string, weight map[string]int64, note string) {
	model := func() *gorm.DB { return x.db.WithContext(ctx).Model(x.model) }
	got := []string{}
	require.NoError(t, model().Order("id").Pluck("id", &got).Error, note)
	require.Equal(t, want, got, "list: %s", note)
	var count int64
	require.NoError(t, model().Count(&count).Error, note)
	require.EqualValues(t, len(want), count, "count: %s", note)

	var sum, most sql.NullInt64
	require.NoError(t, model().Select("SUM(weight), MAX(weight)").Row().Scan(&sum, &most), note)
	var all, high int64
	for _, id := range want {
		all, high = all+weight[id], max(high, weight[id])
	}
	require.Equal(t, []int64{all, high}, []int64{sum.Int64, most.Int64}, "aggregate: %s", note)
	var groups []int64
	require.NoError(t, model().Group("touched").Having("COUNT(*) > 0").Pluck("COUNT(*)", &groups).Error, note)
	grouped := int64(0)
	for _, n := range groups {
		grouped += n
	}
	require.EqualValues(t, len(want), grouped, "groups: %s", note)

	require.Equal(t, want, x.pages(t, model), "pages: %s", note)
	require.Equal(t, want, x.keyset(t, model), "pages by key: %s", note)
	require.Equal(t, want, x.touched(t, ctx), "update: %s", note)
	require.Equal(t, want, x.deleted(t, ctx), "delete: %s", note)
}

const pageSize = 9

// pages joins pages by OFFSET.
func (x *table) pages(t *testing.T, model func() *gorm.DB) []string {
	ids := []string{}
	for {
		var page []string
		require.NoError(t, model().Order("id").Offset(len(ids)).Limit(pageSize).Pluck("id", &page).Error)
		if ids = append(ids, page...); len(page) < pageSize {
			return ids
		}
	}
}

// keyset joins pages that begin behind the last key.
func (x *table) keyset(t *testing.T, model func() *gorm.DB) []string {
	ids := []string{}
	last := ""
	for {
		var page []string
		require.NoError(t, model().Where("id > ? OR 1 = 0", last).Order("id").Limit(pageSize).Pluck("id", &page).Error)
		if ids = append(ids, page...); len(page) < pageSize {
			return ids
		}
		last = ids[len(ids)-1]
	}
}

// touched updates whatever the caller reaches, and takes it back.
func (x *table) touched(t *testing.T, ctx context.Context) []string {
	x.mark++
	ids := []string{}
	err := x.db.Transaction(func(tx *gorm.DB) error {
		got := tx.WithContext(ctx).Model(x.model).Where("1 = 1").Update("touched", x.mark)
		require.NoError(t, got.Error)
		require.NoError(t, unscoped(tx, t).Model(x.model).Where("touched = ?", x.mark).Order("id").Pluck("id", &ids).Error)
		require.EqualValues(t, len(ids), got.RowsAffected)
		return errRollback
	})
	require.ErrorIs(t, err, errRollback)
	return ids
}

// deleted deletes whatever the caller reaches, and takes it back.
func (x *table) deleted(t *testing.T, ctx context.Context) []string {
	ids := []string{}
	err := x.db.Transaction(func(tx *gorm.DB) error {
		var before, after []string
		require.NoError(t, unscoped(tx, t).Model(x.model).Order("id").Pluck("id", &before).Error)
		require.NoError(t, tx.WithContext(ctx).Where("1 = 1").Delete(x.model).Error)
		require.NoError(t, unscoped(tx, t).Model(x.model).Pluck("id", &after).Error)
		for _, id := range before {
			if !slices.Contains(after, id) {
				ids = append(ids, id)
			}
		}
		return errRollback
	})
	require.ErrorIs(t, err, errRollback)
	return ids
}

// requireParts wants the things that preloads and joins from an open table reach to be those rows.
func requireParts(t *testing.T, db *gorm.DB, ctx context.Context, want []string, note string) {
	for name, load := range map[string]func(db *gorm.DB) *gorm.DB{
		"preload": func(db *gorm.DB) *gorm.DB { return db.Preload("Thing") },
		"join":    func(db *gorm.DB) *gorm.DB { return db.Joins("Thing") },
	} {
		var parts []Part
		require.NoError(t, load(db.WithContext(ctx)).Find(&parts).Error, note)
		got := []string{}
		for _, p := range parts {
			if p.Thing != nil {
				require.Equal(t, p.ThingID, p.Thing.ID)
				got = append(got, p.ThingID)
			}
		}
		slices.Sort(got)
		require.Equal(t, want, got, "%s: %s", name, note)
	}
}

func unscoped(db *gorm.DB, t *testing.T) *gorm.DB {
	return db.WithContext(systemContext(t))
}
