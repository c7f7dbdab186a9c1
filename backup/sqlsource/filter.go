package sqlsource

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/confide-go/confide/backup"
)

// filter is which tables are covered.
type filter struct{ include, exclude []string }

func (f filter) covers(name string) bool {
	if ours(name) || slices.Contains(f.exclude, name) {
		return false
	}
	return len(f.include) == 0 || slices.Contains(f.include, name)
}

// split divides the tables of a database into covered ones and omissions.
func (f filter) split(tables []string) (covered []string, omitted []backup.Omission, err error) {
	if slices.Contains(tables, quarantine) {
		return nil, nil, errors.New("sqlsource: the database is in quarantine after a restore; promote it before it is backed up")
	}
	for _, name := range append(slices.Clone(f.include), f.exclude...) {
		if !slices.Contains(tables, name) {
			return nil, nil, fmt.Errorf("sqlsource: Config names table %q, which does not exist; there are: %s", name, strings.Join(tables, ", "))
		}
	}
	for _, name := range tables {
		switch {
		case ours(name):
			omitted = append(omitted, backup.Omission{Kind: "table", Name: name, Reason: "change tracking of backups; Track makes it again"})
		case f.covers(name):
			covered = append(covered, name)
		case slices.Contains(f.exclude, name):
			omitted = append(omitted, backup.Omission{Kind: "table", Name: name, Reason: "excluded"})
		default:
			omitted = append(omitted, backup.Omission{Kind: "table", Name: name, Reason: "not included"})
		}
	}
	return covered, omitted, nil
}

// refuse is the error for a table that cannot be copied exactly.
func refuse(table, why, remedy string) error {
	return fmt.Errorf("%w: table %q %s; %s, or exclude the table", backup.ErrUnsupported, table, why, remedy)
}
