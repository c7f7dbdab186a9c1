// Package escrow lets people open a database again whose key-encryption key is lost: the key management
// service's key was deleted, the account closed, the key file's disk broken.
//
// Each recovery recipient has a key pair made by NewIdentity and keeps the private half offline. Seal wraps the
// keys of all tenants under a fresh file key and seals that to the recipients, so that any k of n of them can
// open it together and fewer learn nothing. The result is a text file. It holds no personal data, but with k
// private keys it opens the database, for as long as the tenants' keys live: store it like a key.
//
//	ana, err := escrow.NewIdentity("ana")                  // on Ana's machine; she keeps escrow.WriteIdentity's file
//	box, err := escrow.Seal(ctx, source, escrow.Plan{Recipients: recipients, Threshold: 2})
//	err = box.Write("crm.escrow")
//
//	report, err := escrow.Drill(ctx, target, box, ana, ben) // every quarter: does it still open everything?
//	report, err := escrow.Recover(ctx, target, box, escrow.Recovery{KEK: newKEK}, ana, ben)
//
// # k of n
//
// There is no secret sharing here: no implementation of it for Go is both small and widely reviewed. The file
// key is instead sealed once for each subset of k recipients, to its members one inside the other, with HPKE.
// That is n over k boxes, so n is 8 at most. All k private keys are needed on one machine at a time; choose
// one that is offline.
//
// # What grows stale
//
// An escrow holds the tenants' keys of its day. Tenants made later, and data keys made later by a rotation, are
// not in it. Status finds tenants without any private key, by comparing what is stored; Drill proves that each
// tenant's keys open the index keyset and every person's key in the database. Seal again after a rotation of
// data keys, and whenever Status says so. Personal keys are not in an escrow: who was erased stays erased.
//
// # What is not protected
//
// Everybody who has the recipients' public keys can make an escrow of keys of their own choice; what keeps it
// from being taken for yours is that Drill and Recover refuse keys that do not open the database. Record the
// Digest of your escrow in the audit log, as Drill's report does. HPKE runs with X-Wing, which stays secret
// if either X25519 or ML-KEM-768 does: an escrow is copied today and must still be closed in twenty years.
package escrow
