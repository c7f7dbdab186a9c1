package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// What a word says about the capitalised words behind it.
const (
	iTitle  topic = 1 << iota // Mr, Frau: one word is a name, if the title is capitalised itself
	iSays                     // my name is, je m'appelle: one word
	iKin                      // wife, brother: one word, if the relation is not capitalised
	iRole                     // customer, I am: two words
	iKey                      // From:, Attn: two words behind a colon
	iClose                    // Kind regards: a line of its own
	iGreets                   // Hi: one word in front of a comma
	iDear                     // one word
	iAsk                      // name: two words, or one behind the question
)

var introductions = buildTrie([]topicList{
	{iTitle, `mr mrs ms miss mx dr prof professor herr herrn frau monsieur madame mme mlle señor señora signor signora signore dott dhr mevr mevrouw
		meneer senhor senhora sir dame rev judge mister dr._med dr._jur dr._phil prof._dr`},
	{iSays, `name_is named name's je_m'appelle me_llamo mi_chiamo ich_heisse ich_heiße mein_name_ist meu_nome_é my_names`},
	{iKin, `wife husband son daughter brother sister spouse uncle aunt cousin nephew niece boyfriend girlfriend fiancé fiancée`},
	{iRole, `customer client patient employee applicant tenant passenger cardholder account_holder holder landlord resident witness plaintiff defendant
		i_am i'm this_is signed_by guest sra sr sincerely co_worker colleague behalf_of speaking_with spoke_to spoke_with holder_is tenant_is customer_is patient_is applicant_is owner_is driver_is manager_is doctor_is boss_is contact_is teacher_is
		subscriber borrower lender buyer seller
		producer actor actress singer author writer director composer president chairman minister senator mayor captain detective inspector professor
		beneficiary guardian manager attorney nurse student teacher member user agent driver owner married_to care_of c/o`},
	{iKey | iRole, `applicant co_applicant customer client patient employee author tenant landlord passenger buyer seller guest owner driver student teacher
		guardian user attn attention witness signed`},
	{iKey, `by from to cc bcc contact invoice_to bill_to billed_to ship_to sold_to pay_to sender receiver reporter assignee reviewer approved_by
		prepared_by submitted_by created_by requested_by reported_by owner gp physician doctor surgeon consultant insured policyholder beneficiary emergency_contact next_of_kin
		manager supervisor parent mother father spouse wife husband nombre nom nome naam nazwisko kunde mieter vermieter versicherungsnehmer absender
		empfänger ansprechpartner kontakt cliente paciente client destinataire expéditeur mittente destinatario`},
	{iClose, `regards sincerely thanks thank_you cheers faithfully truly wishes respectfully cordially cordialement saludos atentamente saluti groeten
		grüßen grüße gruß gruss best yours warmly gratefully`},
	{iDear, `dear`},
	{iAsk, `name`},
	{iGreets, `hi hello hey hallo bonjour hola ciao good_morning good_afternoon good_evening`},
})

// capital looks at a capital letter that may begin a name which the words in front of it announce.
func (s *Scanner) capital(i, size int) int {
	text := s.Text
	if i < 2 || text[i-1] != ' ' && text[i-1] != '\n' {
		return i + size
	}
	at := i - 1
	for at > 0 && i-at < 8 && strings.IndexByte(" \n\r\t.,!?", text[at-1]) >= 0 {
		at--
	}
	if at == 0 || i-at >= 8 {
		return i + size
	}
	c := text[at-1]
	if c < utf8.RuneSelf && !introductions.ends[c] || at < i-1 && text[at-1]-'0' < 10 {
		return i + size
	}
	w, here, lo := s.view(i)
	at = here - (i - at)
	top, long := introductions.endingAt(w, at)
	if top == 0 && w[at-1] == 'I' && w[at:here] == ", " && (at == 1 || w[at-2] == '\n' || w[at-2] == ' ') {
		top, long = iRole, 1 // I, Jane Roe, residing at
	}
	if top == 0 {
		return i + size
	}
	if span, ok := introduced(w, at, here, long, top); ok {
		return max(i+size, s.hit(span, lo))
	}
	return i + size
}

// introduced reads the name at w[here:] behind a word of the given length that ends at w[:at].
func introduced(w string, at, here, long int, top topic) (Span, bool) {
	gap, upper := w[at:here], isUpper(w[at-long])
	direct := gap == " "
	switch {
	case top&iTitle != 0 && upper && (direct && !(long == 2 && afterHouse(w, at-long)) || gap == ". "):
		return titledLatin(w, here)
	case top&iSays != 0 && direct:
		return latin(w, here, 1, false)
	case top&iDear != 0 && direct, top&iKin != 0 && direct && !upper:
		return latinName(w, here, 1)
	case top&iGreets != 0 && direct:
		span, ok := latinName(w, here, 1)
		return span, ok && span.End < len(w) && (w[span.End] == ',' || w[span.End] == '!' && strings.Contains(w[here:span.End], " "))
	case top&iAsk != 0 && direct:
		return latinName(w, here, 2)
	case top&iAsk != 0 && (gap == "? " || gap == "?\n"):
		return latinName(w, here, 1)
	case top&iClose != 0 && strings.Contains(gap, "\n"):
		span, ok := latinName(w, here, 1)
		return span, ok && endsLine(w, span.End)
	case top&iRole != 0 && (direct || gap == ", " || gap == ". "):
		return latinName(w, here, 2)
	}
	return Span{}, false
}

// afterHouse reports a street with its number in front of w[:at], where Dr is a drive.
func afterHouse(w string, at int) bool {
	at = len(strings.TrimRight(w[:at], " "))
	for at > 0 && w[at-1] > ' ' {
		at--
	}
	return at >= 2 && w[at-1] == ' ' && isDigit(w[at-2])
}

func endsLine(w string, end int) bool {
	rest := strings.TrimLeft(w[end:], " \r")
	return rest == "" || rest[0] == '\n'
}

// brands carry a title and are nobody.
var brands = newSet("Pepper Martens Seuss Strange Who Evil Coffee Clean Potato Bean Doubtfire Universe World America Muffet Fields Pac-Man Beast Robot Men Marvel Office")

func titledLatin(w string, here int) (Span, bool) {
	if hasPrefix(w[here:], "Dr. ") {
		return Span{}, false // the next title is asked itself
	}
	span, ok := latin(w, here, 1, false)
	return span, ok && !brands.has(w[span.Start:span.End])
}

// keyedLatin reads the name behind a key that often has one: two words, and none that organisations use.
func keyedLatin(w string, key, at int) (Span, bool) {
	top, _ := introductions.endingAt(w, key)
	if top&iKey == 0 {
		return Span{}, false
	}
	start := skipBlank(w, at, true)
	if start >= len(w) || start == at && w[at] != '"' {
		return Span{}, false
	}
	return latinName(w, start, 2)
}

// particles stand inside Latin names in lower case.
const particles = "de da do dos das del della di la le van von der den ten ter bin binti ibn al el y af av zu e bint du des"

// latinName reads a name that a word in front of it makes likely. A word that people's names seldom have
// makes the whole of it something else.
func latinName(w string, at, least int) (Span, bool) { return latin(w, at, least, true) }

// latin reads capitalised words, initials and particles at w[at:].
func latin(w string, at, least int, strict bool) (Span, bool) {
	end, count, i := at, 0, at
	for count < 5 {
		size := capitalised(w[i:])
		if size == 0 {
			next := strings.IndexByte(w[i:min(len(w), i+8)], ' ')
			if count == 0 || next <= 0 || !particleSet.has(w[i:i+next]) {
				break
			}
			i += next + 1
			continue
		}
		word := w[i : i+size]
		if notLatinNameSet.has(word) && (count == 0 || word != "An" && word != "A") {
			if count == 0 || strict && things.has(word) {
				return Span{}, false
			}
			break
		}
		if strict && size > 1 && (things.has(word) || count > 0 && shouts(word) && !shouts(w[at:at+2])) {
			return Span{}, false
		}
		count++
		i += size
		if i < len(w) && w[i] == '.' && size <= 2 { // an initial
			i++
		}
		end = i
		if i+1 >= len(w) || w[i] != ' ' {
			break
		}
		i++
	}
	if count < least || end < len(w) && (isDigit(w[end]) || w[end] == '_' || w[end] == '@') {
		return Span{}, false
	}
	return Span{at, end, Name, Context, likely}, true
}

// shouts reports a word in capitals, which beside one that is not is an abbreviation: Java SDK.
func shouts(word string) bool {
	for i := range len(word) {
		if !isUpper(word[i]) && word[i] < utf8.RuneSelf {
			return false
		}
	}
	return len(word) > 1 && strings.Trim(word, "IVX") != ""
}

const notLatinNames = "Sir Madam Customer Customers Team All Friend Friends Colleague Colleagues User Users Diary God Lord Client Support I The A An This That Is " +
	"Not No Yes Null None Unknown Phone Email Address Tel Mobile Date Number ID SSN Company And Or We You He She It They My Your Our His Her Their There Here Mr Mrs Ms Dr Prof Miss " +
	"If When What Why How Who Where Please Thanks Thank For From To In On At By With As So But Of DOB Cell Apt Suite PO Unit Flat"

// things are words of organisations, offices and headings; no name of a person holds one.
var things = newSet("Department Dept Team Support Service Services Sales Staff Office Group Ltd Limited Inc Corp Corporation GmbH AG LLC PLC Bank University College School Hospital " +
	"Company Center Centre Institute Association Committee Council Agency Ministry Gateway Server Default System Admin Administrator Manager Management Hiring Human Resources " +
	"Account Accounts Billing Shipping Order Orders Invoice Information Info Room Floor Street Road Avenue Handbook Care Relations Success Portal Data Database Test Testing User " +
	"Marketing Finance Engineering Engineer Software Developer Senior Junior Director Officer Board Customer Customers Client Clients Members Member Everyone Everybody Partner Partners Subscriber " +
	"Valued Sir Madam Guest Guests Security Network Internet Windows Linux Google Microsoft Apple Amazon Online Store Shop Market Airport Station Hotel Restaurant Union National International " +
	"Global General Public Private Foundation Society Church Club Trust Fund Insurance Solutions Technologies Technology Industries Holdings Monday Tuesday Wednesday Thursday Friday " +
	"Saturday Sunday January February March July September October November December New North South East West United Republic City County State Error Warning " +
	"Status Version Release Update File Section Chapter Table Name Address Phone Email Number Date Time Total Amount Price Payment Credit Card Card Policy Claim Report Review Notice " +
	"Happy Merry Good Sorry Best Great Welcome Not Important Urgent Terms Conditions Project Product Products Operations Helpdesk Desk Reception Faculty Attorney Government Records Parties Design Interface Coverage Full Printer Index Plan Code Model Type Class Group Level Mode Avenida Calle Via Rua Plaza Piazza Rue Boulevard Place Platz")

// capitalised returns the length of the capitalised word s begins with.
func capitalised(s string) int {
	r, size := utf8.DecodeRuneInString(s)
	if !unicode.IsUpper(r) {
		return 0
	}
	for size < len(s) {
		r, n := utf8.DecodeRuneInString(s[size:])
		if isHan(r) || !unicode.IsLetter(r) && !unicode.IsMark(r) && !((r == '\'' || r == '-' || r == 0x2019) && size+1 < len(s) && isLetterAt(s[size+n:])) {
			break
		}
		if (r == '\'' || r == 0x2019) && hasPrefix(s[size+n:], "s") && (len(s) == size+n+1 || !isLetter(s[size+n+1])) {
			break // John's
		}
		size += n
	}
	return size
}

func isLetterAt(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}
