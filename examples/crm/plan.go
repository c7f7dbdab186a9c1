package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/schedule"
)

// A plan says what is backed up when, for how long it is kept, and when a restore
// is rehearsed. The file backup.json in the data folder changes what it names; a
// duration is written like "26h".
type plan struct {
	Data     setPlan `json:"data"`
	Invoices setPlan `json:"invoices"`
	Audit    setPlan `json:"audit"`
	Files    setPlan `json:"files"`
	Secrets  setPlan `json:"secrets"`
	Keys     setPlan `json:"keys"`

	Drill jobPlan   `json:"drill"`
	Prune prunePlan `json:"prune"`
	Epoch epochPlan `json:"epoch"`
	// Retain is for how long nobody can delete a snapshot, on stores that can lock.
	Retain duration `json:"retain"`
}

type jobPlan struct {
	Cron    string   `json:"cron"`
	Overdue duration `json:"overdue"` // since it was last done well, until somebody is told
}

type setPlan struct {
	jobPlan
	Kind backup.Kind `json:"kind"`
	// Renew is how old the newest full snapshot becomes before a run is full,
	// whatever Kind says; zero: any age.
	Renew duration `json:"renew"`
}

// prunePlan keeps the newest snapshot of each of so many periods.
type prunePlan struct {
	Cron    string `json:"cron"`
	Daily   int    `json:"daily"`
	Weekly  int    `json:"weekly"`
	Monthly int    `json:"monthly"`
	Yearly  int    `json:"yearly"`
}

// epochPlan is how long a key that seals people's keys in the backups is in use, and
// for how long afterwards it is kept.
type epochPlan struct {
	Use  duration `json:"use"`
	Keep duration `json:"keep"`
}

const day = 24 * time.Hour

// standardPlan copies what changes every day in the night, invoices once a week, and
// forgets an erased person in every copy of the backups within four weeks.
func standardPlan() plan {
	nightly := func(cron string, kind backup.Kind) setPlan {
		return setPlan{jobPlan: jobPlan{Cron: cron, Overdue: duration(50 * time.Hour)}, Kind: kind, Renew: duration(30 * day)}
	}
	return plan{
		Data:     nightly("15 2 * * *", backup.Incremental),
		Audit:    nightly("30 2 * * *", backup.Incremental),
		Files:    nightly("45 2 * * *", backup.Incremental),
		Secrets:  nightly("0 3 * * *", backup.Full),
		Keys:     nightly("15 3 * * *", backup.Full),
		Invoices: setPlan{jobPlan: jobPlan{Cron: "30 3 * * sun", Overdue: duration(8 * day)}, Kind: backup.Full},
		Drill:    jobPlan{Cron: "0 5 * * mon", Overdue: duration(30 * day)},
		Prune:    prunePlan{Cron: "0 4 * * *", Daily: 14, Weekly: 8, Monthly: 12},
		Epoch:    epochPlan{Use: duration(7 * day), Keep: duration(21 * day)},
		Retain:   duration(30 * day),
	}
}

// plan reads the folder's plan.
func (f folder) plan() (plan, error) {
	p := standardPlan()
	file, err := os.Open(f.planFile())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("read the plan of the backups: %w", err)
	}
	defer file.Close()
	dec := json.NewDecoder(file)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		return p, fmt.Errorf("the plan of the backups %s is not understood: %w", f.planFile(), err)
	}
	return p, p.check(f.planFile())
}

func (p plan) check(file string) error {
	crons := map[string]string{"drill": p.Drill.Cron, "prune": p.Prune.Cron}
	for _, s := range p.sets() {
		crons[s.name] = s.Cron
	}
	for name, cron := range crons {
		if _, err := schedule.Parse(cron, time.Local); err != nil {
			return fmt.Errorf("the plan of the backups %s, cron of %s: %w", file, name, err)
		}
	}
	if p.Prune.Daily+p.Prune.Weekly+p.Prune.Monthly+p.Prune.Yearly <= 0 {
		return fmt.Errorf("the plan of the backups %s keeps nothing; give prune a number of days, weeks, months or years", file)
	}
	return nil
}

// A dataSet is a part of the CRM that is backed up by itself, into a store of its own.
type dataSet struct {
	name string
	setPlan
	// forgets says that only the newest snapshot is kept, under a key that is destroyed
	// on a schedule: no copy of an older one may bring a person back.
	forgets bool
}

// sets lists the data sets in the order in which they are copied: the rows before the
// files and keys that they refer to, which are then there.
func (p plan) sets() []dataSet {
	return []dataSet{
		{name: "data", setPlan: p.Data},         // every table that has no other place: customers, documents, people, policy
		{name: "invoices", setPlan: p.Invoices}, // the invoices
		{name: "audit", setPlan: p.Audit},       // the audit log
		{name: "files", setPlan: p.Files},       // the customers' files
		{name: "secrets", setPlan: p.Secrets, forgets: true},
		{name: "keys", setPlan: p.Keys, forgets: true},
	}
}

// duration is a time.Duration that is written as text.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err == nil && v < 0 {
		err = errors.New("a duration cannot be negative")
	}
	*d = duration(v)
	return err
}
