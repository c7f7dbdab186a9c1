package privacy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking"
)

var errNoGob = errors.New("privacy: gob cannot carry a sealed value; carry the row's id and load it")

// holder is what all sealed types have in common.
type holder interface {
	form() form
	sealedCell() *cell
	setSealedCell(*cell)
}

func (c *cell) valid() bool {
	return c != nil && c.state != stateNull && c.state != stateErased && c.state != stateQuery
}

func (c *cell) goString() string { return "privacy(" + c.text(masking.Partial) + ")" }

// format serves every verb: a %d or %x of a sealed value is a mask too.
func (c *cell) format(f fmt.State, verb rune) {
	text := c.text(masking.Partial)
	if verb == 'q' {
		text = fmt.Sprintf("%q", text)
	} else if verb == 'v' && f.Flag('#') {
		text = c.goString()
	}
	pad := ""
	if w, ok := f.Width(); ok {
		pad = strings.Repeat(" ", max(0, w-utf8.RuneCountInString(text)))
	}
	if f.Flag('-') {
		text, pad = text+pad, ""
	}
	_, _ = io.WriteString(f, pad+text)
}

func (c *cell) marshalJSON() ([]byte, error) {
	if c == nil || c.state == stateNull {
		return []byte("null"), nil
	}
	return json.Marshal(masking.Shown{Text: c.text(masking.Partial), Level: masking.Partial})
}

// isMask reports whether data is what marshalJSON writes.
func isMask(data []byte) bool {
	var m struct {
		Masked *bool `json:"masked"`
	}
	return json.Unmarshal(data, &m) == nil && m.Masked != nil
}
