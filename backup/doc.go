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
// A run is full, differential or incremental (RunOptions.Kind), which says what it may
// share with older snapshots, and never what a restore needs: each manifest lists all
// its chunks. With sqlsource's Track a run that shares reads only what changed. No
// watermark is involved, so no transaction can commit too late to be seen: changes
// are forgotten by number once a snapshot has them, a mark that does not fit (a database
// put back, triggers made anew, another repository) makes a table be read whole, and
// what is called unchanged is counted and read again within RunOptions.Scrub runs. What
// that finds stands in Snapshot.Missed. Package filesource makes a folder of files a
// data set; each data set has its own tables, store and schedule.
//
// A snapshot is restored whole, into an empty database of any engine that can hold
// it exactly (Restore), or in part, into the database in use (Merge): a record, a
// customer with what is theirs, a tenant. A Drill restores into a scratch database,
// measures, and keeps a signed report. Package schedule does all this by the clock.
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
// A Source (package sqlsource), a Store (package dirstore; the modules sftpstore,
// and blobstore for S3, GCS and Azure; or five methods of yours checked by
// backuptest.RunStore), a key encryption key that you keep somewhere else than the
// store, and a Recorder, such as an audit log.
//
// Around a store go packages retry, limit and quorum. Package probe tells what the
// store really does with the credentials it is given: run it before you rely on one.
//
// On a store that can retain objects (S3 with object lock), set Config.Retain: before a
// run puts its manifest it extends the retention of all that the manifest names, whoever
// stored it, and of the manifest before; then of its own. An object that is already
// retained for long enough is left alone. Where there are key epochs, what is retained for
// longer than a key lives becomes unreadable all the same.
//
// The KEK is needed for everything: whoever loses it has no backups. With
// Config.Recipients it is not enough to read rows: each run seals them under a key of
// its own, which it forgets, to the public keys of people who can recover. To add or
// remove one, change Config.Recipients: the next run is full and for the new list;
// who was on the old one can read what was sealed to it.
//
// Data that must be forgettable needs two data sets: exclude the table of the
// subjects' keys from the first, and keep that table alone in a second repository
// with Config.Epochs (package keyepoch). Its snapshots are sealed under keys that are
// destroyed on a schedule, on write-once stores too. Forgotten says by which date no
// backup has what was deleted; call DestroyExpired every day.
//
// A restored database may be older than an erasure. With sqlsource's Quarantine it
// is marked until Promote has erased everybody in the ledger again and found that
// none of them can be read; Merge refuses rows of people who were erased. Both take
// the ledger through Erasures, one method, and know a person by the id that the
// ledger has. Who starts an application on a database must ask Quarantined.
//
// # What is NOT protected
//
// A process that holds the KEK and is taken over; where there are recipients, it can
// read what the process itself sees from then on, and of older snapshots the schema,
// the numbers and one primary key a chunk (none where there are epochs). The number, time and size of
// snapshots and chunks. A store that shows an older but complete state: give
// Verify the Heads that the Recorder was told. With Retain, the records of prunes, the reports of drills
// and manifests older than the one before the newest are locked no longer than when they were new, if at all. Views, triggers and functions are
// not copied; Snapshot.Omitted names them. Merge brings values back as they are
// stored: one that is sealed to a row and a person opens in that row, of the same
// database, as long as the person's key is there; rows that the database numbers
// differently by now are not found again. The signals that freeze Prune see a mass
// deletion, change or encryption between two snapshots, not a slow one, and less of
// it where the rows cannot be opened.
//
// # How it fails
//
// Closed. What cannot be copied exactly is refused with ErrUnsupported before
// anything is written. Damage is ErrDamaged and names the object. A restore that
// cannot be proven is rolled back, and so is a merge. A killed run or prune leaves a
// repository that verifies, and the next one completes. Prune removes nothing while
// a manifest that should be there is not, a report of a drill cannot be read, or the
// data changes as under an attack.
//
// # Format and compatibility
//
// FORMAT.md specifies every byte, testdata freezes examples. Each
// object begins with a version; a version that is not understood is an error.
package backup
