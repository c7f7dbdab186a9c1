package masking

import (
	"context"
	"errors"
)

// Error returns err with the personal data in its text masked for the caller in ctx. errors.Is and
// errors.As still see the original; its text is not reachable by unwrapping.
func (p Policy) Error(ctx context.Context, err error) error { return p.maskError(err, p.level(ctx)) }

func (p Policy) maskError(err error, l Level) error {
	if err == nil || l == Full {
		return err
	}
	text := err.Error()
	if clean(text) {
		return err
	}
	return &maskedError{string(appendText(nil, text, p, l)), err}
}

type maskedError struct {
	text string
	err  error
}

func (e *maskedError) Error() string        { return e.text }
func (e *maskedError) Is(target error) bool { return errors.Is(e.err, target) }
func (e *maskedError) As(target any) bool   { return errors.As(e.err, target) }
