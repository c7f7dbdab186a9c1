package attach

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Store holds sealed objects. Ids are 32 lower-case hexadecimal digits. Test an implementation with
// attachtest.TestStore.
type Store interface {
	// Put stores what r holds to its end, durably, or nothing: if r or the store fails there is no object. The
	// error wraps fs.ErrExist if there is an object of that id already, which stays as it is.
	Put(ctx context.Context, id string, r io.Reader) error

	// Get returns length bytes from offset, fewer where the object ends, none behind its end. The error wraps
	// fs.ErrNotExist if there is no such object.
	Get(ctx context.Context, id string, offset, length int64) ([]byte, error)

	// Delete removes an object or a part, named as List named it. It is no error if there is none.
	Delete(ctx context.Context, id string) error

	// List yields all objects and what unfinished Puts left, in any order.
	List(ctx context.Context) iter.Seq2[Object, error]
}

// An Object is what a Store knows of an object.
type Object struct {
	ID       string
	Size     int64 // bytes as stored
	Modified time.Time
	// Partial marks what a Put that never ended has left. Its ID is the store's own and serves Delete only.
	Partial bool
}
