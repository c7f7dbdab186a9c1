package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/filesource"
	"github.com/confide-go/confide/backup/sqlsource"
)

// A point is what a restore brings: of each data set one snapshot. That of "data" is
// chosen; of the others it is the newest which is not from after the next one of
// "data". Of the log, the files and the keys it is always the newest: what happened is
// not taken back, and who was erased since stays so.
type point struct {
	chosen []chosenSet
	lacks  []string // data sets without a snapshot that fits
}

type chosenSet struct {
	set  dataSet
	repo *backup.Repository
	from backup.Snapshot
}

// pointOf finds what belongs to a snapshot of "data".
func (a *app) pointOf(ctx context.Context, id backup.ID) (point, error) {
	var p point
	var before time.Time      // when the next snapshot of "data" was made; zero: there is none
	have := map[string]bool{} // tables
	for _, set := range a.plan.sets() {
		repo, err := a.repository(ctx, set)
		if err != nil {
			return p, err
		}
		list, err := repo.List(ctx)
		if err != nil {
			return p, err
		}
		at := len(list) - 1
		switch {
		case set.name == "data":
			if id != backup.Newest {
				at = slices.IndexFunc(list, func(s backup.Snapshot) bool { return s.ID == id })
			}
			if at < 0 {
				return p, fmt.Errorf("%w; `crm backup list` shows which there are", backup.ErrNoSnapshot)
			}
			if at+1 < len(list) {
				before = list[at+1].Time
			}
			for _, t := range list[at].Tables {
				have[t.Name] = true
			}
		case have[map[string]string{"invoices": invoiceTable, "audit": auditEntries, "secrets": auditSecrets}[set.name]]:
			continue // made before this was a data set of its own
		case set.name == "invoices" && !before.IsZero():
			for at >= 0 && !list[at].Time.Before(before) {
				at--
			}
		}
		if at < 0 {
			p.lacks = append(p.lacks, set.name)
			continue
		}
		p.chosen = append(p.chosen, chosenSet{set: set, repo: repo, from: list[at]})
	}
	return p, nil
}

// check compares with what the audit log has recorded: a store cannot hide the newest
// snapshot. It reads manifests, and no rows.
func (p point) check(ctx context.Context, heads map[string][]backup.Head) error {
	const none = 1e-12
	for _, s := range p.chosen {
		if _, err := s.repo.Verify(ctx, s.from.ID, backup.VerifyOptions{Heads: heads[s.set.name], Sample: none}); err != nil {
			return fmt.Errorf("data set %s: %w", s.set.name, err)
		}
	}
	return nil
}

// restore brings the data sets into a database and a folder, all but those to be left
// out. A quarantine begins with the first rows.
func (p point) restore(ctx context.Context, to *gorm.DB, f folder, quarantine bool, show func(backup.Progress), except ...string) (rows int64, err error) {
	for _, s := range p.chosen {
		if slices.Contains(except, s.set.name) {
			continue
		}
		target, err := s.target(to, f, quarantine && s.set.name == "data")
		if err != nil {
			return rows, err
		}
		report, err := s.repo.Restore(ctx, s.from.ID, target, backup.RestoreOptions{Progress: show})
		if err != nil {
			return rows, fmt.Errorf("restore %s: %w", s.set.name, err)
		}
		if s.set.name != "files" {
			rows += report.Rows
		}
	}
	return rows, nil
}

// target is where a data set goes: its tables, and no others.
func (s chosenSet) target(to *gorm.DB, f folder, quarantine bool) (backup.Target, error) {
	if s.set.name == "files" {
		return filesource.New(filesource.Config{Dir: f.files()})
	}
	return s.database(to, quarantine)
}

func (s chosenSet) database(to *gorm.DB, quarantine bool) (*sqlsource.Database, error) {
	pool, err := to.DB()
	if err != nil {
		return nil, err
	}
	cfg := sqlsource.Config{DB: pool, Engine: to.Name(), Quarantine: quarantine}
	for _, t := range s.from.Tables {
		cfg.Include = append(cfg.Include, t.Name)
	}
	if len(cfg.Include) == 0 {
		return nil, errors.New("the snapshot has no tables")
	}
	return sqlsource.New(cfg)
}
