package audit

import "errors"

// The errors of this package. Test for them with errors.Is: they come wrapped
// in a sentence that names what failed and what to do.
var (
	// ErrInvalid is returned by Open, Record, RecordApart and Events for input
	// that can never work: fix the call, retrying is useless.
	ErrInvalid = errors.New("audit: invalid")

	// ErrFull is returned by Record and RecordApart when the queue of events
	// that wait for the database is full. The event was not taken: treat it as
	// "the log cannot be written" and refuse the act.
	ErrFull = errors.New("audit: queue full")

	// ErrClosed is returned by Record and RecordApart after Close. Seal still works,
	// so that a program can close, seal and leave.
	ErrClosed = errors.New("audit: closed")

	// ErrConflict is returned by Store.Commit when another sealer was faster,
	// and by Seal when it keeps happening: then a row stands where the next
	// entry belongs, and Verify names it.
	ErrConflict = errors.New("audit: conflict")

	// ErrTampered is returned by Seal and Events when stored bytes are not what
	// this log wrote. Seal still seals everything it can vouch for. Run Verify.
	ErrTampered = errors.New("audit: tampered")
)
