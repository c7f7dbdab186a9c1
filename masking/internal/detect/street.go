package detect

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// street finds an address of Europe or the Americas from the house number in group g: 12 Long Acre Road,
// 5 rue de la Paix, Hauptstraße 7, Via Roma 12, P.O. Box 34, each with the places and post codes behind it.
func (c *cluster) street(g int) (Span, bool) {
	w, start, end := c.w, c.groups[g].start, c.groups[g].end
	if c.groups[g].size > 5 || start > 0 && (w[start-1] == '$' || w[start-1] == '#' || isWord(w[start-1])) {
		return Span{}, false
	}
	found := Span{Kind: Address, Rule: Shape, rank: likely}
	if to, ok := numberFirst(w, end); ok {
		found.Start, found.End = unitBefore(w, start), to
		return found, true
	}
	if from := min(boxBefore(w, start), fieldPost(w, start)); from < start {
		to, _ := postal(w, end, true)
		found.Start, found.End = from, to
		return found, true
	}
	from, sure := nameFirst(w, start)
	if from == start || !sure && (monthBefore(w, start) < start || notStreets.has(w[from:max(from, strings.IndexByte(w[from:], ' ')+from)])) {
		return Span{}, false
	}
	to, posted := postal(w, houseEnd(w, end), sure)
	found.Start, found.End = houseBefore(w, from), to
	return found, sure || posted
}

// houseBefore takes the number of a house in front of a street with a number of its own in.
func houseBefore(w string, from int) int {
	i := from
	if i > 1 && w[i-1] == ' ' {
		for i--; i > 0 && from-i < 7 && isDigit(w[i-1]); i-- {
		}
		if i < from-1 && (i == 0 || !isWord(w[i-1]) && strings.IndexByte("-.,/$#", w[i-1]) < 0) {
			return i
		}
	}
	return from
}

// fieldPost returns where the address of an American field post office begins whose post code stands at
// w[at:], or at: PSC 1234, Box 5678, APO AE 09012.
func fieldPost(w string, at int) int {
	if at < 12 || w[at-1] != ' ' || !looksLike(w[at-4:], " AA ") || !looksLike(w[at-7:], "AAA ") || w[at-6:at-4] != "PO" {
		return at
	}
	low := max(0, at-60)
	for _, word := range [...]string{"PSC ", "Unit ", "CMR ", "USS ", "USNS ", "USNV ", "USCGC "} {
		if i := strings.LastIndex(w[low:at], word); i >= 0 {
			return low + i
		}
	}
	return at - 7
}

// mayBeHouse is a cheap test for a street on either side of a number.
func mayBeHouse(w string, start, end int) bool {
	if end+2 < len(w) && (w[end] == ' ' || w[end] == ',' && w[end+1] == ' ') {
		next := strings.TrimLeft(w[end:end+3], ", ")
		if next != "" && w[end] == ' ' && (isUpper(next[0]) || isDigit(next[0])) || frenchType(strings.TrimLeft(w[end:min(len(w), end+24)], ", ")) > 0 ||
			strings.HasPrefix(w[end:], " bis") || strings.HasPrefix(w[end:], " ter") {
			return true
		}
	}
	return start > 3 && w[start-1] == ' ' && capitalBefore(w, start)
}

// capitalBefore reports that the word in front of w[:at] begins with a capital, a remark such as No: aside.
func capitalBefore(w string, at int) bool {
	at = len(strings.TrimRight(w[:at], " ,"))
	for n := 0; at > 0 && n < 30 && (isLetter(w[at-1]) || w[at-1] >= utf8.RuneSelf || w[at-1] == '.' || w[at-1] == '-' || w[at-1] == '/' || w[at-1] == ':' || w[at-1] == '\''); n++ {
		at--
	}
	return at < len(w) && capitalised(w[at:]) > 0 || strings.HasPrefix(w[at:], "gate ") || strings.HasPrefix(w[at:], "n°")
}

// streetWords end the name of a street in English.
const streetWords = "Street St Avenue Ave Road Rd Boulevard Blvd Lane Ln Drive Dr Court Ct Place Pl Square Sq Terrace Ter Way Parkway Pkwy Highway Hwy " +
	"Circle Cir Trail Crescent Cres Alley Row Close Mews Quay Plaza Gardens Grove Walk Hill Green Turnpike Loop Esplanade Broadway"

// placeWords end it too, but are words of other things as well: a post code or a flat must follow.
const placeWords = "Annex Bayou Beach Bend Bluff Bluffs Branch Bridge Brook Brooks Bypass Camp Canyon Cape Causeway Center Centre Cliff Cliffs Common Corner Corners Course " +
	"Cove Coves Creek Crest Crossing Crossroad Curve Dale Dam Divide Estate Estates Expressway Extension Fall Falls Ferry Field Fields Flats Ford Fords Forest Forge Fork Forks Fort " +
	"Freeway Garden Gateway Glen Groves Harbor Harbour Haven Heights Hills Hollow Inlet Island Isle Junction Key Keys Knoll Knolls Lake Lakes Land Landing Light Lights Lock Locks " +
	"Lodge Mall Manor Manors Meadow Meadows Mill Mills Mission Motorway Mount Mountain Neck Orchard Oval Overpass Park Parks Pass Passage Path Pike Pine Pines Plain Plains Point " +
	"Points Port Ports Prairie Ranch Rapid Rapids Rest Ridge Ridges River Roads Route Run Shoal Shoals Shore Shores Skyway Spring Springs Spur Squares Station Stream Streets Summit " +
	"Throughway Trace Track Trafficway Tunnel Underpass Union Valley Valleys Via Viaduct View Views Village Villages Ville Vista Walks Wall Ways Well Wells"

var (
	placeWordSet  = newSet(placeWords)
	streetWordSet = newSet(streetWords)
	notStreets    = newSet("Million Thousand Hundred Billion Dollar Dollars Euro Euros Kilometers Miles Meters Hour Hours Day Days Week Weeks Month Months Year Years Minute Minutes " +
		"World Support Percent Time Times People Way Ways Box PSC Unit Suite Apt Apartment Flat Floor Article Section Chapter Apollo Boeing Airbus Version Page Part Figure Table " +
		"Flight Room Level Form Route Psalm Act Title Rule Item Step Phase Series Volume Vol Issue No Number Gate Terminal Highway Interstate Windows Android Order Invoice Ticket Case")
	directions = newSet("N S E W NE NW SE SW North South East West")
)

// numberFirst reads the street behind a house number that ends at w[:i], and what follows it.
func numberFirst(w string, i int) (end int, ok bool) {
	for _, also := range [...]string{" bis", " ter", " B"} {
		if strings.HasPrefix(w[i:], also) && i+len(also) < len(w) && (w[i+len(also)] == ' ' || w[i+len(also)] == ',') {
			i += len(also)
		}
	}
	if rest := strings.TrimLeft(w[i:], ", "); len(w)-i-len(rest) <= 2 {
		if n := frenchType(rest); n > 0 {
			if end = words2(w, len(w)-len(rest)+n, 6); end > 0 {
				end, _ = postal(w, end, true)
				return end, true
			}
		}
	}
	end, sure := english(w, i)
	if end == 0 {
		return 0, false
	}
	to, posted := postal(w, end, sure)
	return to, posted || sure && (to > end || !continues(w, end))
}

// english returns the end of a street's name behind a house number, or 0: at least one word and one of
// streetWords, or of placeWords, which are not sure.
func english(w string, i int) (end int, sure bool) {
	i += numberWord(w[i:])
	for n := range 6 {
		if i+1 >= len(w) || w[i] != ' ' {
			return end, sure
		}
		size := max(capitalised(w[i+1:]), ordinalWord(w[i+1:]))
		word := w[i+1 : i+1+size]
		i += 1 + size
		street := n > 0 && streetWordSet.has(word)
		if n == 0 && notStreets.has(word) {
			return 0, false
		}
		switch {
		case size == 0, end > 0 && sure && !street && !directions.has(word):
			return end, sure
		case street, n > 0 && placeWordSet.has(word), end > 0 && directions.has(word):
			end, sure = i, sure || street
			if i < len(w) && w[i] == '.' {
				end++
			}
			i = end
		case strings.HasPrefix(w[i:], "'s"), strings.HasPrefix(w[i:], "’s"):
			i += len(w[i:]) - len(strings.TrimLeft(w[i:], "'’s"))
		case i < len(w) && w[i] == '.' && size <= 2:
			i++
		}
	}
	return end, sure
}

// numberWord is the length of a second number: 1040 12 Long Acre Road.
func numberWord(s string) int {
	n := 1
	for n < len(s) && n < 6 && isDigit(s[n]) {
		n++
	}
	if s == "" || s[0] != ' ' || n == 1 || n+1 >= len(s) || s[n] != ' ' || !isUpper(s[n+1]) {
		return 0
	}
	return n
}

// ordinalWord is the length of 4th or 42nd.
func ordinalWord(s string) int {
	n := 0
	for n < len(s) && n < 3 && isDigit(s[n]) {
		n++
	}
	if n > 0 && len(s) >= n+2 && ordinal(s[n:n+2]) && (len(s) == n+2 || !isWord(s[n+2])) {
		return n + 2
	}
	return 0
}

// continues reports that another capitalised word follows, as in 24 Hour Road Assistance.
func continues(w string, end int) bool {
	return end+1 < len(w) && w[end] == ' ' && capitalised(w[end+1:]) > 0
}

var frenchTypes = [...]string{"rue ", "avenue ", "boulevard ", "bd ", "place ", "chemin ", "allée ", "impasse ", "quai ", "cours ", "route ", "square ", "passage ",
	"Rue ", "Avenue ", "Boulevard ", "Place ", "Chemin ", "Allée ", "Impasse ", "Quai ", "Route "}

// frenchType is the length of the kind of street s begins with, if a name follows.
func frenchType(s string) int {
	if len(s) < 5 || strings.IndexByte("rabpciqsRABPCIQ", s[0]) < 0 {
		return 0
	}
	for _, t := range frenchTypes {
		if strings.HasPrefix(s, t) && words2(s, len(t), 1) > 0 && (t[0] > 'Z' || strings.HasPrefix(s[len(t):], "d") || strings.HasPrefix(s[len(t):], "S")) {
			return len(t)
		}
	}
	return 0
}

// links stand in lower case in the names of streets and places.
var links = newSet("de du des da do dos das del della delle dei degli di la le les el los las l d à am an den der dem auf im in zur zum van von en sur sous lès y e i")

// words2 returns the end of a row of most capitalised words and links, or 0 if no capitalised word is there.
func words2(w string, i, most int) (end int) {
	for n := 0; n < most && i < len(w); {
		size := capitalised(w[i:])
		if size > 0 && i+size < len(w) && isWord(w[i+size]) {
			return end // W8
		}
		if size > 0 {
			n++
			i += size
			end = i
			if i < len(w) && w[i] == '.' && size <= 3 {
				i++
				end = i
			}
		} else {
			size = strings.IndexAny(w[i:min(len(w), i+8)], " '’")
			if size <= 0 || !links.has(w[i:i+size]) {
				return end
			}
			i += size
		}
		if i >= len(w) || w[i] != ' ' && w[i] != '\'' && !strings.HasPrefix(w[i:], "’") {
			return end
		}
		_, size = utf8.DecodeRuneInString(w[i:])
		i += size
	}
	return end
}

// streetKinds begin the name of a street, and streetTails end a word that is one. Behind the weaker ones a post
// code must follow.
var (
	streetKinds = newSet("Via Viale Vicolo Piazza Piazzale Corso Largo Strada Calle C/ Avenida Avda Avda. Av. Plaza Plaça Paseo Camino Carrer Rua Travessa Praça Alameda " +
		"Estrada Rodovia Largo Rue rue Avenue avenue Boulevard boulevard ul. al. Laan Am An Auf Im Zum Zur Unter Ulica")
	weakKinds   = newSet("Plaza Avenue avenue Boulevard boulevard Corso Largo Am An Auf Im Zum Zur Unter Strada Camino al.")
	streetTails = [...]string{"straße", "strasse", "str.", "gasse", "platz", "straat", "laan", "gracht", "plein", "gatan", "vägen", "gade", "katu", "plads", "allee", "singel", "Straße", "Strasse", "Caddesi", "Sokak", "Cad."}
)

// nameFirst returns where the street begins whose house number stands at w[at:], or at; sure says that its
// name is that of a street.
func nameFirst(w string, at int) (from int, sure bool) {
	const longest = 90
	end := len(strings.TrimRight(w[:at], " "))
	for _, no := range [...]string{"No:", "No.", "Nr.", "no:", "nº", "n°", "Nº"} {
		end = len(strings.TrimRight(strings.TrimSuffix(w[:end], no), " "))
	}
	comma := end > 0 && w[end-1] == ','
	end = len(strings.TrimRight(w[:end], ","))
	from = at
	for i, n := end, 0; n < 7 && i > 0 && at-i < longest; n++ {
		start := wordStart(w, i)
		if start == i {
			break
		}
		word := w[start:i]
		upper := capitalised(word) > 0
		if n == 0 && !upper && word != "gate" {
			break
		}
		if n > 0 && streetKinds.has(word) {
			return start, !weakKinds.has(word) || comma
		}
		if n == 0 && !comma && streetTail(word) {
			sure, from = true, start
			if !isUpper(word[0]) || !streetTailOnly(word) {
				return from, sure
			}
		} else if !upper && !links.has(word) {
			break
		} else if upper && !comma {
			from = start
		}
		if start == 0 || w[start-1] != ' ' {
			break
		}
		i = start - 1
	}
	return from, sure
}

// streetTailOnly: Mariahilfer Straße has its name in the words before.
func streetTailOnly(word string) bool {
	return slices.Contains(streetTails[:], word)
}

func streetTail(word string) bool {
	for _, tail := range streetTails {
		if strings.HasSuffix(word, tail) && (len(word) >= len(tail)+3 || isUpper(tail[0])) {
			return true
		}
	}
	return false
}

// wordStart goes back over a word with hyphens, stops and slashes. Han and its punctuation end it.
func wordStart(w string, end int) int {
	for end > 0 {
		r, size := utf8.DecodeLastRuneInString(w[:end])
		if size >= 3 || r == utf8.RuneError || r == 0xA0 || r < utf8.RuneSelf && !isLetter(byte(r)) && strings.IndexByte("-.'/", byte(r)) < 0 {
			break
		}
		end -= size
	}
	return end
}

// houseEnd takes the rest of 7a, 12/5, 10-12 and 5 bis in.
func houseEnd(w string, end int) int {
	if end < len(w) && isLetter(w[end]) && (end+1 == len(w) || !isWord(w[end+1])) {
		return end + 1
	}
	if end+1 < len(w) && (w[end] == '/' || w[end] == '-') && isDigit(w[end+1]) {
		n := end + 1
		for n < len(w) && isWord(w[n]) {
			n++
		}
		if n-end <= 5 {
			return n
		}
	}
	return end
}

// boxBefore returns where P.O. Box begins in front of a number, or at.
func boxBefore(w string, at int) int {
	for _, box := range [...]string{"P.O. Box ", "PO Box ", "P.O.Box ", "P. O. Box ", "P.O. BOX ", "PO BOX ", "Postfach ", "Apartado ", "Casella Postale ", "Boîte Postale ", "Apdo. "} {
		if strings.HasSuffix(w[:at], box) {
			return at - len(box)
		}
	}
	return at
}
