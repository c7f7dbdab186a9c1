package s3store_test

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/blobstore/s3store"
	"github.com/confide-go/confide/backup/probe"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestPoliciesAreTheGoldenOnes(t *testing.T) {
	user := func(name string) []string { return []string{"arn:aws:iam::123456789012:user/" + name} }
	for name, cfg := range map[string]s3store.PolicyConfig{
		"all":    {Bucket: "crm-backup", Prefix: "crm/", Writers: user("writer"), Restorers: user("restorer"), Pruners: user("pruner")},
		"writer": {Bucket: "crm-backup", Writers: user("writer")},
		"plain":  {Bucket: "crm-backup", Prefix: "crm/", Writers: user("writer"), Pruners: user("pruner"), Partition: "aws-cn", Plain: true},
	} {
		got, err := s3store.Policy(cfg)
		require.NoError(t, err)
		path := "testdata/policy-" + name + ".json"
		if *update {
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
}

func TestAPolicyIsForNamedPrincipalsInOneRole(t *testing.T) {
	for _, cfg := range []s3store.PolicyConfig{
		{Bucket: "b"}, {Writers: []string{"w"}}, {Bucket: "b", Writers: []string{"*"}}, {Bucket: "b", Writers: []string{""}},
		{Bucket: "b", Writers: []string{"w"}, Pruners: []string{"w"}},
	} {
		_, err := s3store.Policy(cfg)
		require.ErrorContains(t, err, "s3store:", "%+v", cfg)
	}
}

// roles sets the generated policy on a bucket and returns each role's login.
func roles(t *testing.T, g *gateway, owner login) (writer, restorer, pruner login) {
	t.Helper()
	writer = g.user(t, owner, "writer-"+owner.Bucket)
	restorer = g.user(t, owner, "restorer-"+owner.Bucket)
	pruner = g.user(t, owner, "pruner-"+owner.Bucket)
	policy, err := s3store.Policy(s3store.PolicyConfig{
		Bucket: owner.Bucket, Prefix: owner.Prefix, Plain: true, // versitygw does not know the keys of conditional writes
		Writers: []string{writer.Access}, Restorers: []string{restorer.Access}, Pruners: []string{pruner.Access},
	})
	require.NoError(t, err)
	_, err = owner.client().PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: &owner.Bucket, Policy: aws.String(string(policy))})
	require.NoError(t, err)
	return writer, restorer, pruner
}

func TestThePolicyGivesEachRoleWhatItNeedsAndNoMore(t *testing.T) {
	g := startGateway(t)
	owner := g.bucket(t, true)
	owner.Prefix = "crm/"
	writer, restorer, pruner := roles(t, g, owner)
	stranger := g.user(t, owner, "stranger")
	ctx := t.Context()

	require.NoError(t, writer.open(t).Put(ctx, "chunk/1", []byte("one")))
	require.ErrorIs(t, writer.open(t).Put(ctx, "chunk/1", []byte("two")), fs.ErrExist)
	require.ErrorIs(t, writer.open(t).Delete(ctx, "chunk/1"), fs.ErrPermission)
	require.NoError(t, pruner.open(t).Put(ctx, "prune/1", []byte("record")))
	require.ErrorIs(t, restorer.open(t).Put(ctx, "chunk/2", nil), fs.ErrPermission)
	require.ErrorIs(t, restorer.open(t).Delete(ctx, "chunk/1"), fs.ErrPermission)
	for name, l := range map[string]login{"writer": writer, "restorer": restorer, "pruner": pruner} {
		got, err := l.open(t).Get(ctx, "chunk/1", 1, 2)
		require.NoError(t, err, name)
		require.Equal(t, "ne", string(got), name)
		_, err = l.open(t).Stat(ctx, "none")
		require.ErrorIs(t, err, fs.ErrNotExist, name)
		n := 0
		for _, err := range l.open(t).List(ctx, "", "") {
			require.NoError(t, err, name)
			n++
		}
		require.Equal(t, 2, n, name)

		// Outside of the prefix there is nothing for anybody.
		elsewhere := l
		elsewhere.Prefix = ""
		require.ErrorIs(t, elsewhere.open(t).Put(ctx, "other/1", nil), fs.ErrPermission, name)
		for _, err := range elsewhere.open(t).List(ctx, "", "") {
			require.ErrorIs(t, err, fs.ErrPermission, name)
		}
		// Nor may anybody change the rules.
		_, err = l.client().DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: &l.Bucket})
		require.ErrorContains(t, err, "AccessDenied", name)
		_, err = l.client().PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{Bucket: &l.Bucket, VersioningConfiguration: suspended()})
		require.ErrorContains(t, err, "AccessDenied", name)
	}
	_, err := stranger.open(t).Get(ctx, "chunk/1", 0, -1)
	require.ErrorIs(t, err, fs.ErrPermission)

	// The versions that the writer may not delete, the pruner may.
	versions, err := owner.client().ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: &owner.Bucket, Prefix: aws.String("crm/chunk/1")})
	require.NoError(t, err)
	require.Len(t, versions.Versions, 1)
	_, err = writer.client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &owner.Bucket, Key: aws.String("crm/chunk/1")})
	require.ErrorContains(t, err, "AccessDenied")
	_, err = writer.client().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &owner.Bucket, Key: aws.String("crm/chunk/1"), VersionId: versions.Versions[0].VersionId})
	require.ErrorContains(t, err, "AccessDenied")
	require.NoError(t, pruner.open(t).Delete(ctx, "chunk/1"))
	_, err = restorer.open(t).Get(ctx, "chunk/1", 0, -1)
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// The whole contract, but for deletes, holds for who may not delete.
func TestAWritersCredentialsAreAWriteOnceStore(t *testing.T) {
	g := startGateway(t)
	backuptest.RunWriteOnceStore(t, func(t *testing.T) backup.Store {
		owner := g.bucket(t, false)
		writer, _, _ := roles(t, g, owner)
		return writer.open(t)
	})
}

func TestAProbeProvesWhatARealServerDoes(t *testing.T) {
	g := startGateway(t)
	owner := g.bucket(t, true)
	writer, restorer, pruner := roles(t, g, owner)

	report, err := probe.Run(t.Context(), writer.open(t), probe.Config{Lock: time.Minute})
	require.NoError(t, err)
	for _, f := range report.Findings {
		want := probe.Proven
		if f.Promise == probe.Deletes {
			want = probe.Refuted
		}
		require.Equal(t, want, f.Verdict, "%s: %s", f.Promise, f.Detail)
	}
	report, err = probe.Run(t.Context(), pruner.open(t), probe.Config{Lock: time.Minute})
	require.NoError(t, err)
	require.True(t, report.Safe())
	require.Equal(t, probe.Proven, report.Of(probe.Deletes))
	require.Equal(t, probe.Proven, report.Of(probe.LockHolds), report.String())
	_, err = probe.Run(t.Context(), restorer.open(t), probe.Config{})
	require.ErrorIs(t, err, fs.ErrPermission)
	require.False(t, bytes.Contains([]byte(err.Error()), []byte(restorer.Secret)))

	// A bucket without object lock is not taken for one with it.
	plain := g.bucket(t, false)
	report, err = probe.Run(t.Context(), plain.open(t), probe.Config{Lock: time.Minute})
	require.NoError(t, err)
	require.True(t, report.Safe())
	require.Equal(t, probe.Refuted, report.Of(probe.LockHolds), report.String())
}
