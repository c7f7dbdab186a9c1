package attach

import "errors"

var (
	// ErrUnreadable comes from Open and every read when the stored object is not the one that was sealed: cut,
	// changed, longer, another file's, or of an unknown format. Restore the object from a backup of the store.
	ErrUnreadable = errors.New("attach: file cannot be opened")

	// ErrMissing comes from Open and reads when the store has no object of that id: it was swept, or the store
	// is not the one the file was written to.
	ErrMissing = errors.New("attach: object is missing")

	// ErrTooLarge comes from Seal when the file is larger than Config.MaxSize. Nothing is stored.
	ErrTooLarge = errors.New("attach: file is too large")

	// ErrRef comes from using a Ref that refers to nothing, or that is written where its key would be seen.
	ErrRef = errors.New("attach: reference")

	// ErrSweep comes from Sweep when it would remove more than SweepConfig.Max, or the answer to its question
	// makes no sense. Nothing is removed.
	ErrSweep = errors.New("attach: sweep")
)
