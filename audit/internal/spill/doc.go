// Package spill keeps records on a local disk until they are in the database.
//
// Every process that opens a directory gets a session of its own: a file that
// it holds locked while it lives, with room for a small ledger, and segments of
// records. What a process left behind when it died is taken over by the next one
// that looks (Adopt): the lock tells the dead from the living, so any number of
// processes may share one directory. A record may be handed out twice, before
// and after a crash; the receiver must recognise it.
//
// The bytes are specified in audit/FORMAT.md.
package spill
