// Package backup makes encrypted, signed snapshots of a live database, proves
// them by restoring, and tells every byte that was changed since.
//
// # What it does
//
// A Repository in a Store holds numbered snapshots of one data set. Each is
// complete by itself: rows in primary-key order, cut into chunks, compressed,
// sealed, named by a keyed hash of their content, and listed in a signed
// manifest that names the hash of the one before. Nothing is ever overwritten.
//
// # The three calls you need
//
//	src, err := sqlsource.New(sqlsource.Config{DB: pool, Engine: "postgres"})
//	repo, err := backup.Open(ctx, backup.Config{Source: src, Store: store, KEK: kek, DataSet: "crm", Record: log})
//	snapshot, err := repo.Run(ctx, backup.RunOptions{})                               // now and then
//	report, err := repo.Verify(ctx, backup.Every, backup.VerifyOptions{})             // often
//	report, err := repo.Restore(ctx, backup.Newest, emptyDatabase, backup.RestoreOptions{}) // to be sure
//
// # What you must supply
//
// A Source (package sqlsource), a Store (package dirstore, or five methods of
// yours checked by backuptest.RunStore), a key encryption key that you keep
// somewhere else than the store, and a Recorder, such as an audit log.
//
// The KEK is needed for everything: whoever loses it has no backups.
//
// Data that must be forgettable needs two data sets: exclude the table of the
// subjects' keys from the first, and keep that table alone in a second
// repository of which Prune keeps the newest snapshot only. Ciphertext in old
// snapshots is unreadable as soon as the key is in none.
//
// # What is NOT protected
//
// A process that holds the KEK and is taken over. The number, time and size of
// snapshots and chunks. A store that shows an older but complete state: give
// Verify the Heads that the Recorder was told. Views, triggers and functions are
// not copied; Snapshot.Omitted names them.
//
// # How it fails
//
// Closed. What cannot be copied exactly is refused with ErrUnsupported before
// anything is written. Damage is ErrDamaged and names the object. A restore that
// cannot be proven is rolled back. A killed run or prune leaves a repository that
// verifies, and the next one completes.
//
// # Format and compatibility
//
// FORMAT.md specifies every byte, testdata/vectors.json freezes examples. Each
// object begins with a version; a version that is not understood is an error.
package backup
