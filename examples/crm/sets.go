package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/dirstore"
	"github.com/confide-go/confide/backup/filesource"
	"github.com/confide-go/confide/backup/keyepoch"
	"github.com/confide-go/confide/backup/sqlsource"
)

const (
	// subjectKeys is the table whose rows must not outlive an erasure, and
	// auditSecrets the one without whose rows nobody can check a guess against the log.
	subjectKeys  = "confide_subject_keys"
	auditSecrets = "confide_audit_secrets"
	invoiceTable = "invoices"
	auditTables  = "confide_audit_" // how their names begin
	auditEntries = auditTables + "entries"
)

// tablesOf says which tables a data set has: the only ones, or all but some.
func (a *app) tablesOf(ctx context.Context, set string) (sqlsource.Config, error) {
	pool, err := a.db.DB()
	if err != nil {
		return sqlsource.Config{}, err
	}
	all, err := a.db.WithContext(ctx).Migrator().GetTables()
	if err != nil {
		return sqlsource.Config{}, fmt.Errorf("list the tables: %w", err)
	}
	parts := map[string][]string{"keys": {subjectKeys}, "secrets": {auditSecrets}, "invoices": {invoiceTable}}
	for _, name := range all {
		if strings.HasPrefix(name, auditTables) && name != auditSecrets {
			parts["audit"] = append(parts["audit"], name)
		}
	}
	cfg := sqlsource.Config{DB: pool, Engine: a.db.Name(), Include: parts[set]}
	if set == "data" {
		for _, part := range parts {
			cfg.Exclude = append(cfg.Exclude, part...)
		}
	}
	return cfg, nil
}

// ownSet reports whether a table is in another data set than "data" today. Snapshots of
// older versions have it all the same.
func ownSet(table string) bool {
	return table == invoiceTable || table == subjectKeys || strings.HasPrefix(table, auditTables)
}

// repository opens the repository of a data set.
func (a *app) repository(ctx context.Context, set dataSet) (*backup.Repository, error) {
	store, err := a.openStore(ctx, set.name)
	if err != nil {
		return nil, err
	}
	cfg := backup.Config{Store: store, KEK: a.kek, DataSet: set.name, Record: a.recorder(), Now: a.now, Recovery: a.recovery}
	if cfg.Source, err = a.source(ctx, set.name); err != nil {
		return nil, err
	}
	if cfg.Recipients, err = a.recipients(); err != nil {
		return nil, err
	}
	if set.forgets {
		if cfg.Epochs, err = a.epochs(set.name); err != nil {
			return nil, err
		}
	}
	if _, ok := backup.AsRetainer(store); ok && !set.forgets {
		cfg.Retain = time.Duration(a.plan.Retain)
	}
	return backup.Open(ctx, cfg)
}

// openStore opens the store of a data set: a directory, unless a test has another.
func (a *app) openStore(ctx context.Context, set string) (backup.Store, error) {
	store, err := dirstore.Open(ctx, filepath.Join(a.places.backups, set))
	if err != nil || a.places.decorate == nil {
		return store, err
	}
	return a.places.decorate(store), nil
}

// source is what a repository copies; nil where there is no database to copy from.
func (a *app) source(ctx context.Context, set string) (backup.Source, error) {
	if set == "files" {
		return filesource.New(filesource.Config{Dir: a.folder.files()})
	}
	if a.db == nil {
		return nil, nil
	}
	cfg, err := a.tablesOf(ctx, set)
	if err != nil {
		return nil, err
	}
	return sqlsource.New(cfg)
}

// recorder is who is told of backups. Where the database is lost, so is the log; the
// restored one is told.
func (a *app) recorder() backup.Recorder {
	if a.log == nil {
		return backup.Discard
	}
	return a.log
}

// epochs opens the keys that seal the copies of people's keys for a time.
func (a *app) epochs(set string) (*keyepoch.Folder, error) {
	return keyepoch.Open(keyepoch.Config{
		Dir: filepath.Join(a.places.epochs, set), KEK: a.kek, Use: time.Duration(a.plan.Epoch.Use), Keep: time.Duration(a.plan.Epoch.Keep),
	})
}

// backUp makes a snapshot of a data set.
func (a *app) backUp(ctx context.Context, set dataSet, kind backup.Kind, show func(backup.Progress)) (backup.Snapshot, error) {
	repo, err := a.repository(ctx, set)
	if err != nil {
		return backup.Snapshot{}, err
	}
	if kind, err = a.kindNow(ctx, repo, set, kind); err != nil {
		return backup.Snapshot{}, err
	}
	if set.forgets {
		return a.copyForgettable(ctx, repo, set)
	}
	s, err := repo.Run(ctx, backup.RunOptions{Kind: kind, Progress: show})
	if err != nil {
		return s, fmt.Errorf("back up %s: %w", set.name, err)
	}
	return s, nil
}

// kindNow is full where the last full snapshot is too old; otherwise it makes the
// database note what changes, so that not everything has to be read.
func (a *app) kindNow(ctx context.Context, repo *backup.Repository, set dataSet, kind backup.Kind) (backup.Kind, error) {
	if kind == backup.Full || set.forgets {
		return backup.Full, nil
	}
	list, err := repo.List(ctx)
	if err != nil {
		return kind, fmt.Errorf("back up %s: %w", set.name, err)
	}
	for _, s := range slices.Backward(list) {
		if renew := time.Duration(set.Renew); s.Kind == backup.Full && renew > 0 && a.now().Sub(s.Time) > renew {
			return backup.Full, nil
		} else if s.Kind == backup.Full {
			break
		}
	}
	if set.name == "files" {
		return kind, nil
	}
	cfg, err := a.tablesOf(ctx, set.name)
	if err != nil {
		return kind, err
	}
	source, err := sqlsource.New(cfg)
	if err != nil {
		return kind, err
	}
	_, err = source.Track(ctx)
	return kind, err
}

// copyForgettable makes a snapshot and removes every older one: a key that has been
// destroyed must not come back from it. Copies that were carried away go with the keys
// of their epochs.
func (a *app) copyForgettable(ctx context.Context, repo *backup.Repository, set dataSet) (backup.Snapshot, error) {
	s, err := repo.Run(ctx, backup.RunOptions{})
	if err != nil {
		return s, fmt.Errorf("back up %s: %w", set.name, err)
	}
	// Accepted: after a rotation every row has changed, and an older copy would still
	// have to go.
	if _, err := repo.Prune(ctx, backup.PruneOptions{Keep: 1, Accept: s.ID}); err != nil {
		return s, fmt.Errorf("remove older copies of %s: %w", set.name, err)
	}
	if _, err := repo.DestroyExpired(ctx); err != nil {
		return s, fmt.Errorf("destroy the keys of old copies of %s: %w", set.name, err)
	}
	return s, nil
}

// forgetErased removes the keys of people who were erased from the backups.
func (a *app) forgetErased(ctx context.Context) error {
	for _, set := range a.plan.sets() {
		if set.forgets {
			if _, err := a.backUp(ctx, set, backup.Full, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// forgottenBy is the time by which no copy of the backups, wherever it lies, has the
// key of a person any more who was erased at a moment.
func (a *app) forgottenBy(at time.Time) (time.Time, error) {
	var latest time.Time
	for _, set := range a.plan.sets() {
		if !set.forgets {
			continue
		}
		epochs, err := a.epochs(set.name)
		if err != nil {
			return latest, err
		}
		if e := epochs.Expires(at); e.After(latest) {
			latest = e
		}
	}
	return latest, nil
}
