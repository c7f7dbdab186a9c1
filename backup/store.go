package backup

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"strings"
	"time"
)

// A Store keeps immutable objects under keys. It is all a repository needs, and
// Run uses only Put, Get, Stat and List, so a write-once store and credentials
// that cannot delete are enough. backuptest.RunStore checks the contract, and
// package probe says how much of it one bucket keeps:
//
// CheckKey says what a key may be, and no key is a directory prefix of another.
// Put, Get, Stat and List are strongly consistent: when Put has returned nil, the
// object is durable, whole, and seen by everybody. A Put that fails may have
// stored the object, whole, or not at all; never a part of it. What the store
// refuses, for credentials that lack the right or for a retention that has not
// ended, is fs.ErrPermission.
//
// Objects are byte slices, not streams, because each is sealed as a whole and
// most are below 4 MiB: a slice can be sent again after a failure, sent to
// several stores, and compared.
type Store interface {
	// Put stores data under key, or returns an error that wraps fs.ErrExist and
	// changes nothing if there is an object of that key. Of several writers that
	// race, exactly one succeeds. It does not keep data, nor read it after it
	// has returned.
	Put(ctx context.Context, key string, data []byte) error
	// Get returns length bytes from offset, fewer if the object ends before, and
	// all the rest if length is negative. A missing object is fs.ErrNotExist; an
	// offset beyond the end gives no bytes and no error.
	Get(ctx context.Context, key string, offset, length int64) ([]byte, error)
	// Stat returns the object's key and size, or fs.ErrNotExist.
	Stat(ctx context.Context, key string) (Object, error)
	// List yields the objects whose key begins with prefix and is greater than
	// after, in ascending byte order of their keys. It stops at the first error.
	List(ctx context.Context, prefix, after string) iter.Seq2[Object, error]
	// Delete removes an object for good, with all its versions; a missing one is
	// not an error. Only Prune calls it.
	Delete(ctx context.Context, key string) error
}

// An Object is what a store knows about one object.
type Object struct {
	Key  string
	Size int64
}

// A Retainer is a Store that can refuse, to everybody, to delete or replace an
// object before a time, such as S3 with object lock. Find it with AsRetainer.
type Retainer interface {
	// Retain forbids deleting the object before until. It never shortens: an
	// earlier time than the present one is an error or changes nothing.
	Retain(ctx context.Context, key string, until time.Time) error
	// RetainedUntil returns until when the object is kept, the zero time if it
	// may be deleted at any moment, and fs.ErrNotExist if it is missing.
	RetainedUntil(ctx context.Context, key string) (time.Time, error)
}

// AsRetainer returns the Retainer that a store is, or that it decorates. A
// decorator whose ability depends on the stores below says so by a method
// AsRetainer, whose Retainer does for these requests what the decorator does for
// others; one that does nothing for them has a method Unwrap.
func AsRetainer(s Store) (Retainer, bool) {
	for s != nil {
		switch d := s.(type) {
		case Retainer:
			return d, true
		case interface{ AsRetainer() (Retainer, bool) }:
			return d.AsRetainer()
		case interface{ Unwrap() Store }:
			s = d.Unwrap()
		default:
			return nil, false
		}
	}
	return nil, false
}

// ProbePrefix begins the keys of what package probe leaves in a store whose
// objects cannot be deleted. A repository takes no notice of them.
const ProbePrefix = "probe/"

// CheckKey returns an error that wraps fs.ErrInvalid unless key is 1 to 200 of a-z, 0-9, '/', '-', '_' and
// '.', and each of its parts between slashes is a file name everywhere: not
// empty, without a dot at either end, and not a device of Windows.
func CheckKey(key string) error {
	if len(key) == 0 || len(key) > 200 {
		return invalid("a key has 1 to 200 bytes")
	}
	for _, c := range []byte(key) {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("/-_.", c) >= 0) {
			return invalid("a key consists of a-z, 0-9, '/', '-', '_' and '.'")
		}
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || part[len(part)-1] == '.' {
			return invalid("a part of a key may not be empty, nor begin or end with a dot")
		}
		if device(part) {
			return invalid("a part of a key may not be the name of a device of Windows")
		}
	}
	return nil
}

func invalid(rule string) error { return fmt.Errorf("%w: %s", fs.ErrInvalid, rule) }

func device(part string) bool {
	name, _, _ := strings.Cut(part, ".")
	switch name {
	case "con", "prn", "aux", "nul":
		return true
	}
	return len(name) == 4 && (name[:3] == "com" || name[:3] == "lpt") && '0' <= name[3] && name[3] <= '9'
}
