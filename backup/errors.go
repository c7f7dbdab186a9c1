package backup

import "errors"

// The errors a caller may want to tell apart; everything else is a plain error
// whose text names what failed. Stores speak in fs.ErrNotExist and fs.ErrExist.
var (
	// ErrDamaged is returned by every reading method when an object of the
	// repository is missing, changed, truncated, swapped or foreign; the message
	// names it. Run Verify for the whole list, and restore another snapshot or
	// from another copy of the store.
	ErrDamaged = errors.New("backup: repository is damaged")
	// ErrWrongKEK is returned by Open when the key encryption key does not open
	// the repository's keys. Give the key the repository was made with.
	ErrWrongKEK = errors.New("backup: the key encryption key does not open this repository")
	// ErrNotEmpty is returned by Restore when the target already holds a table
	// that would be restored. Restore into a new database.
	ErrNotEmpty = errors.New("backup: restore target is not empty")
	// ErrUnsupported is returned by Run and Restore for what cannot be copied
	// exactly; the message names the table or engine and what to do.
	ErrUnsupported = errors.New("backup: cannot be copied exactly")
	// ErrNoSnapshot is returned by Verify and Restore when there is no snapshot of
	// that number. List says which there are.
	ErrNoSnapshot = errors.New("backup: no such snapshot")
)
