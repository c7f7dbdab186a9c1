// Package audit keeps a log of who did what, inside the database an application
// already has, that an outsider can check.
//
// # What it does
//
// An event commits with the business transaction or not at all. After the
// commit a sealer moves events into their tenant's log: each gets a sequence
// number and its predecessor's hash, becomes a leaf of an RFC 6962 Merkle tree,
// and the tree's root is signed as a C2SP checkpoint (Ed25519). The checkpoints
// of all tenants are the entries of a top log, so that a whole log cannot vanish
// unnoticed, and the top log's checkpoint goes to an Anchor outside the database.
// No lock is held while the application works: events are inserted like any
// other row, and sealers meet at a compare-and-swap on the logs' heads. Any
// number of processes may record and seal.
//
// # The three calls you need
//
//	store, err := gormstore.Open(ctx, db)
//	log, err := audit.Open(ctx, audit.Config{Store: store, Signer: signer, Verifier: verifier, Actor: actor, Anchor: anchor})
//	err = db.Use(log) // every create, update and delete is recorded from here on
//
// Then "go log.Run(ctx)" seals in the background, Record adds events of your own
// (inside a transaction with WithTx), RecordApart those that must outlive a
// rollback, Seen a page of rows that was shown (the plugin Reads does it for
// whole tables), Events asks and Verify checks. Package httpaudit puts address,
// request id and channel into the context and records refused requests; package
// slogaudit turns marked log lines into events. Package extract writes events as CSV,
// for a SIEM (OCSF), and with proofs. Package alert watches for what looks wrong.
//
// Config.Diff makes the events say what changed: each value is committed to under a
// secret of its own, so that Proves can tell whether somebody's phone was a certain
// one, and Forget makes that impossible for a person without touching the log.
// SQL text that writes (db.Exec, db.Raw) is refused, unless Config.Raw and AllowRaw say
// otherwise. Coverage lists what goes past all of this.
//
// # What you must supply
//
// A signing key from GenerateKey that the database's administrators do not have,
// a function that tells who acts in a context, and a place for checkpoints
// outside the database (audit/fileanchor, audit/diranchor, audit/witness, or k of
// n of them with QuorumAnchor), or Unanchored to go without on purpose.
//
// # What others can check
//
// ProveHistory proves events to a customer or a court, ProveConsistency that nothing
// changed since a checkpoint they have, Export is for an auditor. All of it is checked
// offline with the verifier key alone, by the functions here, by the program
// audit/cmd/auditverify, or by anything that reads C2SP's formats
// (testdata/read_log.py is one, in Python). "auditverify tamper" attacks a copy of your
// export, package hammer your database with processes that are killed. A proof says that events are in the log,
// not that there are no others; of changes, their numbers say that.
//
// Verify and VerifyExport read everything; with VerifyOptions.Since they go on from
// where an earlier verification ended, and do not see what was edited before it. A
// pruned log is believed there to hold the changes its rows had before. Counters of rows
// without new events are not compared then.
//
// # Keys and restores
//
// To rotate the signing key, give all processes the new key in Config.Keys, with its
// Signer; then make it Config.Signer and the old one an entry of Config.Keys; then, when
// nothing waits that was recorded before, leave out the old Signer and keep its
// Verifier, with Until if it was stolen. In between every checkpoint carries both
// signatures. What waits under a key whose Signer is gone is not sealed until it is back.
//
// A database restored from a backup is older than its anchor, and Verify says so.
// DeclareRestore makes it a new epoch: the declaration names what was abandoned, is
// sealed, stays in every report, and excuses nothing else.
//
// # What is not protected
//
//   - Without an anchor nobody can tell the database from an older copy of it.
//     Verify says UNANCHORED instead of valid then.
//
//   - Between commit and seal (Config.Interval, or call Seal yourself) an
//     administrator of the database can delete waiting events. An event of the
//     GORM plugin is missed afterwards, because the changes of each row are
//     counted and the next one leaves a hole, unless the administrator also sets
//     the row's counter back before its next change. An event recorded by hand
//     (a reveal, a login) has no number and is not missed. Editing and adding
//     events in this window is always found: they carry a MAC.
//
//   - Whoever has the signing key can rewrite what is not anchored.
//
//   - RecordApart returns before the event is in the database. With Config.Spill it
//     is on the local disk by then; without, killing the process loses it. What
//     is on the disk is authenticated, but somebody who can write there can
//     delete the last events of a dead process before the next one takes them over.
//
//   - Of a process that is killed, the best-effort events and the reads of the last
//     moments are missing; with Config.Spill a gap event says that there may be some.
//
//   - Writes that do not come through this *gorm.DB (other programs, a connection taken
//     from the pool, a function in the database that SELECT calls) are seen by the
//     triggers of gormstore only, if you install them; on MySQL those see neither
//     TRUNCATE nor what foreign keys cascade. A trigger names table, row and verb, not
//     who. Structure (ALTER TABLE, a dropped column) is not recorded. A second
//     statement smuggled into the text of a condition is not looked for.
//
//   - A statement that changes more than Config.MostRows rows is one event with their
//     number, without their names. So is one whose rows cannot be read before it:
//     UPDATE … FROM another table, and conditions with backslashes or dollar quotes
//     on PostgreSQL.
//
//   - Commitments hide values as long as nobody has their secrets, which lie in the
//     same database until Forget: whoever reads the database can check guesses. That
//     a field changed, and whether it was NULL, is in the log for ever. Old copies of
//     the database keep the secrets they hold. A secret that vanishes without an erasure is
//     a break; one that is replaced by other bytes is not seen: with it nothing is proved.
//
//   - Row ids, field names, purposes and attributes stay in the log for ever.
//     Never put personal values there.
//
//   - What Prune removed is gone from the database: of those entries only the
//     hashes are left, and the archive is all there is. Old copies of the database
//     files, its own backups and replicas keep what they hold.
//
// # How long it is kept
//
// For ever, or for Config.Keep, which may not be shorter than a legal floor.
// Prune then removes what is older: it verifies the log and the archive first, seals a
// purge record into the log, and leaves every hash in place, so that the log and
// the archive both verify against the same checkpoints afterwards. It trusts the
// clock of the process: whoever can set it ahead can have events pruned early.
//
// # How it fails
//
// Record, and every write through the plugin, fails when the event cannot be
// stored: refuse the act. Config.Class makes events of some actions less strict:
// Should events go to Config.Spill, a directory on a local disk, while the database
// does not take them, and are recorded exactly once when it does; BestEffort
// events wait in memory. What is lost is counted, and an event of the action
// GapAction tells how much, when and why as soon as the log works again, also after a
// restart if there is a spill directory. Stats shows all this to a monitor.
//
// Sealing failures stop no business: events wait. Seal
// refuses to extend a log whose head it has not signed, seals the rest and returns
// ErrTampered. Serialization failures, dead-locks and busy SQLite files are
// repeated for the library's own transactions; in yours they are yours.
//
// # Format and compatibility
//
// FORMAT.md specifies every stored byte, testdata/vectors.json freezes it. All
// encodings begin with a version; a reader refuses versions it does not know.
// Opening a store brings its tables up to date. Stop the processes of older releases before:
// what they seal afterwards lacks the newer terms of the index, queries by these miss it, and
// Verify reports it as index-edited.
package audit
