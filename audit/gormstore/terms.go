package gormstore

import (
	"iter"

	"github.com/confide-go/confide/audit"
)

// A term is one thing the row index knows about an entry: that it is about a
// row of a resource, or one of the things below, under the name of a resource that
// no program can have.
type term struct{ resource, row string }

const (
	ofSubject  = "#subject"
	ofPurpose  = "#purpose"
	ofDataType = "#datatype"
	ofChannel  = "#channel"
)

func terms(x audit.Index) iter.Seq[term] {
	return func(yield func(term) bool) {
		for _, row := range x.Rows {
			if !yield(term{x.Resource, row}) {
				return
			}
		}
		for _, t := range x.DataTypes {
			if !yield(term{ofDataType, t}) {
				return
			}
		}
		for _, t := range []term{{ofSubject, x.Subject}, {ofPurpose, x.Purpose}, {ofChannel, x.Channel}} {
			if t.row != "" && !yield(t) {
				return
			}
		}
	}
}

// addTerm is the inverse of terms. What cannot come from there becomes a value
// that no event has, so that the verifier sees it.
func addTerm(x *audit.Index, t term) {
	one := func(have *string) {
		if *have != "" {
			t.row = *have + "\x00" + t.row
		}
		*have = t.row
	}
	switch t.resource {
	case ofSubject:
		one(&x.Subject)
	case ofPurpose:
		one(&x.Purpose)
	case ofChannel:
		one(&x.Channel)
	case ofDataType:
		x.DataTypes = append(x.DataTypes, t.row)
	case x.Resource:
		x.Rows = append(x.Rows, t.row)
	default: // a false trail
		x.Rows = append(x.Rows, t.resource+"\x00"+t.row)
	}
}

// termsOf lists what a selection asks of the row index, the rarest first.
func termsOf(sel audit.Selection) []term {
	var list []term
	for _, t := range []term{{sel.Resource, sel.Row}, {ofSubject, sel.Subject}, {ofPurpose, sel.Purpose}, {ofDataType, sel.DataType}, {ofChannel, sel.Channel}} {
		if t.row != "" {
			list = append(list, t)
		}
	}
	return list
}

// drives tells whether a term leads to fewer entries than the columns of the
// selection do. A data type or a channel has very many.
func drives(t term, sel audit.Selection) bool {
	common := t.resource == ofDataType || t.resource == ofChannel
	return !common || sel.Actor == "" && sel.Action == "" && sel.Since == 0
}
