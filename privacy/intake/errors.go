package intake

import "errors"

var (
	// ErrBox comes from ParseBox, Scan and opening when the bytes are no box of a version that this program
	// knows. Ask who sent them for a box after FORMAT.md.
	ErrBox = errors.New("intake: not a box")

	// ErrKey comes from parsing keys, and from opening a box whose key is not among the keys. Load the keys of
	// the time when it was sealed.
	ErrKey = errors.New("intake: key")

	// ErrUnreadable comes from opening a box that was damaged, or sealed for another form, tenant or submission.
	// Nothing can be done but ask for the data again.
	ErrUnreadable = errors.New("intake: box cannot be opened")

	// ErrTooLarge comes from Seal and ParseBox for more than MaxSize bytes.
	ErrTooLarge = errors.New("intake: too large")

	// ErrAccepted comes from Accept for a submission that was accepted before. Delete the row.
	ErrAccepted = errors.New("intake: submission was accepted before")
)
