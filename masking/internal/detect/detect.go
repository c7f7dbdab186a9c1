// Package detect finds personal data in free text in one pass, without regular expressions.
package detect

// Kind is what was found.
type Kind uint8

const (
	Phone Kind = iota + 1
	Email
	ID
	Card
)

// Span is one find: text[Start:End] of the original.
type Span struct {
	Start, End int
	Kind       Kind
}
