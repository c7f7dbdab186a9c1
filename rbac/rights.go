package rbac

import (
	"fmt"
	"strings"

	"github.com/confide-go/confide/masking"
)

// Right is a set of uses of a field that tell something of its values, whatever is shown of them. Combine
// rights with |. Each is asked for by itself: who may match by a field may not therefore sort by it.
type Right uint8

const (
	// Match finds rows by equality: =, <>, IN, IS NULL, a join's ON, the target of an upsert. A blind index
	// is matched with the right of the field it is made of, so that Match on a sealed phone number is what
	// a search by phone number needs.
	Match Right = 1 << iota
	// Range is every other condition: <, BETWEEN, LIKE, functions of the field. A few hundred of them find
	// out a value, so it is given together with Match.
	Range
	// Sort is ORDER BY, DISTINCT and the order of a window. The order of a masked field tells where between
	// two known values each one lies.
	Sort
	// Aggregate is GROUP BY, HAVING, PARTITION BY and COUNT, MIN, MAX, SUM and AVG of the field. A group of
	// one row gives its value away.
	Aggregate
	// Export lets the field, as it is shown, into files that leave the application (View.Export).
	Export
	// ShowOnly, alone, gives none of the others: for a field at Full that shall not leave, say.
	ShowOnly

	allRights = Match | Range | Sort | Aggregate | Export
)

var rightNames = []struct {
	right Right
	name  string
}{{Match, "match"}, {Range, "range"}, {Sort, "sort"}, {Aggregate, "aggregate"}, {Export, "export"}, {ShowOnly, "show_only"}}

// ParseRight reads what String writes: "match", or several as "match,sort".
func ParseRight(s string) (Right, error) {
	var all Right
	for part := range strings.SplitSeq(s, ",") {
		var one Right
		for _, n := range rightNames {
			if n.name == part {
				one = n.right
			}
		}
		if one == 0 || all&one != 0 {
			return 0, fmt.Errorf("rbac: %q holds no list of rights: name each of match, range, sort, aggregate, export once, or show_only alone", s)
		}
		all |= one
	}
	return all, nil
}

// String returns the names, joined by commas; "" for none.
func (r Right) String() string {
	var names []string
	for _, n := range rightNames {
		if r&n.right != 0 {
			names = append(names, n.name)
		}
	}
	if odd := r &^ (allRights | ShowOnly); odd != 0 {
		names = append(names, fmt.Sprintf("Right(%d)", uint8(odd)))
	}
	return strings.Join(names, ",")
}

// MarshalText writes the names.
func (r Right) MarshalText() ([]byte, error) {
	if r&^(allRights|ShowOnly) != 0 {
		return nil, fmt.Errorf("rbac: %v is not a right", r)
	}
	return []byte(r.String()), nil
}

// UnmarshalText reads what MarshalText writes. After an error there is no right.
func (r *Right) UnmarshalText(text []byte) (err error) {
	if *r = 0; len(text) > 0 {
		*r, err = ParseRight(string(text))
	}
	return err
}

// rights returns what a rule gives where it holds: what it names, or else everything at Full and nothing
// below.
func (f *FieldRule) rights() Right {
	switch {
	case f.Rights != 0:
		return f.Rights & allRights
	case f.Level == masking.Full:
		return allRights
	}
	return 0
}

// checkRights refuses rights that give less, or more, than they seem to.
func (f *FieldRule) checkRights(col *column) error {
	switch {
	case f.Rights&^(allRights|ShowOnly) != 0:
		return fmt.Errorf("%v is not a right", f.Rights)
	case f.Rights&ShowOnly != 0 && f.Rights != ShowOnly:
		return fmt.Errorf("show_only stands alone: leave it out, or the others")
	case f.Rights&Range != 0 && f.Rights&Match == 0:
		return fmt.Errorf("range without match: who may compare by < finds every value out, so give both")
	case f.Rights == 0 || col == nil:
		return nil
	case col.match != nil:
		return fmt.Errorf("is the blind index of %s: give the right on %[1]s", col.match.name)
	case col.sealed && f.Rights&(Sort|Range) != 0:
		return fmt.Errorf("is sealed: the database knows no order of it, so neither sort nor range can be given")
	}
	return nil
}

// FieldRefused is the refusal of one use of one field. It matches ErrRefused and holds no value of a row.
type FieldRefused struct {
	Resource string
	Field    string
	Right    Right // the right that is missing; 0 if only seeing the field in full on every row would do
	Some     bool  // the caller has it on some rows, but the statement could reach others
	Version  int64 // of the policy that decided
}

func (f *FieldRefused) Error() string {
	name := f.Resource + "." + f.Field
	var what, remedy string
	switch {
	case f.Right == 0:
		what = fmt.Sprintf("an expression hands on %s, which the caller does not see in full on every row", name)
		remedy = "select the column by itself and render it with View"
	case f.Some:
		what = fmt.Sprintf("the caller may %s %s on some rows only", f.Right.verb(), name)
		remedy = fmt.Sprintf("keep the statement to them by rbac.Narrow(ctx, rbac.%s, %q)", f.Right.goName(), name)
	default:
		what = fmt.Sprintf("the caller may not %s %s", f.Right.verb(), name)
		remedy = fmt.Sprintf("leave it out, or give a role of the caller rbac.%s in the Rights of a field rule", f.Right.goName())
	}
	return fmt.Sprintf("rbac: %v: %s: %s (policy version %d)", ErrRefused, what, remedy, f.Version)
}

// Is makes errors.Is(err, ErrRefused) true.
func (f *FieldRefused) Is(target error) bool { return target == ErrRefused }

func (r Right) verb() string {
	switch r {
	case Match:
		return "find rows by"
	case Range:
		return "compare other than by equality with"
	case Sort:
		return "sort by"
	case Aggregate:
		return "group or aggregate by"
	}
	return "export"
}

func (r Right) goName() string {
	s := r.String()
	return strings.ToUpper(s[:1]) + s[1:]
}
