package masking

// fixed is shown wherever nothing of a value may be seen. Its length says nothing about the value.
const fixed = "******"

// Mask shows s, a value of kind k, at level l by the Screen conventions. A value that does not look like
// its kind, and any value of an unknown kind, becomes ******.
func Mask(k Kind, l Level, s string) string {
	if l == Full && known(k) {
		return toValid(s)
	}
	if k == KindText && l == Partial {
		return Policy{}.text(s, l)
	}
	var buf [64]byte
	return string(AppendMask(buf[:0], k, l, s))
}

// AppendMask appends what Mask returns to dst.
func AppendMask(dst []byte, k Kind, l Level, s string) []byte {
	return Policy{}.append(dst, k, l, s)
}

func (p Policy) append(dst []byte, k Kind, l Level, s string) []byte {
	if k == KindText && (l == Partial || l == Token && p.Tokens != nil) {
		return appendText(dst, s, p, l)
	}
	return p.appendValue(dst, k, l, s)
}

// appendValue is append for a value that is no text. It stays apart so that the compiler sees that dst does
// not escape.
func (p Policy) appendValue(dst []byte, k Kind, l Level, s string) []byte {
	switch l {
	case Full:
		if known(k) {
			return appendValid(dst, s)
		}
	case Partial:
		return appendPartial(dst, k, p.Profile.orStrict(), s)
	case Token:
		if p.Tokens != nil && known(k) {
			return append(dst, p.Tokens.Token(k, s)...)
		}
	}
	return append(dst, fixed...)
}

func known(k Kind) bool {
	for _, have := range kinds {
		if k == have {
			return true
		}
	}
	return false
}

// appendPartial is the one list of how each kind is shown.
func appendPartial(dst []byte, k Kind, p Profile, s string) []byte {
	if s == "" && known(k) {
		return dst
	}
	switch k {
	case KindPhone:
		return appendPhone(dst, s, p)
	case KindEmail:
		return appendEmail(dst, s, p)
	case KindName:
		return appendName(dst, s, p)
	case KindID:
		return appendID(dst, s, p)
	case KindCard:
		return appendCard(dst, s, p)
	case KindAddress:
		return appendAddress(dst, s, p)
	default:
		return appendOther(dst, k, p, s)
	}
}
