package privacy

import (
	"context"
	"fmt"

	"github.com/confide-go/confide/masking"
)

type state uint8

const (
	stateNull   state = iota + 1 // the database's NULL, or a value set to it
	statePlain                   // made by New, not saved yet
	stateSealed                  // read past the plugin: ciphertext, row unknown
	stateBound                   // ciphertext whose row and key are known
	stateErased                  // the person was erased
	stateBroken                  // cannot be opened, and it is known why
	stateQuery                   // searches only, see EndsWith
)

// A cell is one sealed value. It never changes: sealing or binding makes a new cell. Copies of a String
// share it. A nil cell is an absent value: never set, not read.
type cell struct {
	state state
	// plain is what the program itself handed to New. It hides in a closure because dumpers that walk
	// unexported fields by reflection (spew, pretty printers, crash reporters) stop at functions.
	plain func() []byte
	form  form // of plain
	box   []byte
	at    place
	key   *subjectKey
	why   error
	ask   *inquiry
}

// A place is what a ciphertext is bound to.
type place struct {
	vault   *Vault
	field   *sealedField
	tenant  string
	row     string
	subject string
}

// aad is the associated data of a cell of that version. No row has the empty id, so a value with bind=column
// opens as no other kind.
func (p place) aad(version byte) []byte {
	if version == cellPadded {
		return encode("confide.cell.padded", p.tenant, p.field.logical, p.boundRow(), p.subject)
	}
	return cellAAD(p.tenant, p.field.logical, p.boundRow(), p.subject)
}

func (p place) boundRow() string {
	if p.field.anyRow {
		return ""
	}
	return p.row
}

// is compares what the associated data holds.
func (p place) is(q place) bool {
	return p.field != nil && q.field != nil && p.field.logical == q.field.logical &&
		p.tenant == q.tenant && p.boundRow() == q.boundRow() && p.subject == q.subject
}

func plainCell(b []byte, f form) *cell {
	return &cell{state: statePlain, plain: func() []byte { return b }, form: f}
}

// brokenCell is a value that could not even be made.
func brokenCell(why error) *cell { return &cell{state: stateBroken, why: why} }

// holds returns the form of the value, if it is known.
func (c *cell) holds() form {
	if c.at.field != nil {
		return c.at.field.form
	}
	return c.form
}

func nullCell() *cell { return &cell{state: stateNull} }

func scannedCell(src any) (*cell, error) {
	switch v := src.(type) {
	case nil:
		return nullCell(), nil
	case []byte:
		return &cell{state: stateSealed, box: append([]byte(nil), v...)}, nil
	case string:
		return &cell{state: stateSealed, box: []byte(v)}, nil
	}
	return nil, fmt.Errorf("privacy: a sealed column holds bytes, not %T; is the column's type the one that Migrate creates?", src)
}

// driverValue is what database/sql stores. It must be pure: GORM calls it to run a statement and again to
// log it.
func (c *cell) driverValue() (any, error) {
	if c == nil {
		return nil, nil
	}
	switch c.state {
	case stateNull:
		return nil, nil
	case stateBound, stateSealed:
		return c.box, nil
	case stateErased:
		return nil, ErrErased
	case stateBroken:
		return nil, c.why
	case stateQuery:
		return nil, errQuery()
	}
	return nil, fmt.Errorf("%w: it was never sealed; register the vault with db.Use and write through its models", ErrUnbound)
}

// open returns the value without asking anybody. It does no I/O.
func (c *cell) open() ([]byte, error) {
	switch {
	case c == nil || c.state == stateNull:
		return nil, fmt.Errorf("%w: there is no value", ErrUnbound)
	case c.state == stateQuery:
		return nil, errQuery()
	case c.plain != nil:
		return c.plain(), nil
	case c.state == stateBound:
		return c.key.open(c.box, c.at)
	case c.state == stateErased:
		return nil, ErrErased
	case c.state == stateBroken:
		return nil, c.why
	}
	return nil, fmt.Errorf("%w: it was read past the plugin; load the row with Find, First or Take, with its key columns", ErrUnbound)
}

// What the states look like to somebody who may not see the value.
const (
	shownSealed     = "[sealed]"
	shownErased     = "[erased]"
	shownUnreadable = "[unreadable]"
)

// text is how fmt, slog, JSON and templates see the value.
func (c *cell) text(level masking.Level) string {
	if c == nil || c.state == stateNull {
		return ""
	}
	switch c.state {
	case stateErased:
		return shownErased
	case stateBroken:
		return shownUnreadable
	case stateQuery:
		return shownSearch
	case stateBound:
		if c.at.field.kind == "" || level < masking.Partial {
			return shownSealed
		}
		b, err := c.open()
		if err != nil {
			return shownUnreadable
		}
		return masking.Mask(c.at.field.kind, masking.Partial, string(b))
	}
	return shownSealed
}

// reveal is the one way out: gate, open, log, and only then the value.
func (c *cell) reveal(ctx context.Context, purpose string) ([]byte, error) {
	if c == nil || c.state == stateNull || c.at.vault == nil {
		_, err := c.openForReveal()
		return nil, err
	}
	values, err := c.at.vault.reveal(ctx, purpose, []*cell{c})
	if err != nil {
		return nil, err
	}
	return values[0], nil
}

func (c *cell) openForReveal() ([]byte, error) {
	if c != nil && c.state == statePlain {
		return nil, fmt.Errorf("%w: it is not saved yet; Create or Save its row first", ErrUnbound)
	}
	return c.open()
}
