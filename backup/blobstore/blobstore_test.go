package blobstore_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"gocloud.dev/blob/azureblob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/blob/memblob"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/blobstore"
)

// What doc.go says is compiled.
var (
	_ = gcsblob.OpenBucket
	_ = azureblob.OpenBucket
)

func TestABucketInMemoryIsAStore(t *testing.T) {
	for _, prefix := range []string{"", "some/where/"} {
		t.Run("prefix "+prefix, func(t *testing.T) {
			backuptest.RunStore(t, func(t *testing.T) backup.Store {
				bucket := memblob.OpenBucket(nil)
				t.Cleanup(func() { bucket.Close() })
				require.NoError(t, bucket.WriteAll(context.Background(), "neighbour", nil, nil))
				if prefix == "" {
					require.NoError(t, bucket.Delete(context.Background(), "neighbour"))
				}
				s, err := blobstore.New(bucket, blobstore.Config{Prefix: prefix})
				require.NoError(t, err)
				return s
			})
		})
	}
}

func TestAPrefixEndsWithASlash(t *testing.T) {
	for _, prefix := range []string{"a", "/", "a//", "A/", "../"} {
		_, err := blobstore.New(memblob.OpenBucket(nil), blobstore.Config{Prefix: prefix})
		require.ErrorContains(t, err, "blobstore: Config.Prefix", "%q", prefix)
	}
}
