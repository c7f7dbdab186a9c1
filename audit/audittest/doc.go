// Package audittest holds the rules of package audit as tests: RunStore for
// everybody who writes an audit.Store, CheckLog for everybody who uses a log
// and wants to know, at the end of a test, that it is whole.
package audittest
