package hammer

import "github.com/confide-go/confide/audit"

// Events are what a committed transaction leaves.
const Events = eventsOfARow

// Compare tells what is wrong.
func Compare(said, stored map[string]bool, seen map[string]string, r audit.Report) []string {
	a := &attack{said: said, result: Result{Report: r}}
	a.compare(stored, seen)
	return a.result.Faults
}
