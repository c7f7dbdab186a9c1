//go:build unix

package audit_test

import (
	"syscall"
	"time"
)

// cpuTime is the processor time of this process so far: it tells about the code also where other work
// keeps the processors busy.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
