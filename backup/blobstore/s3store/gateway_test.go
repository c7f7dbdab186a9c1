package s3store_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/blobstore/s3store"
)

// gatewayEnv holds the path of versitygw, an S3 server with object lock and users:
//
//	go install github.com/versity/versitygw/cmd/versitygw@v1.8.0
//
// When it is set the tests that need it run or fail, and never skip.
const gatewayEnv = "CONFIDE_TEST_VERSITYGW"

func TestMain(m *testing.M) {
	backuptest.StoreWorker(openLogin)
	os.Exit(m.Run())
}

// A login is what another process needs to open a store.
type login struct {
	Endpoint, Access, Secret, Bucket, Prefix string
	Retain                                   time.Duration
}

func (l login) String() string {
	out, _ := json.Marshal(l)
	return string(out)
}

func openLogin(ctx context.Context, spec string) (backup.Store, error) {
	var l login
	if err := json.Unmarshal([]byte(spec), &l); err != nil {
		return nil, err
	}
	return s3store.Open(ctx, s3store.Config{Client: l.client(), Bucket: l.Bucket, Prefix: l.Prefix, Retain: l.Retain})
}

func (l login) client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &l.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(l.Access, l.Secret, ""),
	})
}

func (l login) open(t *testing.T) *s3store.Store {
	t.Helper()
	s, err := openLogin(t.Context(), l.String())
	require.NoError(t, err)
	return s.(*s3store.Store)
}

// A gateway is a running versitygw.
type gateway struct {
	binary string
	root   login // of its owner, without a bucket
	made   atomic.Int32
}

// startGateway starts a server on a directory of its own.
func startGateway(t *testing.T) *gateway {
	t.Helper()
	binary := os.Getenv(gatewayEnv)
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("versitygw"); err != nil {
			t.Skip(gatewayEnv + " is not set and versitygw is not in the path")
		}
	}
	dir := t.TempDir()
	for _, sub := range []string{"data", "versions", "iam"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, sub), 0o700))
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	g := &gateway{binary: binary, root: login{Endpoint: "http://" + address, Access: "owner", Secret: rand.Text()}}
	output, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command(binary, "--port", address, "--iam-dir", filepath.Join(dir, "iam"), "--quiet", "--keep-alive",
		"posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
	cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+g.root.Access, "ROOT_SECRET_KEY="+g.root.Secret)
	cmd.Stdout, cmd.Stderr = output, output
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		output.Close()
	})
	deadline := time.Now().Add(time.Minute)
	for {
		_, err := g.root.client().ListBuckets(t.Context(), &s3.ListBucketsInput{})
		if err == nil {
			return g
		}
		select {
		case <-exited:
			exited <- nil
			log, _ := os.ReadFile(output.Name())
			t.Fatalf("versitygw ended: %s", log)
		case <-time.After(20 * time.Millisecond):
			require.True(t, time.Now().Before(deadline), "versitygw does not answer: %v", err)
		}
	}
}

// bucket makes a bucket and returns the owner's login to it.
func (g *gateway) bucket(t *testing.T, locked bool) login {
	t.Helper()
	l := g.root
	l.Bucket = fmt.Sprintf("bucket-%d", g.made.Add(1))
	_, err := l.client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &l.Bucket, ObjectLockEnabledForBucket: aws.Bool(locked)})
	require.NoError(t, err)
	return l
}

// user makes a user who has no right but what a bucket's policy gives, and
// returns the user's login to the same bucket.
func (g *gateway) user(t *testing.T, at login, name string) login {
	t.Helper()
	at.Access, at.Secret = name, rand.Text()
	cmd := exec.Command(g.binary, "admin", "--access", g.root.Access, "--secret", g.root.Secret, "--endpoint-url", g.root.Endpoint,
		"create-user", "--access", at.Access, "--secret", at.Secret, "--role", "user")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, strings.ReplaceAll(string(out), g.root.Secret, "…"))
	return at
}

func suspended() *types.VersioningConfiguration {
	return &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended}
}
