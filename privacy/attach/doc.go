// Package attach keeps files of a person sealed: contracts, photographs of identity cards. A file is sealed in
// segments under a key of its own, so that any part of it can be read without the rest, and lies in a Store. The
// key lies in the person's row as a privacy.Value: who erases the person makes the file unreadable.
//
//	type Document struct {
//		ID         string                     `gorm:"primaryKey"`
//		CustomerID string                     `privacy:"subject=customer"`
//		Object     string                     // names the object in the store, for Sweep
//		File       privacy.Value[attach.Ref]
//	}
//
// # The three calls
//
//	files, err := attach.New(attach.Config{Store: store})
//	ref, err := files.Seal(ctx, "contract.pdf", upload)    // first the object,
//	err = db.Create(&Document{ID: id, CustomerID: c, Object: ref.ID(), File: ref.Sealed()}).Error // then its row
//
// and back, through the vault's gate and into its record:
//
//	ref, err := doc.File.Reveal(ctx, "check the signature")
//	file, err := files.Open(ctx, ref)
//	defer file.Close()
//	file.ServeHTTP(w, r)
//
// A Reader is an io.ReaderAt and an io.ReadSeeker, and an http.Handler that serves ranges as a download.
//
// # What you must supply
//
// A Store: OpenDir for a directory, or four methods over an object store that pass attachtest.TestStore. The
// column Object in clear, which is random and says nothing: Sweep asks your database which of the ids it found
// are still wanted, because it cannot and must not open the sealed references. Empty the column, or delete the
// row, when the person is erased. Run Sweep now and then, with a grace time longer than any request between
// Seal and the commit of the row.
//
// # What is bound to what
//
// The reference is bound, as every privacy.Value, to tenant, field, row and person, so that moving it to another
// row does not open. Each segment is bound to object id, segment size, its number, whether it is the last, and
// the last to the size of the file. Cutting, swapping, appending and changing are found; a read verifies what it
// touches, Open verifies the header and the last segment, so that a file of the wrong length is found before its
// first byte is served, and Reader.Verify reads all and compares the SHA-256.
//
// # What is not protected
//
// The size of a file, to a few bytes, the time it was written and read. That the object is deleted: then the file
// is gone, and reading says ErrMissing. An older object cannot be put in the place of a newer one, because each
// has its own id and key. Content: a virus stays one; nothing here looks into files but for the first 512 bytes,
// which tell the content type. A process that has revealed a Ref can read the file until the Ref is forgotten.
// Copies of objects in the store's own versions and backups stay, sealed under a key that the erased person's row
// can no longer open.
//
// # How it fails
//
// Closed. No byte is handed out that was not verified; a Read that fails returns the verified bytes before the
// damage and the error. An upload that breaks off, also with io.ErrUnexpectedEOF, leaves no object. A Ref that
// is not stored through Ref.Sealed cannot be marshalled at all, and so neither printed nor stored by accident. No
// error holds a name, a key or content.
//
// # Format and compatibility
//
// FORMAT.md describes every byte; testdata/vectors.json holds files of each format that all later versions must
// read, and testdata/read_vectors.py reads them with nothing of this module.
package attach
