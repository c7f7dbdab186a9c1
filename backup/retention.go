package backup

import (
	"slices"
	"time"
)

// keep decides which snapshots stay: the newest ones, the newest one of each of
// the last days, weeks, months and years that have any, and the newest that a
// drill has proven. The newest snapshot always stays.
func (o PruneOptions) keep(all []*openedManifest, drilled ID) map[ID]bool {
	where := o.Location
	if where == nil {
		where = time.UTC
	}
	kept := map[ID]bool{all[len(all)-1].id: true}
	for _, m := range all[max(0, len(all)-o.Keep):] {
		kept[m.id] = true
	}
	for _, rule := range []struct {
		count  int
		period func(time.Time) [2]int
	}{
		{o.Daily, func(t time.Time) [2]int { return [2]int{t.Year(), t.YearDay()} }},
		{o.Weekly, func(t time.Time) [2]int { y, w := t.ISOWeek(); return [2]int{y, w} }},
		{o.Monthly, func(t time.Time) [2]int { return [2]int{t.Year(), int(t.Month())} }},
		{o.Yearly, func(t time.Time) [2]int { return [2]int{t.Year()} }},
	} {
		seen := map[[2]int]bool{}
		for _, m := range slices.Backward(all) {
			if p := rule.period(m.Time.In(where)); !seen[p] && len(seen) < rule.count {
				seen[p], kept[m.id] = true, true
			}
		}
	}
	for _, m := range all {
		if m.id == drilled {
			kept[m.id] = true
		}
	}
	return kept
}
