package web

import (
	"net/http"
	"time"

	"github.com/confide-go/confide/examples/crm/internal/desk"
)

// trailData is a page of the audit log, what was asked for, and what a
// verification found if one was asked for.
type trailData struct {
	desk.EventPage
	Query    desk.EventQuery
	From, To string // days as typed
	Problem  string
	Verdict  *desk.Verdict
	Took     time.Duration
	Pager    pager
}

// Filtered reports whether anything was asked for.
func (d trailData) Filtered() bool {
	q := d.Query
	q.Page, q.From, q.To = 0, time.Time{}, time.Time{}
	return q != (desk.EventQuery{}) || d.From != "" || d.To != ""
}

func (a *app) trail(v *visit) error {
	d := trailData{
		Query: desk.EventQuery{
			Actor: v.query("actor"), Action: v.query("action"), Resource: v.query("resource"), Row: v.query("row"), Page: v.pageNumber(),
			Result: v.query("result"), Channel: v.query("channel"), Subject: v.query("subject"), Purpose: v.query("purpose"), DataType: v.query("data"),
		},
		From: v.query("from"), To: v.query("to"),
	}
	if d.Query.Row != "" && d.Query.Resource == "" {
		d.Query.Resource = "customer" // numbers are unique within a kind of record only
	}
	var okFrom, okTo bool
	d.Query.From, okFrom = v.day(d.From, 0)
	d.Query.To, okTo = v.day(d.To, 1) // up to the end of that day
	if !okFrom || !okTo || (!d.Query.From.IsZero() && !d.Query.To.IsZero() && !d.Query.From.Before(d.Query.To)) {
		d.Problem = v.t("audit.days.problem")
		return v.showTrail(http.StatusUnprocessableEntity, d)
	}
	events, err := v.Trail.Events(v.ctx(), d.Query)
	if err != nil {
		return err
	}
	d.EventPage, d.Pager = events, pager{Page: events.Page}
	if events.Page > 1 {
		d.Pager.Prev = v.turned(events.Page - 1)
	}
	if events.More {
		d.Pager.Next = v.turned(events.Page + 1)
	}
	return v.showTrail(http.StatusOK, d)
}

// day is the beginning of a typed day in the zone of the pages, plus so many days.
func (v *visit) day(s string, plus int) (time.Time, bool) {
	if s == "" {
		return time.Time{}, true
	}
	t, err := time.ParseInLocation(time.DateOnly, s, v.Zone)
	return t.AddDate(0, 0, plus), err == nil
}

// verify is POST /audit/verify: it reads the whole log, so it is a button and not
// a part of every visit.
func (a *app) verify(v *visit) error {
	start := v.Now()
	verdict, err := v.Trail.VerifyLog(v.ctx())
	if err != nil {
		return err
	}
	d := trailData{Verdict: &verdict, Took: v.Now().Sub(start).Round(time.Millisecond), Query: desk.EventQuery{Page: 1}}
	if d.EventPage, err = v.Trail.Events(v.ctx(), d.Query); err != nil {
		return err
	}
	d.Pager.Page = 1
	if d.More {
		d.Pager.Next = "/audit?page=2"
	}
	return v.showTrail(http.StatusOK, d)
}

func (v *visit) showTrail(status int, d trailData) error {
	p := page{Title: v.t("audit.title"), Section: "audit", Data: d}
	if d.Verdict != nil {
		p.Here = "/audit"
	}
	return v.show(status, "audit", p)
}
