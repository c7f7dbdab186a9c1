package web

import (
	"net/http"
	"time"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

// systemData is the state of the system, and what of it somebody has to look into.
type systemData struct {
	desk.SystemState
	Alarms []string // sentences
}

// systemPage is GET /system.
func (a *app) systemPage(v *visit) error {
	s, err := v.System.System(v.ctx())
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "system", page{
		Title: v.t("system.title"), Section: "system", Here: "/system", Data: systemData{SystemState: s, Alarms: v.alarms(s)},
	})
}

// alarms are what cannot wait.
func (v *visit) alarms(s desk.SystemState) []string {
	var list []string
	for _, set := range s.Backup.Sets {
		if set.Overdue > 0 {
			list = append(list, v.t("system.alarm.backup", v.words.label(v.lang, setKey, set.Name), v.span(set.Overdue)))
		}
	}
	if s.Backup.Drill.Overdue > 0 {
		list = append(list, v.t("system.alarm.drill", v.span(s.Backup.Drill.Overdue)))
	}
	if s.Backup.KeysDue > 0 {
		list = append(list, v.t("system.alarm.keys", s.Backup.KeysDue))
	}
	if s.Log.Lost > 0 {
		list = append(list, v.t("system.alarm.lost", s.Log.Lost))
	}
	if s.Log.Oldest > time.Minute {
		list = append(list, v.t("system.alarm.lag", v.span(s.Log.Oldest)))
	}
	if !s.Log.Verified.IsZero() && !s.Log.VerifiedOK {
		list = append(list, v.t("system.alarm.log"))
	}
	return list
}

// span is a duration as people say it: the largest unit that fits.
func (v *visit) span(d time.Duration) string { return span(v.words, v.lang, d) }

func span(w words, lang string, d time.Duration) string {
	one, other, n := "span.seconds.one", "span.seconds.other", d.Seconds()
	switch {
	case d >= 48*time.Hour:
		one, other, n = "span.days.one", "span.days.other", d.Hours()/24
	case d >= 2*time.Hour:
		one, other, n = "span.hours.one", "span.hours.other", d.Hours()
	case d >= 2*time.Minute:
		one, other, n = "span.minutes.one", "span.minutes.other", d.Minutes()
	case d < time.Second:
		return w.say(lang, "span.less")
	}
	if int64(n) == 1 {
		return w.say(lang, one, 1)
	}
	return w.say(lang, other, number(int64(n)))
}

func setKey(name string) string {
	return map[string]string{
		"data": "set.data", "invoices": "set.invoices", "audit": "set.audit", "files": "set.files", "secrets": "set.secrets", "keys": "set.keys",
	}[name]
}

func kindKey(name string) string {
	return map[string]string{"full": "kind.full", "differential": "kind.differential", "incremental": "kind.incremental"}[name]
}
