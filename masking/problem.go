package masking

import "errors"

// maskError returns err with the personal data in its text masked. errors.Is and errors.As still see err.
func (p Policy) maskError(err error, l Level) error {
	if err == nil || l == Full {
		return err
	}
	text := err.Error()
	masked := string(appendText(nil, text, p, l))
	if masked == text {
		return err
	}
	return &maskedError{masked, err}
}

type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string { return e.text }

// Is and As look at the original; there is no Unwrap, because what prints a chain would print it.
func (e *maskedError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *maskedError) As(target any) bool   { return errors.As(e.err, target) }
