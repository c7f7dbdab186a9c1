package masking

import "errors"

var (
	// ErrUnknown is returned by ParseKind, ParseLevel, Check and Copy for a word that is not a kind or a
	// level. Correct the tag or the setting; nothing was masked by guess.
	ErrUnknown = errors.New("unknown word")
	// ErrField is returned by Check and Copy for a field that cannot hold what its tag asks: a number, an
	// unexported field, a value nested too deep. Change the field's type or its tag.
	ErrField = errors.New("field cannot be masked")
	// ErrUntagged is returned by Check for a field that looks personal and has no tag. Add a kind, or
	// mask:"-" to declare it harmless.
	ErrUntagged = errors.New("field looks personal and has no mask tag")
	// ErrSyntax is returned for input that is not valid JSON. Nothing of the input is returned with it.
	ErrSyntax = errors.New("not valid JSON")
)

// clip shortens a word for an error message: a tag is program text, but not every caller's word is.
func clip(s string) string {
	const most = 24
	for i := range s {
		if i >= most {
			return s[:i] + "…"
		}
	}
	return s
}
