package intake

import (
	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/privacy"
)

// A change collects which columns of a stored row a sheet's row alters, so that
// an update touches these only and an import of the same file touches nothing.
type change struct {
	values  map[string]string
	columns []string
}

// plain sets *to if the sheet has the field with another value.
func (c *change) plain(field string, to *string) {
	if v, ok := c.values[field]; ok && v != *to {
		*to = v
		c.columns = append(c.columns, field)
	}
}

// set records that a column has been set to something the sheet implies.
func (c *change) set(column string, changed bool) {
	if changed {
		c.columns = append(c.columns, column)
	}
}

// sealed does what plain does for sealed fields, without revealing them.
func (c *change) sealed(of func(field string) *privacy.String, fields ...string) {
	for _, field := range fields {
		v, ok := c.values[field]
		if !ok {
			continue
		}
		to, want := of(field), book.Value(v)
		if !to.Equal(want) {
			*to = want
			c.columns = append(c.columns, field)
		}
	}
}
