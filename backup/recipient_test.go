package backup_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/hybrid"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/internal/testdb"
)

// recipient makes somebody who can read backups.
func recipient(t testing.TB, name string) (backup.Recipient, tink.HybridDecrypt) {
	t.Helper()
	private, err := keyset.NewHandle(hybrid.DHKEM_X25519_HKDF_SHA256_HKDF_SHA256_AES_256_GCM_Key_Template())
	require.NoError(t, err)
	public, err := private.Public()
	require.NoError(t, err)
	encrypt, err := hybrid.NewHybridEncrypt(public)
	require.NoError(t, err)
	decrypt, err := hybrid.NewHybridDecrypt(private)
	require.NoError(t, err)
	return backup.Recipient{Name: name, Key: encrypt}, decrypt
}

func openWith(t testing.TB, cfg backup.Config) *backup.Repository {
	t.Helper()
	cfg.DataSet, cfg.Record = "crm", backup.Discard
	r, err := backup.Open(t.Context(), cfg)
	require.NoError(t, err)
	return r
}

func runKind(t testing.TB, r *backup.Repository, kind backup.Kind) backup.Snapshot {
	t.Helper()
	s, err := r.Run(t.Context(), backup.RunOptions{Kind: kind})
	require.NoError(t, err)
	return s
}

func TestWriterCannotReadWhatItBackedUp(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 4000)
	kek, store := backuptest.NewKEK(t), backup.NewMemory()
	anna, annas := recipient(t, "anna")
	ben, bens := recipient(t, "ben")
	_, strangers := recipient(t, "anna")
	cfg := backup.Config{Source: sourceOf(t, db), Store: store, KEK: kek, Recipients: []backup.Recipient{anna, ben}}
	writer := openWith(t, cfg)
	run(t, writer)
	exec(t, poolOf(t, db), "UPDATE big SET body = 'new' WHERE id = 7")
	s := runKind(t, writer, backup.Incremental)
	require.Equal(t, backup.Incremental, s.Kind)
	require.Positive(t, s.Work.Reused, "sharing needs no key to read")

	// The writer, who has the KEK, sees that all is well and no row.
	report, err := writer.Verify(t.Context(), backup.Every, backup.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, report.OK)
	require.Zero(t, report.Rows)
	require.Positive(t, report.Unopened)
	_, err = writer.Restore(t.Context(), backup.Newest, sourceOf(t, testdb.New(t, testdb.SQLite)), backup.RestoreOptions{})
	require.ErrorContains(t, err, "is sealed to anna, ben; set Config.Recovery to the private key of one of them")
	require.NotErrorIs(t, err, backup.ErrDamaged)

	for name, key := range map[string]tink.HybridDecrypt{"anna": annas, "ben": bens} {
		r := openWith(t, backup.Config{Store: store, KEK: kek, Recovery: key})
		report, err := r.Verify(t.Context(), backup.Every, backup.VerifyOptions{})
		require.NoError(t, err, name)
		require.Zero(t, report.Unopened, name)
		to := testdb.New(t, testdb.SQLite)
		_, err = r.Restore(t.Context(), backup.Newest, sourceOf(t, to), backup.RestoreOptions{})
		require.NoError(t, err, name)
		require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)), name)
	}
	r := openWith(t, backup.Config{Store: store, KEK: kek, Recovery: strangers})
	_, err = r.Restore(t.Context(), backup.Newest, sourceOf(t, testdb.New(t, testdb.SQLite)), backup.RestoreOptions{})
	require.ErrorContains(t, err, "sealed to anna, ben", "a key of the same name is not enough")
}

func TestDamageIsSeenWithoutTheKeyToRead(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)", "INSERT INTO a VALUES (1)")
	kek, store := backuptest.NewKEK(t), backup.NewMemory()
	anna, _ := recipient(t, "anna")
	writer := openWith(t, backup.Config{Source: sourceOf(t, db), Store: store, KEK: kek, Recipients: []backup.Recipient{anna}})
	run(t, writer)
	for _, prefix := range []string{"chunk/", "datakey/"} {
		key := keysOf(t, store, prefix)[0]
		good := content(t, store, key)
		for i := range good {
			bad := append([]byte{}, good...)
			bad[i] ^= 1
			replace(t, store, key, bad)
			report, err := writer.Verify(t.Context(), backup.Every, backup.VerifyOptions{})
			require.ErrorIs(t, err, backup.ErrDamaged, "%s byte %d", prefix, i)
			require.Equal(t, key, report.Damage[0].Object)
		}
		replace(t, store, key, good)
	}
}

func TestAChangeOfRecipientsMakesTheNextRunFull(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 4000)
	kek, store := backuptest.NewKEK(t), backup.NewMemory()
	anna, annas := recipient(t, "anna")
	ben, bens := recipient(t, "ben")
	cfg := backup.Config{Source: sourceOf(t, db), Store: store, KEK: kek, Recipients: []backup.Recipient{anna}}
	run(t, openWith(t, cfg))
	for _, to := range [][]backup.Recipient{{anna, ben}, {ben}, nil} {
		cfg.Recipients = to
		require.Equal(t, backup.Full, runKind(t, openWith(t, cfg), backup.Incremental).Kind, "nothing is shared with what others could read")
		s := runKind(t, openWith(t, cfg), backup.Incremental)
		require.Equal(t, backup.Incremental, s.Kind)
		require.Zero(t, s.Work.Chunks)
	}
	reads := func(id backup.ID, key tink.HybridDecrypt) error {
		r := openWith(t, backup.Config{Store: store, KEK: kek, Recovery: key})
		_, err := r.Restore(t.Context(), id, sourceOf(t, testdb.New(t, testdb.SQLite)), backup.RestoreOptions{})
		return err
	}
	for id, who := range map[backup.ID][2]bool{1: {true, false}, 2: {true, true}, 3: {true, true}, 4: {false, true}, 5: {false, true}, 6: {true, true}, 7: {true, true}} {
		for i, key := range []tink.HybridDecrypt{annas, bens} {
			err := reads(id, key)
			require.Equal(t, who[i], err == nil, "snapshot %d, recipient %d: %v", id, i, err)
		}
	}
	require.NoError(t, reads(7, nil), "without recipients the KEK opens")
}

func TestChunksOfAKilledRunAreNotUsedForOtherRecipients(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	manyChunks(t, db, 4000)
	kek, store := backuptest.NewKEK(t), backup.NewMemory()
	anna, _ := recipient(t, "anna")
	ben, bens := recipient(t, "ben")
	w := &watched{Store: store, before: func(op, key string) error {
		if op == "put" && strings.HasPrefix(key, "manifest/") {
			return errKilled
		}
		return nil
	}}
	cfg := backup.Config{Source: sourceOf(t, db), Store: w, KEK: kek, Recipients: []backup.Recipient{anna}}
	_, err := openWith(t, cfg).Run(t.Context(), backup.RunOptions{})
	require.ErrorIs(t, err, errKilled)
	cfg.Store, cfg.Recipients = store, []backup.Recipient{ben}
	s := run(t, openWith(t, cfg))
	require.Zero(t, s.Work.Reused)
	requireWhole(t, store, kek)
	to := testdb.New(t, testdb.SQLite)
	_, err = openWith(t, backup.Config{Store: store, KEK: kek, Recovery: bens}).Restore(t.Context(), s.ID, sourceOf(t, to), backup.RestoreOptions{})
	require.NoError(t, err)
	require.Equal(t, rowsOf(t, sourceOf(t, db)), rowsOf(t, sourceOf(t, to)))

	// A prune takes away what the killed run left.
	run(t, openWith(t, cfg))
	_, err = openWith(t, cfg).Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	require.Zero(t, requireWhole(t, store, kek).Leftover)
}

func TestRecipientsNeedNamesAndKeys(t *testing.T) {
	anna, _ := recipient(t, "anna")
	for i, bad := range [][]backup.Recipient{{{Name: "anna"}}, {{Key: anna.Key}}, {anna, anna}} {
		_, err := backup.Open(t.Context(), backup.Config{Store: backup.NewMemory(), KEK: backuptest.NewKEK(t), DataSet: "crm", Record: backup.Discard, Recipients: bad})
		require.ErrorContains(t, err, fmt.Sprintf("Config.Recipients[%d] needs a key and a name of its own", len(bad)-1), "%d", i)
	}
}

// deaf is a recipient's key that fails.
type deaf struct{}

func (deaf) Encrypt(_, _ []byte) ([]byte, error) { return nil, errors.New("no smart card") }

func TestRunWithoutARecipientsKeyStoresNothing(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	exec(t, poolOf(t, db), "CREATE TABLE a (id INTEGER PRIMARY KEY)")
	store := backup.NewMemory()
	r := openWith(t, backup.Config{Source: sourceOf(t, db), Store: store, KEK: backuptest.NewKEK(t), Recipients: []backup.Recipient{{Name: "anna", Key: deaf{}}}})
	_, err := r.Run(t.Context(), backup.RunOptions{})
	require.ErrorContains(t, err, `seal data key to "anna"`)
	require.Empty(t, keysOf(t, store, "chunk/"))
}
