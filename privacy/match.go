package privacy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A matcher says which part of a value an index is made of. The zero matcher takes the whole value.
type matcher struct {
	kind matchKind
	n    int // runes, of a prefix or suffix
}

type matchKind uint8

const (
	matchWhole matchKind = iota
	matchLast
	matchPrefix
	matchDomain
)

// parseMatch reads match= of a tag.
func parseMatch(text string) (matcher, error) {
	switch text {
	case "", "whole":
		return matcher{}, nil
	case "domain":
		return matcher{kind: matchDomain}, nil
	case "first":
		return matcher{matchPrefix, 1}, nil
	}
	for _, k := range []struct {
		name string
		kind matchKind
	}{{"last", matchLast}, {"prefix", matchPrefix}} {
		digits, ok := strings.CutPrefix(text, k.name)
		if n, err := strconv.Atoi(digits); ok && err == nil && n >= 1 && n <= 32 && digits == strconv.Itoa(n) {
			return matcher{k.kind, n}, nil
		}
	}
	return matcher{}, fmt.Errorf("match=%s is unknown; write last4, prefix3 (with a number from 1 to 32), first or domain", text)
}

// name is how the matcher stands in what is indexed.
func (m matcher) name() string {
	switch m.kind {
	case matchLast:
		return fmt.Sprintf("last%d/1", m.n)
	case matchPrefix:
		return fmt.Sprintf("prefix%d/1", m.n)
	case matchDomain:
		return "domain/1"
	}
	return "whole/1"
}

// part returns the part of a searchable text that is indexed, and false if the text is too short to have one.
func (m matcher) part(text string) (string, bool) {
	switch m.kind {
	case matchLast:
		if n := utf8.RuneCountInString(text); n >= m.n {
			return string([]rune(text)[n-m.n:]), true
		}
		return "", false
	case matchPrefix:
		if utf8.RuneCountInString(text) >= m.n {
			return string([]rune(text)[:m.n]), true
		}
		return "", false
	case matchDomain:
		at := strings.LastIndexByte(text, '@')
		if at < 0 {
			return "", false
		}
		domain := strings.TrimSuffix(text[at+1:], ".")
		return domain, domain != ""
	}
	return text, true
}

// searchable is the text that parts are taken from: the normal form, of a telephone number without its
// extension.
func (x *indexField) searchable(value, region string) string {
	text := x.norm.apply(value, region)
	switch base := x.norm.base(); {
	case (base == "phone" || base == "digits") && strings.HasPrefix(text, "text:"):
		return ""
	case base == "phone":
		text, _, _ = strings.Cut(text, "x")
	}
	return text
}

// isWhole reports whether the index is of the oldest kind: the whole value, with all bits.
func (x *indexField) isWhole() bool { return x.match.kind == matchWhole && x.bits == 0 }

// form returns what of a value goes into its index. A value without the part has a form too, so that every
// value has an index and NOT finds it.
func (x *indexField) form(value, region string) string {
	switch {
	case x.match.kind == matchWhole:
		return x.norm.apply(value, region)
	default:
		part, ok := x.match.part(x.searchable(value, region))
		return partForm(part, ok)
	}
}

func partForm(part string, ok bool) string {
	if !ok {
		return "-"
	}
	return "+" + part
}

// input is what the index key is applied to. Each kind of index has a domain of its own: the last four digits
// of one value must not look like the whole of another.
func (x *indexField) input(tenant, form string) []byte {
	if x.isWhole() {
		return indexInput(tenant, x, form)
	}
	return encode("confide.index.part", tenant, x.of.logical, x.match.name(), strconv.Itoa(x.bits), x.norm.name, form)
}

// cell makes the stored cell of a pseudonym.
func (x *indexField) cell(sum []byte) Index {
	if x.bits == 0 {
		return append(Index{indexVersion}, sum...)
	}
	n := (x.bits + 7) / 8
	out := append(Index{bucketVersion, byte(x.bits)}, sum[:n]...)
	if odd := x.bits % 8; odd != 0 {
		out[len(out)-1] &= 0xFF << (8 - odd)
	}
	return out
}

// head and size describe the cells of the column for its CHECK constraint.
func (x *indexField) head() string {
	if x.bits == 0 {
		return fmt.Sprintf("%02X", indexVersion)
	}
	return fmt.Sprintf("%02X%02X", bucketVersion, x.bits)
}

func (x *indexField) size() int {
	if x.bits == 0 {
		return indexSize
	}
	return 2 + (x.bits+7)/8
}

// indexTag is how an index is declared, for errors.
func indexTag(f *sealedField, norm, match string) string {
	name := f.field.Name + "Index"
	more := ""
	if match != "" && match != "whole" {
		name = f.field.Name + strings.ToUpper(match[:1]) + match[1:]
		more = ",match=" + match
	}
	return name + " privacy.Index `gorm:\"index\" privacy:\"of=" + f.field.Name + ",norm=" + norm + more + "\"`"
}

// declare reads match= and bits= of an index's tag.
func (x *indexField) declare(tag map[string]string) error {
	var err error
	if x.match, err = parseMatch(tag["match"]); err != nil {
		return err
	}
	if x.match.kind == matchDomain && x.norm.base() != "email" {
		return fmt.Errorf("match=domain is the domain of an e-mail address; write norm=email")
	}
	if text, ok := tag["bits"]; ok {
		if x.bits, err = strconv.Atoi(text); err != nil || x.bits < 1 || x.bits > 64 || text != strconv.Itoa(x.bits) {
			return fmt.Errorf("bits=%s is no width; write a number from 1 to 64, see Advise", text)
		}
	}
	if x.bits != 0 || x.match.kind != matchWhole {
		for _, i := range x.of.model.unique {
			for _, o := range i.Fields {
				if o.Field == x.field {
					return fmt.Errorf("different values share a cell of it, so it cannot be unique; make an index of the whole value without bits= unique")
				}
			}
		}
	}
	return nil
}
