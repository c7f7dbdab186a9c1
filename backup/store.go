package backup

import (
	"context"
	"iter"
)

// A Store keeps immutable objects under keys. It is all a repository needs, and
// Run uses only Put, Get and List, so a write-once store and credentials that
// cannot delete are enough. backuptest.RunStore checks the contract:
//
// Keys consist of a-z, 0-9, '/', '-', '_' and '.', are at most 200 bytes long,
// and no key is a directory prefix of another. Put, Get, Stat and List are
// strongly consistent: when Put has returned nil, the object is durable, whole,
// and seen by everybody. A Put that fails may have stored the object, whole, or
// not at all; never a part of it.
type Store interface {
	// Put stores data under key, or returns an error that wraps fs.ErrExist and
	// changes nothing if there is an object of that key. Of several writers that
	// race, exactly one succeeds. It does not keep data.
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
	// Delete removes an object; a missing one is not an error. Only Prune calls it.
	Delete(ctx context.Context, key string) error
}

// An Object is what a store knows about one object.
type Object struct {
	Key  string
	Size int64
}
