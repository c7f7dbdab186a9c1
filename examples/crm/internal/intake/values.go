package intake

import (
	"errors"
	"net/mail"
	"strconv"
	"strings"
	"time"
)

// date reads the forms that CRM exports write.
func date(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02", "2006/01/02", "02.01.2006"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("is not a date; write 2026-01-31")
}

// cents reads an amount of money without ever going through floating point.
func cents(s string) (int64, error) {
	bad := errors.New("is not an amount; write 12.34")
	digits, negative := strings.CutPrefix(s, "-")
	whole, part, point := strings.Cut(strings.Replace(digits, ",", ".", 1), ".")
	if whole == "" || len(whole) > 12 || len(part) > 2 || point && part == "" {
		return 0, bad
	}
	n, err := strconv.ParseUint(whole+(part + "00")[:2], 10, 63)
	if err != nil {
		return 0, bad
	}
	if negative {
		return -int64(n), nil
	}
	return int64(n), nil
}

// identifier checks a key that comes from outside.
func identifier(s string) error {
	if len(s) > 36 || strings.IndexFunc(s, func(r rune) bool {
		return !(r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_')
	}) >= 0 {
		return errors.New("is not an id; use up to 36 letters, digits, - and _")
	}
	return nil
}

func email(s string) error {
	if a, err := mail.ParseAddress(s); err != nil || a.Address != s {
		return errors.New("is not an e-mail address; write name@example.com")
	}
	return nil
}

// short checks values that stand in bounded columns.
func short(s string, most int) error {
	if len(s) > most {
		return errors.New("is longer than " + strconv.Itoa(most) + " bytes; shorten it")
	}
	return nil
}
