//go:build !unix

package filesource

// alive: where it cannot be asked, what a killed run left stays.
func alive(int) bool { return true }
