// Package privacy keeps personal values sealed in the database and still lets a program find them.
//
// A field of type String, Date, Time, Int, Decimal, Bytes or Value is encrypted under its person's own key,
// bound to its tenant, field, row and person, and printed as a mask wherever it goes. A field of type Index
// beside it is a keyed pseudonym by which the database finds equal values. A Vault is the GORM plugin that
// seals, indexes, rewrites conditions and refuses what cannot be answered on sealed values.
//
//	type Customer struct {
//		ID         string         `gorm:"primaryKey" privacy:"subject=customer"`
//		Phone      privacy.String `privacy:"mask=phone"`
//		PhoneIndex privacy.Index  `gorm:"index" privacy:"of=Phone,norm=phone"`
//	}
//
// # The three calls
//
//	vault, err := privacy.Open(ctx, privacy.Config{KEK: kek, Gate: authz, Record: log, Region: "CN"})
//	err = db.Use(vault)
//	err = vault.Migrate(ctx, db, &Customer{}, &Invoice{})
//
// After that it is ordinary GORM, and [String.Reveal] is the way to a value: it asks the gate, writes the
// record and only then returns. [Vault.RevealRows] does so for a page. [Vault.Erase] forgets a person, and
// [Vault.ReplayErasures] forgets again after a restore. [Vault.Doctor] looks whether all is well,
// [Vault.MustCover] stops a start-up with a personal field that nobody sealed, and [Vault.FindLeaks] looks
// for plaintext in all tables and in log files. [Vault.Advise] says what an index would show.
//
// # What you must supply
//
// A key-encryption key: package keyfile or a key management service. A Gate and a Recorder, or their named
// absence, AllowAll and Discard. Primary keys that the program generates (or bind=column). A context on
// every statement if there are tenants. Every model with sealed fields to Migrate or Register: an erasure
// would forget an unknown one, so it cannot be used.
//
// # Tags
//
// On a sealed field:
//
//	mask=phone           the kind of mask of a String, see package masking; a Date takes birthdate; without
//	                     it, and for all other types: [sealed]
//	pad=32               stored lengths are multiples of 32 bytes (8 to 4096), so that they tell less
//	name=customer.phone  the logical name that values are bound to; set it to the old name before renaming
//	                     the Go type or the column
//	search=name          of a String: the words of it can be searched, see Match
//
// On an Index:
//
//	of=Phone,norm=phone  the field, and which spellings find each other: exact, text, email, phone, name,
//	                     digits, idcard; exact for all but String and Value, none for Time
//	match=last4          an index of a part: last and prefix with a number, first, domain
//	bits=12              a truncated index, in which different values share a cell: it shows less
//	of=Name+Birth,norm=name+exact
//	                     a compound index of two or three sealed fields of the row
//
// An index of whole values that is not truncated may be unique, with gorm:"uniqueIndex". On other fields:
//
//	subject=customer     the field holds the id of the person whose data the row is; without it the row itself
//	                     is the person. Subject ids read customer:1.
//	tenant               the column that names the row's tenant; it must match the context's
//	bind=column          on the primary key: give up the binding to the row, so that the database may number
//	                     the rows; the model then needs a subject= on another field, and values can be moved
//	                     unnoticed between rows of one person, in the same field
//	open=reason          not sealed although its name looks personal; for MustCover
//
// # Absent, NULL, empty
//
// The zero String is absent: Create stores NULL for it, and an update leaves the stored value alone. Null
// stores NULL. New("") is a value like any other.
//
// # What GORM does
//
// MATRIX.md lists every path through GORM that the tests walk, on SQLite, PostgreSQL and MySQL: it works,
// or it is an error that wraps ErrRefused and names the field and the remedy. An update of a sealed field by
// anything but the loaded row costs one SELECT of the key columns, because the person and the row must be
// known. Raw SQL that names a table with sealed columns is refused; the *sql.DB from db.DB() is the way
// past, and there the CHECK constraints of Migrate stand.
//
// From db.Use on, every logger of the database and of its sessions is wrapped by [Logger], also with Debug
// and with Session{Logger: …}: statements are logged with ? in place of parameters and literals, errors of
// the database by their codes, since they quote values.
//
// # Search
//
//	db.Where(&Customer{Phone: privacy.New("13800138000")}).First(&c)
//	db.Where("phone = ? AND owner = ?", privacy.EndsWith("8000"), "e3").Find(&list)
//	db.Where("name = ?", privacy.Match("小明")).Count(&n)
//
// Index lookups are made of Where by struct and map, "col = ?", <>, IN, NOT IN and IS NULL, in any nesting
// of AND, OR and NOT. EndsWith, StartsWith, AtDomain and Match make values that only search and stand
// wherever a value of New stands in a condition.
//
// Where an index answers only in part (a truncated one, a needle longer than what is indexed, a name of
// three characters) the vault opens the rows that come into question, in the statement's transaction and
// without asking the gate, and the statement gets the primary keys of those that match, so that pages, counts,
// updates and subqueries are exact. Config.Candidates bounds them. Only plain conditions on other columns
// that all must hold narrow them down.
//
// A compound index answers a statement that compares all of its fields for equality, joined by AND alone,
// and is NULL where one of them is. An update of one of its fields reads and opens the others, under the
// row's lock. An upsert that assigns some of them to a stored row is refused by the database, unless one of
// them is NULL there. Call [Vault.Reindex] after an index was added to a table with rows.
//
// # Keys and their rotation
//
// A KEK wraps a tenant's data keyset, that wraps the tenant's index keyset and the persons' keysets, and
// those seal. A tenant's unwrapped keys are kept for Config.KeyTTL, or Config.KeyUses statements, and for
// KeyGrace longer if the KEK does not answer then; Vault.Forget wipes them. Every write compares the keys it
// uses with those that are stored, under a lock that it keeps until its transaction ends, so no process
// writes with a key that was replaced, whatever it remembers.
//
// [Vault.Rotate], [Vault.Retire] and [Vault.KeyStatus] rotate all four kinds as jobs that can be killed and
// repeated, beside writers and each other. A new data or index key is announced for twice KeyTTL and
// KeyGrace before it is used, because lookups use remembered keys: the clocks of all machines should agree,
// and no transaction that reads at a frozen snapshot should last longer than KeyTTL. While two index keys
// are live, a write to a unique index looks for its value under the other key and fails with
// gorm.ErrDuplicatedKey. Retire looks at everything first; what it removes is gone, so a backup from before
// a rotation is only readable with the tenants' keys of the same backup.
//
// For a new KEK, give every process the new one in OtherKEKs, then make it KEK and the old one OtherKEKs,
// then Rotate(KEKKeys), and leave the old one out when Retire(KEKKeys) has nothing against it. Package
// escrow is for a KEK that is lost. After a logical name, a row's id or a person's id changed,
// [Vault.Rebind] opens values where they were and seals them where they are.
//
// # What is not protected
//
// A process that has the KEK and is taken over. What a permitted person writes down. Lengths of values
// without pad=.
//
// Equality and frequency of indexed values, within a tenant and field: whoever reads the database sees which
// rows have the same phone number, and can guess a column of few values from their counts; do not index a
// gender. Every further index shows more of a value, and search=name most: which names share characters. A
// person who can write the index column can make a row findable by another's value, which Doctor finds.
//
// Ciphertext of an earlier value of the same cell can be put back unnoticed, as with any database. Rows of a
// Value or String in a destination that GORM fills past its callbacks are sealed but unbound; rows read
// through a database view are ciphertext.
//
// Erasing overwrites the key in the database (on SQLite with secure_delete), but copies of the key table,
// such as a write-ahead log not yet checkpointed, a replica or a backup, hold it until they are gone: back
// up confide_subject_keys apart from the data and for a shorter time.
//
// Two gaps in what GORM logs: Scan on a session with a logger of its own logs the error of a column that
// does not fit its destination past the wrapper, so pass privacy.Logger(l) to Session there; and loggers
// inside the database driver are out of reach.
//
// # How it fails
//
// Closed. A value that does not open is shown as [unreadable], does not fail the query, cannot be saved
// back, and says ErrUnreadable when revealed. A look that cannot be recorded does not happen. A missing
// tenant, key or gate is an error. No error holds a value.
//
// # Format, and beside it
//
// FORMAT.md describes every stored byte; testdata holds vectors of each format that all later versions must
// read. PERFORMANCE.md has the figures. Package attach keeps files whose key lies in a Value of a person's
// row; package intake takes data in under a public key, in a process that cannot read it; package escrow
// lets recovery recipients open a database whose KEK is lost.
package privacy
