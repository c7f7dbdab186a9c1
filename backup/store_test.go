package backup_test

import (
	"testing"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
)

func TestMemoryIsAStore(t *testing.T) {
	backuptest.RunStore(t, func(t *testing.T) backup.Store { return backup.NewMemory() })
}
