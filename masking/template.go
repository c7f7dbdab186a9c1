package masking

import (
	"context"
	"fmt"
)

// Funcs returns the functions mask and masktext for html/template and text/template:
//
//	{{mask "phone" .Phone}}   {{masktext .Note}}
//
// A word that is no kind stops the template.
func (p Policy) Funcs(ctx context.Context) map[string]any {
	return map[string]any{
		"mask": func(kind string, v any) (string, error) {
			k, err := ParseKind(kind)
			if err != nil {
				return "", err
			}
			return p.show(p.level(ctx), k, v), nil
		},
		"masktext": func(v any) string { return p.show(p.level(ctx), KindText, v) },
	}
}

// show masks whatever a template holds.
func (p Policy) show(l Level, k Kind, v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case Masker:
		return x.MaskAt(min(l, Partial))
	case Shown:
		return x.Text
	case string:
		return string(p.append(nil, k, l, x))
	case *string:
		if x == nil {
			return ""
		}
		return string(p.append(nil, k, l, *x))
	}
	return string(p.append(nil, k, l, fmt.Sprint(v)))
}
