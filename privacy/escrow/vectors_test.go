package escrow_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy/escrow"
)

// frozen fills an empty database with the rows of testdata/v1.json: keys and sealed customers.
func frozen(t *testing.T, db testdb.DB) {
	t.Helper()
	text, err := os.ReadFile("testdata/v1.json")
	require.NoError(t, err)
	var tables map[string][][]any
	require.NoError(t, json.Unmarshal(text, &tables))
	require.NoError(t, start(t, db, newKEK(t)))
	pool, err := db.DB.DB()
	require.NoError(t, err)
	_, err = pool.Exec("DELETE FROM confide_tenant_keys")
	require.NoError(t, err)
	for table, insert := range map[string]struct {
		sql string
		hex []int
	}{
		"confide_tenant_keys":  {"INSERT INTO confide_tenant_keys (tenant, purpose, version, wrapped, created_at) VALUES (?, ?, ?, ?, ?)", []int{3}},
		"confide_subject_keys": {"INSERT INTO confide_subject_keys (tenant, subject, version, wrapped, created_at, erased_at) VALUES (?, ?, ?, ?, ?, ?)", []int{3}},
		"customers":            {"INSERT INTO customers (id, name, phone, phone_index) VALUES (?, ?, ?, ?)", []int{1, 2, 3}},
	} {
		require.NotEmpty(t, tables[table])
		for _, row := range tables[table] {
			for _, i := range insert.hex {
				row[i], err = hex.DecodeString(row[i].(string))
				require.NoError(t, err)
			}
			_, err = pool.Exec(insert.sql, row...)
			require.NoError(t, err)
		}
	}
}

// copied returns a copy of a file of testdata that only its owner can read: a checkout may not keep modes.
func copied(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, text, 0o600))
	return path
}

func TestFrozenEscrowRecoversItsDatabase(t *testing.T) {
	e, err := escrow.Read(copied(t, "v1.escrow"))
	require.NoError(t, err)
	require.Equal(t, "4edc4ba6178cac8e2fd8f500d72d0b766a93f8fe5d1ecef56ba21f1caffbbb89", e.Digest())
	require.Equal(t, 2, e.Threshold())
	require.Equal(t, []string{"b7bf9f32faeb7b73ce8aeebfacbb87a5 ana", "6fbe9574984bda9aebc7cb718f97cb20 ben", "a730ce3601a63a49dadfb2356cffea1a 王芳"}, e.Recipients())
	var people []*escrow.Identity
	for _, name := range []string{"v1.ana.identity", "v1.ben.identity", "v1.wang.identity"} {
		i, err := escrow.ReadIdentity(copied(t, name))
		require.NoError(t, err)
		people = append(people, i)
	}
	db := testdb.New(t, testdb.SQLite)
	frozen(t, db)
	target := escrow.Database{DB: db.DB, Record: &log{}}
	for _, pair := range [][]*escrow.Identity{{people[0], people[1]}, {people[0], people[2]}, {people[1], people[2]}} {
		report, err := escrow.Drill(t.Context(), target, e, pair...)
		require.NoError(t, err)
		require.Equal(t, 2, report.Tenants)
		require.EqualValues(t, 4, report.Persons)
	}
	kek := newKEK(t)
	_, err = escrow.Recover(t.Context(), target, e, escrow.Recovery{KEK: kek}, people[1], people[2])
	require.NoError(t, err)
	again := db.Reopen(t)
	require.NoError(t, start(t, again, kek))
	for _, tenant := range []string{"north", "south"} {
		name, err := find(t, again, tenant)
		require.NoError(t, err)
		require.Equal(t, "王小明", name)
	}
}
