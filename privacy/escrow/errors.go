package escrow

import "errors"

var (
	// ErrDamaged comes from reading a file or line that is not what was written. Take another copy.
	ErrDamaged = errors.New("escrow: damaged")
	// ErrRecipients comes from opening an escrow with identities that are too few or not its own.
	ErrRecipients = errors.New("escrow: recipients")
	// ErrExposed comes from reading a file that others than its owner could have read.
	ErrExposed = errors.New("escrow: readable by others")
	// ErrNotCovered comes from Drill and Recover when the escrow does not open all of the database: the
	// report says what.
	ErrNotCovered = errors.New("escrow: does not cover the database")
)
