//go:build unix

package filesource

import "syscall"

// alive reports whether a process exists. When in doubt it does.
func alive(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }
