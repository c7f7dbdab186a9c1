package rbac_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
)

// Numbered has a key that shares with text keys cannot name; Paired has two.
type Numbered struct {
	ID   int64 `gorm:"primaryKey"`
	Path string
}

type Paired struct {
	A, B string `gorm:"primaryKey"`
}

func sharesConfig(s rbac.ShareTable, resources ...rbac.Resource) rbac.Config {
	return rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(rbac.Policy{}), Record: rbac.Discard, Attrs: attrs(), Shares: s, Resources: resources}
}

// TestRefusedShares pins what cannot be said of shares and paths, and with which words.
func TestRefusedShares(t *testing.T) {
	thing, numbered, paired, share := rbac.Resource{Model: &Thing{}, Tenant: "tenant_id"}, rbac.Resource{Model: &Numbered{}}, rbac.Resource{Model: &Paired{}}, rbac.Resource{Model: &rbac.Share{}}
	with, err := rbac.Open(t.Context(), sharesConfig(rbac.ShareTable{Model: &rbac.Share{}}, thing, numbered, paired, share))
	require.NoError(t, err)
	without, err := rbac.Open(t.Context(), sharesConfig(rbac.ShareTable{}, thing))
	require.NoError(t, err)
	for _, c := range []struct {
		a                    *rbac.Authorizer
		resource, when, want string
	}{
		{without, "thing", `shared(row, "read")`, "shared() needs the table of shares: set Config.Shares"},
		{with, "share", `shared(row, "read")`, "shared() cannot decide about the shares themselves"},
		{with, "numbered", `shared(row, "read")`, "shared() needs a single primary key of the type string, as the shares have it; numbered has none"},
		{with, "paired", `shared(row, "read")`, "shared() needs a single primary key of the type string, as the shares have it; paired has none"},
		{with, "thing", `shared(row, "Read")`, `shared(row, "Read"): the right must be a lower-case word`},
		{with, "thing", `shared(row, caller.id)`, `shared(row, caller.id): write shared(row, "read"), with the right as a word`},
		{with, "thing", `shared(caller, "read")`, "at column 7: found no matching overload for 'shared' applied to '(confide.rbac.Caller, string)'"},
		{with, "thing", `within(row.path, row.path)`, "within(row.path, row.path): the path above must be known without the row: an attribute of the caller or a literal"},
		{with, "thing", `within(row.path, "")`, `within(row.path, ""): "" is not a path such as "/1/12"`},
		{with, "thing", `within(row.level, caller.path)`, `within(row.level, caller.path) looks for a int64 below a string; within(path, above) takes a string and a string or []string`},
		{with, "thing", `within(row.path, caller.level)`, `within(row.path, caller.level) looks for a string below a int64; within(path, above) takes a string and a string or []string`},
		{with, "thing", `within(row.path, 1)`, `within(row.path, 1) looks for a string below a int64; within(path, above) takes a string and a string or []string`},
	} {
		err := c.a.Validate(rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: c.resource, Actions: []string{"read"}, When: c.when}}})
		require.EqualError(t, err, fmt.Sprintf(`rbac: policy refused: rule "r": condition: %s`, c.want), c.when)
	}
}

// Gone marks deleted rows in a way that the shares' condition would not see.
type Gone struct {
	ID, Tenant, Resource, RowID, Kind, Grantee, Access string
	ExpiresAt                                          time.Time
	Gone                                               mark
}

type mark int

func (mark) QueryClauses(*schema.Field) []clause.Interface { return []clause.Interface{clause.Where{}} }

func TestRefusedShareTables(t *testing.T) {
	for want, s := range map[string]rbac.ShareTable{
		`rbac: Config.Shares.Tenant: *rbac_test.Numbered has no column "tenant" of the type string`:                                                       {Model: &Numbered{}},
		`rbac: Config.Shares.Row: *rbac.Share has no column "nope" of the type string`:                                                                    {Model: &rbac.Share{}, Row: "nope"},
		`rbac: Config.Shares.Expires: *rbac.Share has no column "kind" of the type time`:                                                                  {Model: &rbac.Share{}, Expires: "kind"},
		`rbac: Config.Shares.Grantees: "team": "nope" must be a lower-case word other than user, and its attribute a string or []string of Config.Attrs`:  {Model: &rbac.Share{}, Grantees: map[string]string{"team": "nope"}},
		`rbac: Config.Shares.Grantees: "team": "level" must be a lower-case word other than user, and its attribute a string or []string of Config.Attrs`: {Model: &rbac.Share{}, Grantees: map[string]string{"team": "level"}},
		`rbac: Config.Shares.Grantees: "user": "team" must be a lower-case word other than user, and its attribute a string or []string of Config.Attrs`:  {Model: &rbac.Share{}, Grantees: map[string]string{"user": "team"}},
		`rbac: Config.Shares.Grantees: "all": "tenant" must be a lower-case word other than user, and its attribute a string or []string of Config.Attrs`: {Model: &rbac.Share{}, Grantees: map[string]string{"all": "tenant"}},
		`rbac: Config.Shares.Model: *rbac_test.Gone is deleted softly in a way of its own: use gorm.DeletedAt, or delete its rows`:                        {Model: &Gone{}},
	} {
		_, err := rbac.Open(t.Context(), sharesConfig(s, rbac.Resource{Model: &Thing{}}))
		require.EqualError(t, err, want, want)
	}
}

// TestSharesNeedTheDatabase: a Check that would have to ask for shares, and cannot, is an error and no yes.
func TestSharesNeedTheDatabase(t *testing.T) {
	cfg := sharesConfig(rbac.ShareTable{Model: &rbac.Share{}}, rbac.Resource{Model: &Numbered{}}, rbac.Resource{Model: &Thing{}, Tenant: "tenant_id"})
	cfg.Policies = rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{
		{ID: "lent", Role: rbac.Everyone, Resource: "thing", Actions: []string{"read"}, When: `!shared(row, "hidden")`},
		{ID: "forbid", Role: rbac.Everyone, Resource: "thing", Actions: []string{"delete"}, When: `shared(row, "hidden")`, Effect: rbac.Deny},
		{ID: "delete", Role: rbac.Everyone, Resource: "thing", Actions: []string{"delete"}},
	}})
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	ctx, row := inContext(rbac.Caller{ID: "ann", Tenant: "t1"}), &Thing{ID: "1", TenantID: "t1"}
	for _, action := range []string{"read", "delete"} {
		require.EqualError(t, a.Check(ctx, action, row), "rbac: shares of thing: no database: call db.Use(authorizer) first")
	}
	_, err = a.View(ctx, row)
	require.EqualError(t, err, "rbac: shares of thing: no database: call db.Use(authorizer) first")

	testdb.Each(t, func(t *testing.T, db testdb.DB) { // and without the table
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		for _, action := range []string{"read", "delete"} {
			err := a.Check(ctx, action, row)
			require.ErrorContains(t, err, "rbac: shares of thing: ")
			require.NotErrorIs(t, err, rbac.ErrDenied)
		}
	})
}

// TestGuardedShares: the table of shares may be a resource of its own; then our own conditions name it, and
// nobody's text does.
func TestGuardedShares(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Thing{}, &rbac.Share{}))
		for _, id := range []string{"1", "2"} {
			row := map[string]any{"id": id, "tenant_id": "t1", "owner": "bob", "status": "", "small": 0, "touched": 0}
			require.NoError(t, db.Table("things").Create(row).Error)
		}
		require.NoError(t, db.Create(&rbac.Share{Tenant: "t1", Resource: "thing", RowID: "1", Kind: "user", Grantee: "ann", Access: "read"}).Error)
		cfg := sharesConfig(rbac.ShareTable{Model: &rbac.Share{}}, rbac.Resource{Model: &Thing{}, Tenant: "tenant_id"}, rbac.Resource{Model: &rbac.Share{}, Tenant: "tenant"})
		cfg.Policies = rbac.NewMemory(rbac.Policy{Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "thing", Field: "*", Level: 3}}, Rules: []rbac.Rule{
			{ID: "lent", Role: rbac.Everyone, Resource: "thing", Actions: []string{"read", "create", "update"}, When: `shared(row, "read")`},
		}})
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		ctx := inContext(rbac.Caller{ID: "ann", Tenant: "t1"})
		require.Equal(t, []string{"1"}, listed(t, db.DB, ctx))

		var n int64
		require.NoError(t, db.WithContext(ctx).Model(&rbac.Share{}).Count(&n).Error)
		require.Zero(t, n, "no rule lets ann see the shares themselves")
		require.ErrorIs(t, db.WithContext(ctx).Where("EXISTS (SELECT 1 FROM confide_shares WHERE grantee = 'ann')").Find(&[]Thing{}).Error, rbac.ErrRefused)
		require.NoError(t, db.WithContext(ctx).Model(&Thing{}).Where("id = ?", "1").Update("owner", "eve").Error)
		require.NoError(t, db.WithContext(ctx).Save(&Thing{ID: "1", TenantID: "t1", Owner: "max"}).Error)
		require.ErrorIs(t, db.WithContext(ctx).Create(&Thing{ID: "3", TenantID: "t1"}).Error, rbac.ErrDenied)
		require.ErrorIs(t, db.WithContext(ctx).Save(&Thing{ID: "2", TenantID: "t1"}).Error, rbac.ErrDenied)
		// A caller's alias that is ours must not change what is compared.
		var ids []string
		require.NoError(t, db.WithContext(ctx).Table("things AS confide_share").Model(&Thing{}).Order("id").Pluck("id", &ids).Error)
		require.Equal(t, []string{"1"}, ids)
		// A transaction's own shares count, and only in it.
		require.ErrorIs(t, db.Transaction(func(tx *gorm.DB) error {
			err := tx.WithContext(rbac.System(ctx, "share")).Create(&rbac.Share{Tenant: "t1", Resource: "thing", RowID: "2", Kind: "user", Grantee: "ann", Access: "read"}).Error
			require.NoError(t, err)
			require.NoError(t, a.Check(rbac.WithTx(ctx, tx), "read", &Thing{ID: "2", TenantID: "t1"}))
			return errRollback
		}), errRollback)
		require.ErrorIs(t, a.Check(ctx, "read", &Thing{ID: "2", TenantID: "t1"}), rbac.ErrDenied)
	})
}

// TestViewAsksOnce: the shares of a page come in one query, and a View asks for nothing later.
func TestViewAsksOnce(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Thing{}, &rbac.Share{}))
		require.NoError(t, db.Create(&rbac.Share{Tenant: "t1", Resource: "thing", RowID: "7", Kind: "user", Grantee: "ann", Access: "update"}).Error)
		cfg := sharesConfig(rbac.ShareTable{Model: &rbac.Share{}}, rbac.Resource{Model: &Thing{}, Tenant: "tenant_id"})
		cfg.Policies = rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{
			{ID: "see", Role: rbac.Everyone, Resource: "thing", Actions: []string{"read"}},
			{ID: "lent", Role: rbac.Everyone, Resource: "thing", Actions: []string{"update"}, When: `row.owner == caller.id || shared(row, "update")`},
		}})
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		rows := make([]Thing, 100)
		for i := range rows {
			rows[i] = Thing{ID: fmt.Sprint(i), TenantID: "t1"}
		}
		views, err := a.View(inContext(rbac.Caller{ID: "ann", Tenant: "t1"}), rows)
		require.NoError(t, err)
		pool, err := db.DB.DB()
		require.NoError(t, err)
		require.NoError(t, pool.Close())
		for i := range views {
			require.Equal(t, i == 7, views[i].Can("update"))
		}
	})
}
