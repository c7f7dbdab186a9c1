package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"strings"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"github.com/confide-go/confide/backup"
)

// Config says how to use a bucket; the zero value is useful.
type Config struct {
	Prefix string // of all keys, e.g. "crm/"; empty or ending with '/'
	// ListAfter may make a service begin its list after a name, of which the
	// prefix is part, so that what comes before is not sent. asFunc is gocloud's.
	ListAfter func(asFunc func(any) bool, name string)
}

// A Store is a backup.Store in a bucket of gocloud.dev/blob.
type Store struct {
	bucket *blob.Bucket
	cfg    Config
}

var _ backup.Store = (*Store)(nil)

// New returns the store in a bucket, which the caller closes.
func New(bucket *blob.Bucket, cfg Config) (*Store, error) {
	if cfg.Prefix != "" && !strings.HasSuffix(cfg.Prefix, "/") {
		return nil, errors.New("blobstore: Config.Prefix must end with '/'")
	}
	if cfg.Prefix != "" {
		if err := backup.CheckKey(strings.TrimSuffix(cfg.Prefix, "/")); err != nil {
			return nil, fmt.Errorf("blobstore: Config.Prefix: %w", err)
		}
	}
	return &Store{bucket: bucket, cfg: cfg}, nil
}

// Name returns what the bucket calls an object, or an error for a bad key.
func (s *Store) Name(key string) (string, error) {
	if err := backup.CheckKey(key); err != nil {
		return "", fmt.Errorf("blobstore: %w", err)
	}
	return s.cfg.Prefix + key, nil
}

// Put implements backup.Store.
func (s *Store) Put(ctx context.Context, key string, data []byte) error {
	name, err := s.Name(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	// A writer that is not closed stores nothing once its context has ended.
	writing, abandon := context.WithCancel(ctx)
	defer abandon()
	w, err := s.bucket.NewWriter(writing, name, &blob.WriterOptions{
		IfNotExist:                  true,
		ContentType:                 "application/octet-stream",
		DisableContentTypeDetection: true,
	})
	if err != nil {
		return explain(ctx, "put", key, err)
	}
	if _, err := w.Write(data); err != nil {
		abandon()
		w.Close()
		return s.putFailed(ctx, key, err)
	}
	if err := w.Close(); err != nil {
		return s.putFailed(ctx, key, err)
	}
	return nil
}

// putFailed names the one failure that is an answer: there is such an object.
func (s *Store) putFailed(ctx context.Context, key string, err error) error {
	switch gcerrors.Code(err) {
	case gcerrors.FailedPrecondition, gcerrors.AlreadyExists:
		return fmt.Errorf("blobstore: put %s: %w", key, fs.ErrExist)
	}
	return explain(ctx, "put", key, err)
}

// Get implements backup.Store.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) ([]byte, error) {
	name, err := s.Name(key)
	if err != nil {
		return nil, err
	}
	if offset < 0 {
		return nil, fmt.Errorf("blobstore: get %s: %w: negative offset", key, fs.ErrInvalid)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if length == 0 || offset > math.MaxInt64/2 { // services differ in what they make of it
		o, err := s.Stat(ctx, key)
		if err == nil && length != 0 && offset < o.Size {
			err = fmt.Errorf("blobstore: get %s: %w: offset", key, fs.ErrInvalid)
		}
		return nil, err
	}
	if length < 0 || length > math.MaxInt64/2 {
		length = -1
	}
	data, err := s.read(ctx, name, offset, length)
	if err == nil {
		return data, nil
	}
	err = explain(ctx, "get", key, err)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || ctx.Err() != nil {
		return nil, err
	}
	// A range beyond the end is an error to most services, each with its own.
	if o, statErr := s.Stat(ctx, key); statErr == nil && offset >= o.Size {
		return nil, nil
	}
	return nil, err
}

func (s *Store) read(ctx context.Context, name string, offset, length int64) ([]byte, error) {
	r, err := s.bucket.NewRangeReader(ctx, name, offset, length, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	want := max(0, r.Size()-offset)
	if length >= 0 {
		want = min(want, length)
	}
	data := make([]byte, want)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err // also when a broken connection looks like the end
	}
	return data, nil
}

// Stat implements backup.Store.
func (s *Store) Stat(ctx context.Context, key string) (backup.Object, error) {
	name, err := s.Name(key)
	if err != nil {
		return backup.Object{}, err
	}
	if err := ctx.Err(); err != nil {
		return backup.Object{}, err
	}
	attrs, err := s.bucket.Attributes(ctx, name)
	if err != nil {
		return backup.Object{}, explain(ctx, "stat", key, err)
	}
	return backup.Object{Key: key, Size: attrs.Size}, nil
}

// List implements backup.Store.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[backup.Object, error] {
	return func(yield func(backup.Object, error) bool) {
		opts := &blob.ListOptions{Prefix: s.cfg.Prefix + prefix}
		if s.cfg.ListAfter != nil && after > prefix {
			opts.BeforeList = func(asFunc func(any) bool) error {
				s.cfg.ListAfter(asFunc, s.cfg.Prefix+after)
				return nil
			}
		}
		for objects := s.bucket.List(opts); ; {
			if err := ctx.Err(); err != nil {
				yield(backup.Object{}, err)
				return
			}
			o, err := objects.Next(ctx)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(backup.Object{}, explain(ctx, "list", prefix, err))
				return
			}
			key := strings.TrimPrefix(o.Key, s.cfg.Prefix)
			if key <= after || o.IsDir {
				continue
			}
			if !yield(backup.Object{Key: key, Size: o.Size}, nil) {
				return
			}
		}
	}
}

// Delete implements backup.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	name, err := s.Name(key)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	err = s.bucket.Delete(ctx, name)
	if gcerrors.Code(err) == gcerrors.NotFound && !denied(err) {
		return nil
	}
	if err != nil {
		return explain(ctx, "delete", key, err)
	}
	return nil
}
