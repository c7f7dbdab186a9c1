package s3store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"gocloud.dev/blob/s3blob"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/blobstore"
)

// Config says which bucket and how long what is put there must stay.
type Config struct {
	Client *s3.Client // required; its credentials need the rights of Policy and no more
	Bucket string     // required
	Prefix string     // of all keys, e.g. "crm/"; empty or ending with '/'
	// Retain puts every object under object lock for so long; the bucket must
	// have object lock enabled. Zero: no lock but the bucket's own default.
	Retain time.Duration
	// Governance locks in governance mode, which some credentials can lift,
	// instead of compliance mode, which nobody can.
	Governance bool
}

// A Store is a backup.Store and a backup.Retainer in an S3 bucket.
type Store struct {
	*blobstore.Store
	cfg Config
}

var (
	_ backup.Store    = (*Store)(nil)
	_ backup.Retainer = (*Store)(nil)
)

// Open returns the store in a bucket, which it does not make. It asks nothing of
// the service: run a probe to know what the bucket does.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Client == nil || cfg.Bucket == "" {
		return nil, errors.New("s3store: Config.Client and Config.Bucket are required")
	}
	if cfg.Retain < 0 {
		return nil, errors.New("s3store: Config.Retain is negative")
	}
	bucket, err := s3blob.OpenBucket(ctx, cfg.Client, cfg.Bucket, nil)
	if err != nil {
		return nil, fmt.Errorf("s3store: open bucket %s: %w", cfg.Bucket, err)
	}
	portable, err := blobstore.New(bucket, blobstore.Config{Prefix: cfg.Prefix, ListAfter: listAfter})
	if err != nil {
		return nil, err
	}
	return &Store{Store: portable, cfg: cfg}, nil
}

func listAfter(asFunc func(any) bool, name string) {
	var in *s3.ListObjectsV2Input
	if asFunc(&in) && in.ContinuationToken == nil {
		in.StartAfter = aws.String(name)
	}
}

// Put implements backup.Store. It is one request, whatever the size, so that the
// condition, the lock and the checksum are of the whole object.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	name, err := s.Name(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	in := &s3.PutObjectInput{
		Bucket:         &s.cfg.Bucket,
		Key:            &name,
		Body:           bytes.NewReader(data),
		ContentLength:  aws.Int64(int64(len(data))),
		ContentType:    aws.String("application/octet-stream"),
		IfNoneMatch:    aws.String("*"),
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}
	if s.cfg.Retain > 0 {
		in.ObjectLockMode = types.ObjectLockMode(s.mode())
		in.ObjectLockRetainUntilDate = aws.Time(time.Now().Add(s.cfg.Retain).UTC())
	}
	_, err = s.cfg.Client.PutObject(ctx, in)
	switch {
	case err == nil:
		return nil
	case code(err) == "PreconditionFailed":
		return fmt.Errorf("s3store: put %s: %w", key, fs.ErrExist)
	case code(err) == "ConditionalRequestConflict":
		return s.conflict(ctx, key, err)
	case code(err) == "":
		return s.unanswered(ctx, key, data, err)
	}
	return explain(ctx, "put", key, err)
}

// unanswered resolves a put whose connection broke. A service that refuses a
// large object before it has read all of it, or that stored it, may be gone
// before its answer is read: what is there now tells.
func (s *Store) unanswered(ctx context.Context, key string, data []byte, err error) error {
	there, getErr := s.Get(ctx, key, 0, -1)
	switch {
	case getErr != nil:
		return explain(ctx, "put", key, err)
	case bytes.Equal(there, data):
		return nil
	}
	return fmt.Errorf("s3store: put %s: %w", key, fs.ErrExist)
}

// conflict resolves a put that met another writer of the same key at work: there
// is an object now, or the put may be tried again.
func (s *Store) conflict(ctx context.Context, key string, err error) error {
	if _, statErr := s.Stat(ctx, key); statErr == nil {
		return fmt.Errorf("s3store: put %s: %w", key, fs.ErrExist)
	}
	return explain(ctx, "put", key, err)
}

func (s *Store) mode() types.ObjectLockRetentionMode {
	if s.cfg.Governance {
		return types.ObjectLockRetentionModeGovernance
	}
	return types.ObjectLockRetentionModeCompliance
}

// Delete implements backup.Store. In a bucket with versions a plain delete only
// hides an object: this removes all versions, the oldest first, so that a lock on
// any of them leaves the object as it was.
func (s *Store) Delete(ctx context.Context, key string) error {
	name, err := s.Name(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	versions, err := s.versions(ctx, name)
	if err != nil {
		return explain(ctx, "delete", key, err)
	}
	for i := len(versions) - 1; i >= 0; i-- { // the service lists the newest first
		_, err := s.cfg.Client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &s.cfg.Bucket, Key: &name, VersionId: versions[i]})
		if err != nil && code(err) != "NoSuchVersion" && code(err) != "NoSuchKey" {
			return explain(ctx, "delete", key, err)
		}
	}
	return nil
}

// versions returns the versions and delete markers of one object. In a bucket
// that never had versions an object has one, called "null".
func (s *Store) versions(ctx context.Context, name string) ([]*string, error) {
	var ids []*string
	pages := s3.NewListObjectVersionsPaginator(s.cfg.Client, &s3.ListObjectVersionsInput{Bucket: &s.cfg.Bucket, Prefix: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		var markers []*string
		for _, m := range page.DeleteMarkers {
			if *m.Key == name {
				markers = append(markers, m.VersionId)
			}
		}
		for _, v := range page.Versions {
			switch {
			case *v.Key != name: // another key that begins with this name
			case v.VersionId == nil:
				ids = append(ids, aws.String("null"))
			default:
				ids = append(ids, v.VersionId)
			}
		}
		// Markers hold no content, so that they go last, not to show what they hide.
		ids = append(markers, ids...)
	}
	return ids, nil
}

// Retain implements backup.Retainer.
func (s *Store) Retain(ctx context.Context, key string, until time.Time) error {
	name, err := s.Name(key)
	if err != nil {
		return err
	}
	_, err = s.cfg.Client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{
		Bucket: &s.cfg.Bucket, Key: &name,
		Retention: &types.ObjectLockRetention{Mode: s.mode(), RetainUntilDate: aws.Time(until.UTC())},
	})
	if err != nil {
		return explain(ctx, "retain", key, err)
	}
	return nil
}

// RetainedUntil implements backup.Retainer.
func (s *Store) RetainedUntil(ctx context.Context, key string) (time.Time, error) {
	name, err := s.Name(key)
	if err != nil {
		return time.Time{}, err
	}
	out, err := s.cfg.Client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &s.cfg.Bucket, Key: &name})
	switch {
	case err == nil && out.Retention != nil:
		return aws.ToTime(out.Retention.RetainUntilDate), nil
	case err == nil, code(err) == "NoSuchObjectLockConfiguration":
		return time.Time{}, nil
	}
	return time.Time{}, explain(ctx, "retention of", key, err)
}

func code(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// explain gives a failure the form that callers of a backup.Store look for.
func explain(ctx context.Context, op, key string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("s3store: %s %s: %w", op, key, ctx.Err())
	}
	switch code(err) {
	case "AccessDenied", "Forbidden":
		return fmt.Errorf("s3store: %s %s: %w: %w", op, key, fs.ErrPermission, err)
	case "NoSuchKey", "NotFound":
		return fmt.Errorf("s3store: %s %s: %w", op, key, fs.ErrNotExist)
	// InvalidRequest is what a bucket without object lock says when asked about one.
	case "NoSuchObjectLockConfiguration", "InvalidBucketObjectLockConfiguration", "InvalidRequest", "NotImplemented", "MethodNotAllowed":
		return fmt.Errorf("s3store: %s %s: %w: %w", op, key, errors.ErrUnsupported, err)
	}
	return fmt.Errorf("s3store: %s %s: %w", op, key, err)
}
