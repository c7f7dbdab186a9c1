package s3store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
)

func TestABucketIsAStore(t *testing.T) {
	g := startGateway(t)
	backuptest.RunStore(t, func(t *testing.T) backup.Store { return g.bucket(t, false).open(t) })
}

func TestABucketWithObjectLockIsAWriteOnceStore(t *testing.T) {
	g := startGateway(t)
	backuptest.RunWriteOnceStore(t, func(t *testing.T) backup.Store {
		l := g.bucket(t, true)
		l.Retain = time.Hour
		return l.open(t)
	})
}

// A bucket with object lock has versions, also of what is not locked. And a
// repository may share it with neighbours.
func TestAPrefixOfABucketWithVersionsIsAStore(t *testing.T) {
	g := startGateway(t)
	backuptest.RunStore(t, func(t *testing.T) backup.Store {
		l := g.bucket(t, true)
		for _, l.Prefix = range []string{"", "a/", "a/b-/", "a/b0/"} {
			require.NoError(t, l.open(t).Put(t.Context(), "neighbour", []byte("x")))
		}
		l.Prefix = "a/b/"
		return l.open(t)
	})
}

func TestSeveralProcessesShareABucket(t *testing.T) {
	g := startGateway(t)
	backuptest.RunStoreProcesses(t, g.bucket(t, false).String(), openLogin)
}
