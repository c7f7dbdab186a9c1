package backup_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"iter"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/internal/testdb"
)

// A vector is a whole repository as some version of this package wrote it, with
// what must be read from it. The file is append-only: whatever is in it must be
// readable for ever.
type vector struct {
	Name     string
	KEK      string // a Tink keyset in the clear, hexadecimal
	Recovery string `json:",omitempty"` // the private keyset of a recipient, likewise
	DataSet  string
	Objects  map[string]string // key to hexadecimal content
	Newest   backup.Snapshot
	Rows     map[string][]string // of the newest snapshot, by table
}

const (
	vectorFile = "testdata/vectors.json"
	vectorEnv  = "CONFIDE_BACKUP_APPEND_VECTOR" // its value names the vector to append
)

func TestFrozenRepositoriesAreReadable(t *testing.T) {
	if name := os.Getenv(vectorEnv); name != "" {
		appendVector(t, name)
	}
	vectors := readVectors[vector](t)
	require.NotEmpty(t, vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			store := backup.NewMemory()
			for key, object := range v.Objects {
				require.NoError(t, store.Put(t.Context(), key, unhex(t, object)))
			}
			handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(unhex(t, v.KEK))))
			require.NoError(t, err)
			local, err := aead.New(handle)
			require.NoError(t, err)
			cfg := backup.Config{Store: store, KEK: localKEK{local}, DataSet: v.DataSet, Record: backup.Discard}
			if v.Recovery != "" {
				handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(unhex(t, v.Recovery))))
				require.NoError(t, err)
				cfg.Recovery, err = hybrid.NewHybridDecrypt(handle)
				require.NoError(t, err)
			}
			r, err := backup.Open(t.Context(), cfg)
			require.NoError(t, err)
			report, err := r.Verify(t.Context(), backup.Every, backup.VerifyOptions{Heads: []backup.Head{{ID: v.Newest.ID, Hash: v.Newest.Hash}}})
			require.NoError(t, err)
			require.True(t, report.OK)
			list, err := r.List(t.Context())
			require.NoError(t, err)
			require.Equal(t, v.Newest, list[len(list)-1])
			target := &heap{rows: map[string][]string{}}
			_, err = r.Restore(t.Context(), backup.Newest, target, backup.RestoreOptions{})
			require.NoError(t, err)
			require.Equal(t, v.Rows, target.rows)
			require.True(t, target.committed)
		})
	}
}

func appendVector(t *testing.T, name string) {
	kek, cleartext := sharedKEK(t)
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), hostileSQLite()...)
	exec(t, poolOf(t, db), "CREATE TABLE noted (id TEXT PRIMARY KEY, v TEXT)", "INSERT INTO noted VALUES ('a', 'x'), ('b', 'y')")
	_, err := sourceOf(t, db).Track(t.Context())
	require.NoError(t, err)
	store := backup.NewMemory()
	cfg := backup.Config{Source: sourceOf(t, db), Store: store, KEK: kek}
	var recovery string
	if strings.Contains(name, "recipients") {
		private, err := keyset.NewHandle(hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template())
		require.NoError(t, err)
		public, err := private.Public()
		require.NoError(t, err)
		key, err := hybrid.NewHybridEncrypt(public)
		require.NoError(t, err)
		other, _ := recipient(t, "ben")
		cfg.Recipients = []backup.Recipient{other, {Name: "anna", Key: key}}
		cfg.Recovery, err = hybrid.NewHybridDecrypt(private)
		require.NoError(t, err)
		var buf bytes.Buffer
		require.NoError(t, insecurecleartextkeyset.Write(private, keyset.NewBinaryWriter(&buf)))
		recovery = hex.EncodeToString(buf.Bytes())
	}
	r := openWith(t, cfg)
	run(t, r)
	run(t, r)
	exec(t, poolOf(t, db), "INSERT INTO noted VALUES ('c', 'z')")
	require.Equal(t, backup.Incremental, runKind(t, r, backup.Incremental).Kind)
	_, err = r.Prune(t.Context(), backup.PruneOptions{Keep: 2})
	require.NoError(t, err)
	list, err := r.List(t.Context())
	require.NoError(t, err)
	v := vector{Name: name, Recovery: recovery, KEK: hex.EncodeToString(cleartext), DataSet: "crm", Objects: map[string]string{}, Newest: list[len(list)-1]}
	for _, key := range keysOf(t, store, "") {
		v.Objects[key] = hex.EncodeToString(content(t, store, key))
	}
	target := &heap{rows: map[string][]string{}}
	_, err = r.Restore(t.Context(), backup.Newest, target, backup.RestoreOptions{})
	require.NoError(t, err)
	v.Rows = target.rows
	var vectors []any // the others as they are, whatever a Snapshot has by now
	for _, old := range readVectors[json.RawMessage](t) {
		vectors = append(vectors, old)
	}
	data, err := json.MarshalIndent(append(vectors, v), "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll("testdata", 0o755))
	require.NoError(t, os.WriteFile(vectorFile, append(data, '\n'), 0o644))
}

func readVectors[T any](t *testing.T) (vectors []T) {
	data, err := os.ReadFile(vectorFile)
	if os.IsNotExist(err) && os.Getenv(vectorEnv) != "" {
		return nil
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &vectors))
	return vectors
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	require.NoError(t, err)
	return b
}

// heap is a Target that keeps rows in memory, and can be told to lie.
type heap struct {
	rows      map[string][]string
	change    func(table string, row backup.Row) (backup.Row, bool) // what it really stores
	stop      bool                                                  // Load stops after the first row and says all is well
	committed bool
	closed    bool
}

func (h *heap) Begin(context.Context, backup.Schema) (backup.Loading, error) { return h, nil }

func (h *heap) Load(_ context.Context, table string, rows iter.Seq2[backup.Row, error]) error {
	for row, err := range rows {
		if err != nil {
			return nil // a target that swallows errors must not make a restore succeed
		}
		row, ok := slices.Clone(row), true
		if h.change != nil {
			row, ok = h.change(table, row)
		}
		if ok {
			h.rows[table] = append(h.rows[table], hex.EncodeToString(row))
		}
		if h.stop {
			return nil
		}
	}
	return nil
}

func (h *heap) Finish(context.Context) error { return nil }

func (h *heap) Rows(_ context.Context, table string) iter.Seq2[backup.Row, error] {
	return func(yield func(backup.Row, error) bool) {
		stored := slices.Clone(h.rows[table])
		slices.Reverse(stored) // any order will do
		for _, s := range stored {
			row, err := hex.DecodeString(s)
			if !yield(row, err) {
				return
			}
		}
	}
}

func (h *heap) Commit(context.Context) error { h.committed = true; return nil }
func (h *heap) Close() error                 { h.closed = true; return nil }

func TestRestoreIsProvenNotBelieved(t *testing.T) {
	store, kek := small(t)
	r := open(t, store, kek, nil)
	seen := map[string]bool{}
	for what, h := range map[string]*heap{
		"nothing":         {},
		"a changed value": {change: func(_ string, row backup.Row) (backup.Row, bool) { row[len(row)-1] ^= 1; return row, true }},
		"a lost row": {change: func(table string, row backup.Row) (backup.Row, bool) {
			once := seen[table]
			seen[table] = true
			return row, once
		}},
		"a row put twice":   {change: func(_ string, row backup.Row) (backup.Row, bool) { return append(row, row...), true }},
		"rows of one table": {change: func(table string, row backup.Row) (backup.Row, bool) { return row, table == "a" }},
		"only a beginning":  {stop: true},
	} {
		h.rows = map[string][]string{}
		report, err := r.Restore(t.Context(), backup.Newest, h, backup.RestoreOptions{})
		require.True(t, h.closed, what)
		if what == "nothing" {
			require.NoError(t, err)
			require.True(t, report.OK)
			continue
		}
		require.Error(t, err, what)
		require.False(t, report.OK, what)
		require.False(t, h.committed, what)
	}
	key := keysOf(t, store, "chunk/00000000000000000002/")[0]
	require.NoError(t, store.Delete(t.Context(), key))
	h := &heap{rows: map[string][]string{}}
	_, err := r.Restore(t.Context(), backup.Newest, h, backup.RestoreOptions{})
	require.ErrorIs(t, err, backup.ErrDamaged)
	require.ErrorContains(t, err, key+" is missing")
	require.False(t, h.committed)
}

func TestRowsThatSwapTablesAreNoticed(t *testing.T) {
	// a and b of the first snapshot hold equal rows: only the table in the keyed
	// hash tells them apart.
	store, kek := small(t)
	h := &heap{rows: map[string][]string{}}
	swap := &swapped{heap: h}
	_, err := open(t, store, kek, nil).Restore(t.Context(), 2, swap, backup.RestoreOptions{})
	require.ErrorContains(t, err, "holds other rows after the restore than were backed up (2 read back, 3 backed up); the target was rolled back")
}

type swapped struct{ *heap }

func (s *swapped) Begin(context.Context, backup.Schema) (backup.Loading, error) { return s, nil }

func (s *swapped) Rows(ctx context.Context, table string) iter.Seq2[backup.Row, error] {
	return s.heap.Rows(ctx, map[string]string{"a": "b", "b": "a"}[table])
}
