// Package peerbench measures audit beside immudb and Tessera: the same events,
// the same durability, in the same run. It is a module of its own and is never
// released, so that nobody who uses audit meets its peers' dependencies.
//
//	go test -bench Append -benchtime 3x
package peerbench
