package desk

import (
	"context"
	"time"
)

// A SystemState is what those who run the system, and the auditor, need to know
// without seeing any customer: whether backups are made and proven, and whether the log
// is sealed and was verified.
type SystemState struct {
	Backup BackupState
	Log    LogState
}

// A BackupState says what is backed up, and by when it forgets.
type BackupState struct {
	Sets       []SetState
	Recipients []string // who alone can read backups; empty: whoever has the key file
	Drill      DrillState

	Forgotten time.Time // after it nobody who is erased now is in a copy that can be read
	Erased    int       // people who were erased
	ErasedBy  time.Time // after it none of them is
	KeysDue   int       // keys that should be destroyed by now and are not
}

// A SetState is one data set of the backups.
type SetState struct {
	Name      string
	Snapshots int
	ID        uint64    // of the newest
	Last      time.Time // zero: there is none
	Kind      string
	Rows      int64
	Next      time.Time
	Overdue   time.Duration // age of the newest, if it is too old
}

// A DrillState is the newest rehearsal of a restore that went well.
type DrillState struct {
	Time     time.Time // zero: there was none
	Snapshot uint64
	Key      string // what opened the backups: "kek" or "recovery"
	RPO, RTO time.Duration
	Overdue  time.Duration
}

// A LogState says how far sealing is behind and when the log was last verified.
type LogState struct {
	Waiting  int64         // events that are not sealed yet
	Oldest   time.Duration // how long the first of them has waited
	Spilled  int           // events that wait on the local disk
	Lost     int64         // events that this process lost
	Blockers []string      // transactions that hold sealing up

	Verified   time.Time // zero: not known
	VerifiedOK bool
	Size       int64 // events that were read then
}

// SeesSystem reports whether the caller may see the state of the system: whoever lets
// people in and out, and whoever reads the log.
func (d *Desk) SeesSystem(ctx context.Context) (bool, error) {
	if yes, err := d.may(ctx, "disable", self(ctx)); err != nil || yes {
		return yes, err
	}
	return d.may(ctx, "audit", self(ctx))
}

// System returns the state of the system.
func (d *Desk) System(ctx context.Context) (SystemState, error) {
	yes, err := d.SeesSystem(ctx)
	if err != nil {
		return SystemState{}, err
	}
	if !yes {
		return SystemState{}, d.must(ctx, "audit", self(ctx)) // which writes the refusal down
	}
	return d.Config.State(ctx)
}
