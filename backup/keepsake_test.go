package backup_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/internal/testdb"
)

// A keepsake is a repository with prune records and drill reports as some version
// of this package wrote them. Like the vectors, the file is append-only.
type keepsake struct {
	Name    string
	KEK     string
	Objects map[string]string
	IDs     []backup.ID
	Drills  []backup.Drill
}

const keepsakeFile = "testdata/prunes-and-drills.json"

func TestFrozenPrunesAndDrillsAreReadable(t *testing.T) {
	if name := os.Getenv("CONFIDE_BACKUP_APPEND_KEEPSAKE"); name != "" {
		appendKeepsake(t, name)
	}
	data, err := os.ReadFile(keepsakeFile)
	require.NoError(t, err)
	var all []keepsake
	require.NoError(t, json.Unmarshal(data, &all))
	require.NotEmpty(t, all)
	for _, k := range all {
		t.Run(k.Name, func(t *testing.T) {
			store := backup.NewMemory()
			for key, object := range k.Objects {
				require.NoError(t, store.Put(t.Context(), key, unhex(t, object)))
			}
			handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(unhex(t, k.KEK))))
			require.NoError(t, err)
			local, err := aead.New(handle)
			require.NoError(t, err)
			report := requireWhole(t, store, localKEK{local})
			require.Equal(t, k.IDs, report.Snapshots)
			drills, err := open(t, store, localKEK{local}, nil).Drills(t.Context())
			require.NoError(t, err)
			require.Equal(t, k.Drills, drills)
			// What holds can be gone on with.
			_, err = open(t, store, localKEK{local}, nil).Prune(t.Context(), backup.PruneOptions{Keep: 1})
			require.NoError(t, err)
			require.Equal(t, k.Drills[0].Snapshot, requireWhole(t, store, localKEK{local}).Snapshots[0], "the proven one")
		})
	}
}

func appendKeepsake(t *testing.T, name string) {
	var all []keepsake
	if data, err := os.ReadFile(keepsakeFile); err == nil {
		require.NoError(t, json.Unmarshal(data, &all))
	}
	kek, cleartext := sharedKEK(t)
	d := newDated(t)
	d.kek = kek
	var err error
	d.Repository, err = backup.Open(t.Context(), backup.Config{Source: sourceOf(t, d.db), Store: d.store, KEK: kek, DataSet: "crm", Record: backup.Discard})
	require.NoError(t, err)
	d.daily(t, 3, backup.Incremental)
	made := 0
	_, err = d.Drill(t.Context(), backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &made), Promotion: backup.Promotion{Erasures: backup.NobodyErased}})
	require.NoError(t, err)
	d.daily(t, 3, backup.Incremental)
	_, err = d.Prune(t.Context(), backup.PruneOptions{Keep: 2})
	require.NoError(t, err)
	_, err = d.Drill(t.Context(), backup.DrillOptions{Scratch: scratch(t, testdb.SQLite, &made), RTO: 1, Promotion: backup.Promotion{Erasures: backup.NobodyErased}})
	require.Error(t, err)
	k := keepsake{Name: name, KEK: hex.EncodeToString(cleartext), Objects: map[string]string{}, IDs: d.ids(t)}
	k.Drills, err = d.Drills(t.Context())
	require.NoError(t, err)
	for _, key := range keysOf(t, d.store, "") {
		k.Objects[key] = hex.EncodeToString(content(t, d.store, key))
	}
	data, err := json.MarshalIndent(append(all, k), "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(keepsakeFile, append(data, '\n'), 0o644))
}
