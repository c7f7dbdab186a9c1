package s3store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/blobstore/s3store"
	"github.com/confide-go/confide/backup/limit"
	"github.com/confide-go/confide/backup/quorum"
	"github.com/confide-go/confide/backup/retry"
)

// decorated is how a repository should meet a bucket.
func decorated(t *testing.T, l login) backup.Store {
	return retry.New(limit.New(l.open(t), limit.Config{Concurrent: 8, Timeout: time.Minute}), retry.Config{})
}

func listed(t *testing.T, s backup.Store) map[string]bool {
	t.Helper()
	keys := map[string]bool{}
	for o, err := range s.List(t.Context(), "", "") {
		require.NoError(t, err)
		keys[o.Key] = true
	}
	return keys
}

// Config.Retain on a real server: until the date nobody deletes or replaces what a
// snapshot consists of, not the owner either; a prune names what it may not delete
// yet, and the one after the date deletes it. The locks end when the server's clock
// says so; on a machine too slow for the short ones the test takes longer ones.
func TestRetainedSnapshotsStayUntilTheirDate(t *testing.T) {
	g := startGateway(t)
	for lead := 2 * time.Second; ; lead *= 3 {
		if retainedUntilTheirDate(t, g, lead) {
			return
		}
	}
}

func retainedUntilTheirDate(t *testing.T, g *gateway, lead time.Duration) (inTime bool) {
	owner := g.bucket(t, true)
	owner.Prefix = "crm/"
	writer, restorer, pruner := roles(t, g, owner)
	kek, f := backuptest.NewKEK(t), fixture(t)
	// A clock that is behind makes locks that end soon.
	as := func(l login, retain, behind time.Duration) *backup.Repository {
		t.Helper()
		r, err := backup.Open(t.Context(), backup.Config{Source: f.Source, Store: decorated(t, l), KEK: kek, DataSet: "crm", Record: backup.Discard,
			Retain: retain, Now: func() time.Time { return time.Now().Add(-behind) }})
		require.NoError(t, err)
		return r
	}
	first, err := as(writer, time.Minute, time.Minute-lead).Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	old := listed(t, owner.open(t))
	var ends time.Time
	for key := range old {
		until, err := restorer.open(t).RetainedUntil(t.Context(), key)
		require.NoError(t, err)
		require.False(t, until.IsZero(), "%s is retained", key)
		if until.After(ends) {
			ends = until
		}
	}
	f.Change(t)
	second, err := as(writer, time.Hour, 0).Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	pruned, err := as(pruner, 0, 0).Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	if !time.Now().Before(ends) {
		return false
	}
	require.Equal(t, []backup.ID{first.ID}, pruned.Snapshots)
	for _, key := range pruned.Denied {
		require.True(t, old[key], "%s is of the first snapshot", key)
	}
	require.GreaterOrEqual(t, len(pruned.Denied), 4, "a manifest, a data key, two chunks")
	left := listed(t, owner.open(t))
	for key := range old {
		require.True(t, left[key], "%s is there before its date", key)
	}
	whole := func() {
		t.Helper()
		report, err := as(restorer, 0, 0).Verify(t.Context(), backup.Every, backup.VerifyOptions{})
		require.NoError(t, err)
		require.Equal(t, []backup.ID{second.ID}, report.Snapshots)
	}
	whole()

	time.Sleep(time.Until(ends.Add(time.Second))) // the server counts in seconds
	again, err := as(pruner, 0, 0).Prune(t.Context(), backup.PruneOptions{Keep: 1})
	require.NoError(t, err)
	// The second run retained the manifest of the one before, too.
	before := fmt.Sprintf("manifest/%020d", first.ID)
	require.Equal(t, []string{before}, again.Denied)
	require.Equal(t, len(pruned.Denied)-1, again.Objects)
	left = listed(t, owner.open(t))
	for _, key := range pruned.Denied {
		require.Equal(t, key == before, left[key], "%s is gone after its date", key)
	}
	whole()

	// What the second one consists of is retained for an hour yet, for everybody.
	for key := range left {
		if strings.HasPrefix(key, "prune/") {
			continue
		}
		require.ErrorIs(t, owner.open(t).Delete(t.Context(), key), fs.ErrPermission, key)
		plain := owner.client()
		_, err := plain.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &owner.Bucket, Key: aws.String(owner.Prefix + key), Body: strings.NewReader("forged")})
		if err == nil { // a new version, above the one that stays
			versions, err := plain.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &owner.Bucket, Prefix: aws.String(owner.Prefix + key)})
			require.NoError(t, err)
			require.Len(t, versions.Versions, 2, key)
			_, err = plain.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &owner.Bucket, Key: aws.String(owner.Prefix + key), VersionId: versions.Versions[0].VersionId})
			require.NoError(t, err, key)
		}
	}
	whole()
	_, err = as(restorer, 0, 0).Restore(t.Context(), second.ID, f.Target(t), backup.RestoreOptions{})
	require.NoError(t, err)
	return true
}

// Two locked buckets and one without: what is done in the third reaches nothing.
func TestAQuorumOfBucketsRetains(t *testing.T) {
	g := startGateway(t)
	open := g.bucket(t, false)
	stores := []backup.Store{decorated(t, open), decorated(t, g.bucket(t, true)), decorated(t, g.bucket(t, true))}
	store, err := quorum.New(quorum.Config{Stores: stores})
	require.NoError(t, err)
	kek, f := backuptest.NewKEK(t), fixture(t)
	r, err := backup.Open(t.Context(), backup.Config{Source: f.Source, Store: store, KEK: kek, DataSet: "crm", Record: backup.Discard, Retain: time.Hour})
	require.NoError(t, err)
	s, err := r.Run(t.Context(), backup.RunOptions{})
	require.NoError(t, err)
	for key := range listed(t, store) {
		require.ErrorIs(t, store.Delete(t.Context(), key), fs.ErrPermission, key)
		require.NoError(t, open.open(t).Delete(t.Context(), key))
	}
	_, err = r.Restore(t.Context(), s.ID, f.Target(t), backup.RestoreOptions{})
	require.NoError(t, err)
}

// That a bucket has no object lock is an answer, which retry does not ask for again.
func TestABucketWithoutObjectLockSaysSo(t *testing.T) {
	s := startGateway(t)
	l := s.bucket(t, false).open(t)
	require.NoError(t, l.Put(t.Context(), "k", nil))
	_, err := l.RetainedUntil(t.Context(), "k")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorIs(t, l.Retain(t.Context(), "k", time.Now().Add(time.Hour)), errors.ErrUnsupported)
}

// versitygw, which these tests run on, does not know the condition that denies a
// put without "if there is none": it refuses the policy rather than ignore a part
// of it. Once it knows it, this test fails, and the others can do without Plain.
func TestTheRealServerRefusesAConditionThatItDoesNotKnow(t *testing.T) {
	g := startGateway(t)
	owner := g.bucket(t, true)
	writer := g.user(t, owner, "writer")
	policy, err := s3store.Policy(s3store.PolicyConfig{Bucket: owner.Bucket, Writers: []string{writer.Access}})
	require.NoError(t, err)
	_, err = owner.client().PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &owner.Bucket, Policy: aws.String(string(policy))})
	require.ErrorContains(t, err, "MalformedPolicy")
	_, err = writer.client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &owner.Bucket, Key: aws.String("k"), Body: strings.NewReader("x")})
	require.ErrorContains(t, err, "AccessDenied")
}
