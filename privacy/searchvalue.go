package privacy

// An inquiry is what a value that only searches asks for.
type inquiry struct {
	kind   inquiryKind
	needle func() string // hidden from dumpers, like the text of New
}

type inquiryKind uint8

const (
	askEnd inquiryKind = iota
	askStart
	askDomain
	askName
)

func (k inquiryKind) String() string {
	return [...]string{"EndsWith", "StartsWith", "AtDomain", "Match"}[k]
}

// shownSearch is how a value that only searches is printed.
const shownSearch = "[search]"

func ask(kind inquiryKind, needle string) String {
	return String{sealed{&cell{state: stateQuery, ask: &inquiry{kind, func() string { return needle }}}}}
}

// EndsWith returns a value that only searches: it finds the values that end in the needle, as the field's
// index normalises them. The field needs an index with match=last and a number no greater than the needle's
// letters or digits. It stands wherever a value of New stands in a condition, and is refused on write:
//
//	db.Where(&Customer{Phone: privacy.EndsWith("8000")}).Find(&list)
//	db.Where("phone = ?", privacy.EndsWith("8000")).Count(&n)
func EndsWith(needle string) String { return ask(askEnd, needle) }

// StartsWith is like EndsWith for the beginning of values. The field needs an index with match=prefix and a
// number, or match=first. Telephone numbers begin with their country code; a needle without + is taken for
// the beginning of a number in Config.Region.
func StartsWith(needle string) String { return ask(askStart, needle) }

// AtDomain is like EndsWith for the e-mail addresses of a domain, subdomains not included. The field needs an
// index with match=domain.
func AtDomain(domain string) String { return ask(askDomain, domain) }

// Match is like EndsWith for names: every word of the needle must be in the name, a Chinese, Japanese or
// Korean word as a sequence of its characters (王, 小明), any other as a whole word, in any order. A Latin word
// also finds the pinyin of Chinese names: initials (wxm) and syllables (wang, xiaoming, wangxiaoming). The
// field needs search=name in its own tag.
func Match(name string) String { return ask(askName, name) }

func errQuery() error {
	return refuse("value", "it only searches, so it is none to store, open or read", "use it in a condition on a sealed field, and assign privacy.New(…)")
}
