package masking

import "context"

// Policy is how one application masks: one value, used at every exit. The zero Policy shows values
// partly, by the Screen conventions. Set its fields once; every exit keeps its own copy.
type Policy struct {
	// Profile chooses between the conventions for Partial.
	Profile Profile
	// Level decides how much the caller in ctx may see. Nil means Partial.
	Level func(ctx context.Context) Level
	// Tokens makes the pseudonyms of level Token. Without it that level shows ******.
	Tokens Tokenizer
}

// Tokenizer replaces a value by a pseudonym. Package pseudonym has one.
type Tokenizer interface {
	Token(k Kind, value string) string
}

// Masker is a value that knows how to show itself, such as an encrypted field. It never shows more than
// Partial, whatever level is asked for.
type Masker interface {
	MaskAt(l Level) string
}

func (p Policy) level(ctx context.Context) Level {
	if p.Level == nil {
		return Partial
	}
	if ctx == nil {
		ctx = context.Background()
	}
	return p.Level(ctx)
}

// Mask shows s, a value of kind k, to the caller in ctx.
func (p Policy) Mask(ctx context.Context, k Kind, s string) string {
	var buf [64]byte
	return string(p.append(buf[:0], k, p.level(ctx), s))
}
