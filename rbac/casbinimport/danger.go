package casbinimport

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// dangers says what in a casbin expression is decided otherwise than it reads.
func dangers(text string) []string {
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, name := range called(text) {
		switch {
		case name == "g":
		case name == "eval":
			add("calls eval(): rows hold program text; write the condition in CEL")
		case strings.HasPrefix(strings.ToLower(name), "keymatch"), strings.HasPrefix(strings.ToLower(name), "keyget"), strings.HasPrefix(strings.ToLower(name), "glob"), strings.HasPrefix(strings.ToLower(name), "regexmatch"):
			add("calls %s(): patterns cannot be listed by a database; name the resources and actions", name)
		case name == "ipMatch":
			add("calls ipMatch(): an address is not part of a row")
		case name == "timeMatch":
			add("calls timeMatch(): it takes local times for UTC")
		default:
			add("calls %s(), which may do anything", name)
		}
	}
	if depth(text) > 32 {
		add("nests parentheses more than 32 deep: casbin's parser can exhaust its stack")
	}
	for _, lit := range literals(text) {
		switch {
		case dateLike(lit):
			add("has the literal %q, which casbin takes for a time in the server's zone", lit)
		case regexp.MustCompile(`\b[rp]\d*\.`).MatchString(lit):
			add("has the literal %q, in which casbin rewrites r. and p.", lit)
		}
	}
	for _, number := range regexp.MustCompile(`\d{16,}`).FindAllString(text, -1) {
		if n, ok := new(big.Int).SetString(number, 10); ok && n.Cmp(big.NewInt(1<<53)) > 0 {
			add("has the number %s: above 2^53 casbin takes neighbours for equal", number)
		}
	}
	return found
}

// called returns the names of functions and methods called in an expression, each once.
func called(text string) []string {
	var names []string
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`([A-Za-z_][\w.]*)\s*\(`).FindAllStringSubmatch(text, -1) {
		if name := m[1]; !seen[name] && name != "in" {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names
}

func depth(text string) int {
	most, now := 0, 0
	for _, r := range text {
		switch r {
		case '(':
			now++
			most = max(most, now)
		case ')':
			now--
		}
	}
	return most
}

func literals(text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`'([^']*)'|"([^"]*)"`).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1]+m[2])
	}
	return found
}

// dateLike matches more than the fourteen formats that govaluate tries.
func dateLike(s string) bool {
	return regexp.MustCompile(`^(\d{4}-\d{1,2}(-\d{1,2}.*)?|\d{1,2}:\d{2}(:\d{2})?(\s*[AP]M)?|(Mon|Tue|Wed|Thu|Fri|Sat|Sun)\b.*\d{2}:\d{2}.*)$`).MatchString(s)
}

// inspectTexts reports rows that hold expressions, for a model that is refused anyway.
func inspectTexts(rows []Row) []Refusal {
	var found []Refusal
	for _, row := range rows {
		for _, v := range row.Values {
			if !strings.ContainsAny(v, "=<>()") && !strings.Contains(v, "&&") {
				continue
			}
			for _, d := range dangers(v) {
				found = append(found, Refusal{Line: row.Line, Reason: "the row's text " + d})
			}
		}
	}
	return found
}
