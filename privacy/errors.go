package privacy

import "errors"

var (
	// ErrRefused is wrapped by every statement the plugin will not run and every declaration it will not
	// accept, because running it would store, search or hand out the wrong thing. The text, and Refusal
	// through errors.As, name the field and what to write instead.
	ErrRefused = errors.New("privacy: refused")

	// ErrUnbound comes from Reveal, and from saving a value, when the library does not know which row the
	// value belongs to: it was never saved, or it was read past the plugin. Load the row with Find.
	ErrUnbound = errors.New("privacy: value is not bound to a row")

	// ErrUnreadable comes from Reveal, and from saving a value, when its stored form does not open: it was
	// damaged, moved from another row, field, person or tenant, or its key is gone. Restore it from a backup;
	// Doctor lists all of them.
	ErrUnreadable = errors.New("privacy: value cannot be opened")

	// ErrErased comes from reading or writing a value of a person who was erased. It is final.
	ErrErased = errors.New("privacy: person was erased")

	// ErrKey comes from Open, Migrate and the first use of a tenant's keys when the KEK does not fit the
	// database or does not enforce associated data. Nothing is read or written until it does.
	ErrKey = errors.New("privacy: key")
)

// Refusal says which field a refused statement is about, why it was refused and what to do instead.
type Refusal struct {
	Field  string // logical name such as customer.phone, or a model or table
	Why    string
	Remedy string
}

func (r *Refusal) Error() string {
	return "privacy: " + r.Field + ": " + r.Why + "; " + r.Remedy
}

// Is makes errors.Is(err, ErrRefused) true.
func (r *Refusal) Is(target error) bool { return target == ErrRefused }

func refuse(field, why, remedy string) error {
	return &Refusal{Field: field, Why: why, Remedy: remedy}
}
