package masking

import (
	"context"
	"fmt"
)

// Format returns v for printing: under every verb of package fmt it shows what the caller in ctx may see.
// Structs are masked by their tags, text by what is found in it.
//
//	fmt.Printf("%+v\n", policy.Format(ctx, customer))
func (p Policy) Format(ctx context.Context, v any) fmt.Formatter {
	return formatted{p, p.level(ctx), v}
}

type formatted struct {
	p     Policy
	level Level
	v     any
}

func (f formatted) Format(s fmt.State, verb rune) {
	format := fmt.FormatString(s, verb)
	if f.level == Full {
		fmt.Fprintf(s, format, f.v)
		return
	}
	v, err := copyAny(f.p, f.level, &planner{}, "", f.v)
	if err != nil {
		_, _ = s.Write([]byte(fixed))
		return
	}
	_, _ = s.Write(appendText(nil, fmt.Sprintf(format, v), f.p, f.level))
}
