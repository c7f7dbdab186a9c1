package backuptest

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/confide-go/confide/backup"
)

// RunStore checks the contract of backup.Store. Each call of open returns a new
// store, empty.
func RunStore(t *testing.T, open func(t *testing.T) backup.Store) {
	for _, r := range append(writeRules(), deleteRules()...) {
		t.Run(r.name, func(t *testing.T) { r.check(t, open(t)) })
	}
}

// RunWriteOnceStore checks the contract of a store that refuses to delete, for
// lack of a right or because what it returns from open retains all objects.
func RunWriteOnceStore(t *testing.T, open func(t *testing.T) backup.Store) {
	for _, r := range append(writeRules(), rule{"a delete is refused with fs.ErrPermission and the object stays", storeRefusesDelete}) {
		t.Run(r.name, func(t *testing.T) { r.check(t, open(t)) })
	}
}

// BrokenRules is RunStore outside of a test: it returns the rules that a store
// breaks, each with what was seen. open returns a new store, empty.
func BrokenRules(ctx context.Context, open func() backup.Store) map[string]string {
	return brokenRules(ctx, append(writeRules(), deleteRules()...), open)
}

func brokenRules(ctx context.Context, rules []rule, open func() backup.Store) map[string]string {
	broken := map[string]string{}
	for _, r := range rules {
		seen := &observer{ctx: ctx}
		done := make(chan struct{})
		go func() { // FailNow ends the goroutine
			defer close(done)
			r.check(seen, open())
		}()
		<-done
		if len(seen.failures) > 0 {
			broken[r.name] = strings.Join(seen.failures, "\n")
		}
	}
	return broken
}

// T is what a rule needs of a *testing.T.
type T interface {
	Errorf(format string, args ...any)
	FailNow()
	Helper()
	Context() context.Context
}

// An observer is a T that remembers.
type observer struct {
	ctx      context.Context
	failures []string
}

func (o *observer) Errorf(format string, args ...any) {
	o.failures = append(o.failures, fmt.Sprintf(format, args...))
}
func (o *observer) FailNow() {
	if len(o.failures) == 0 {
		o.failures = append(o.failures, "failed")
	}
	runtime.Goexit()
}
func (o *observer) Helper()                  {}
func (o *observer) Context() context.Context { return o.ctx }

type rule struct {
	name  string
	check func(t T, s backup.Store)
}

func writeRules() []rule {
	return []rule{
		{"an object is read back as it was put", storeRoundTrip},
		{"every key that is allowed can be used", storeKeys},
		{"a second put of a key is fs.ErrExist and changes nothing", storePutIfAbsent},
		{"a second put of a large object is fs.ErrExist and changes nothing", storePutLargeIfAbsent},
		{"of many writers that race, exactly one succeeds", storeRace},
		{"an object is seen whole or not at all", storeWhole},
		{"a get returns the asked range and no more", storeRanges},
		{"what is missing is fs.ErrNotExist", storeMissing},
		{"a list is complete, ordered by bytes, and bounded by prefix and after", storeList},
		{"a list of thousands is complete and ordered", storeLongList},
		{"a put after the context has ended fails and leaves nothing", storeCancelled},
		{"a list ends with its context", storeListCancelled},
	}
}

func deleteRules() []rule {
	return []rule{
		{"a list survives deletes meanwhile and stops when told", storeListWhileDeleting},
		{"a delete removes, and of a missing object it is no error", storeDelete},
		{"what was deleted can be put again, once", storePutAfterDelete},
	}
}
