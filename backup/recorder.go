package backup

import (
	"context"
	"log/slog"
)

// A Recorder is told of every finished snapshot, restore and prune:
//
//	backup.run      after the manifest is stored: dataset, snapshot, hash, rows
//	backup.missed   before backup.run, if the source's tracking missed a change: dataset, snapshot, table
//	backup.restore  after the proof and before the commit: dataset, snapshot, hash, rows
//	backup.prune    before the first deletion: dataset, through, removed, kept
//	backup.merge    after the plan and before the first write: dataset, snapshot, hash, count
//	backup.drill    after the report is stored: dataset, snapshot, drill, hash, ok
//	backup.promote  before a quarantine ends: erased
//
// An error stops a restore or prune that has not happened yet, and is returned
// by a run whose snapshot exists. An audit log satisfies it; the hash it then
// holds is what VerifyOptions.Heads compares with.
type Recorder interface {
	Record(ctx context.Context, action string, attrs ...slog.Attr) error
}

// Discard is the Recorder that tells nobody.
var Discard Recorder = discard{}

type discard struct{}

func (discard) Record(context.Context, string, ...slog.Attr) error { return nil }
