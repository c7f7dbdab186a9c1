// Package alert watches an audit log and tells somebody when what happens in it looks
// wrong: rules that can be explained, no learning beyond counting.
//
//	w, err := alert.Open(alert.Config{Log: log, Store: store, Key: key, Rules: alert.Usual(time.Local), Deliver: alert.Slog{Logger: logger}})
//	err = w.Pass(ctx) // every few seconds, in any number of processes
//	err = w.Verified(ctx, report) // after each verification
//
// # What is promised
//
// Every sealed event is looked at once by each watcher, whatever processes run and
// whenever they are killed: the place in the log, the counts of the rules and the alerts that
// are not delivered yet are one record that is replaced by compare-and-swap
// (gormstore keeps it). An alert is delivered by the process that raised it; only when that
// does not finish within Config.Lease, another one takes over, so a receiver
// sees an alert twice only if a process dies between delivering and noting it. Alert.ID is
// the same then. What cannot be delivered waits; once Config.Backlog alerts wait, no
// further events are looked at until they are gone.
//
// Memory is bounded: a rule keeps counts of at most 2,000 actors and forgets the one
// that was quiet for longest first.
//
// # What an alert holds
//
// The rule, the tenant, the actor's id, places in the log, numbers and times. Never a
// purpose, a row's id, a subject or an attribute: who may read those reads them in the log.
//
// # What is not protected
//
// Only sealed events are looked at; Config.MaxLag alerts when sealing is behind. The record
// carries a MAC under Config.Key: the database's administrator can delete it or put an
// older one back but not write one. A watcher without a record begins anew,
// learns from the events of Config.Learn without alerts, and says so with the alert
// "started": one that nobody expected is a deleted record. Whoever stops the
// processes stops the alerts; watch them from outside.
package alert
