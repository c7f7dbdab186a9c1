// Package intake takes personal data in without being able to read it: a web form's process, or a partner, seals
// each submission under a public key. Who takes over that process, or steals its table, gets nothing that came in
// before; the private key is where the back office is, which opens a submission and moves it into the sealed model.
//
//	type Submission struct {
//		ID   string `gorm:"primaryKey;size:36"`
//		Body intake.Box
//	}
//
// # The three calls
//
// The form's process, which has a public key and nothing else:
//
//	key, err := intake.ParsePublicKey(os.Getenv("INTAKE_KEY"))
//	box, err := key.Seal(intake.Place{Form: "contact", Tenant: "main", Submission: id}, body)
//	err = db.Create(&Submission{ID: id, Body: box}).Error
//
// The back office, which has the private keys, asks its gate, writes its record, and moves the data, all or nothing:
//
//	err = office.Accept(ctx, db, "new contact request", "contact", s.ID, s.Body, func(tx *gorm.DB, body []byte) error {
//		return tx.Create(customerFrom(body)).Error
//	})
//
// # What you must supply
//
// Keys: NewKeys makes them, Save keeps them in a file wrapped by the vault's KEK, and Public().String() is the one
// line to configure the form with. A Gate and a Recorder as for a Vault; the gate is asked for the resource named
// as the form, the submission's id as row, and the field "box". Submission ids that the form's side makes at random
// and that are its table's primary key. Someone who deletes submissions that were accepted.
//
// # What a box is bound to
//
// Form, tenant, submission id, format version and key: a box moved to another submission, form or tenant does not
// open. A submission is accepted once: its id is kept in a table, in the transaction that moves the data, so that a
// box that is sent again, or a row that is copied back, is ErrAccepted.
//
// # Keys rotate
//
// Rotate returns the keys with a new one, whose public half goes to the forms; boxes of the old ones still open
// until Drop. A box names its key. The public key's line has a check sum, because a damaged key would take in data
// that nobody can ever open.
//
// # What is not protected
//
// What the form's process sees from now on, once it was taken over: it has each submission in clear before it seals
// it, unless the browser seals it, for which FORMAT.md has the recipe. Who made a box: anybody with the public key
// can, also the thief, so that what comes out is input as hostile as any form's. The length of a submission. Boxes
// cannot be erased for one person: delete the row. X25519 does not withstand a quantum computer of the future, which
// matters for boxes that are kept for years; do not keep them.
//
// # How it fails
//
// Closed. A box of another version, another key, or another place is a typed error, and so is a look that cannot be
// recorded. Nothing prints a box but as [sealed]. No error holds a value.
//
// # Format and compatibility
//
// FORMAT.md describes every byte and how to make a box in JavaScript or Python. testdata/vectors.json holds boxes
// made by this package and by testdata/read_vectors.py, which shares no code with it, for all later versions to open.
package intake
