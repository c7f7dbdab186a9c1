// Package s3store keeps a backup repository in an S3 bucket, and in whatever
// speaks its protocol: Aliyun OSS, Tencent COS, versitygw and others.
//
// # What it does
//
// Reading and listing go through gocloud.dev's driver. A put goes past it, to the
// SDK, for three things: it is one request whatever the size (an upload in parts is
// where clients and servers have lost conditions), it carries a SHA-256 that the
// server checks, and it can set the object's retention. A delete removes every
// version, for a plain one only hides the object where versions are kept.
//
// # The three calls you need
//
//	store, err := s3store.Open(ctx, s3store.Config{Client: client, Bucket: "crm-backup", Retain: 30 * 24 * time.Hour})
//	report, err := probe.Run(ctx, store, probe.Config{})  // what of it is true here
//	json := s3store.Policy(s3store.PolicyConfig{...})     // the least that each role needs
//
// # What you must supply
//
// A bucket; for Retain one that was made with object lock, which cannot be added
// to every bucket later. The clock of the server decides when a lock ends.
//
// # What is NOT protected
//
// Retain promises what the service keeps. Some accept it and delete all the same:
// only a probe tells. What is locked cannot be erased: a repository of keys that
// must be forgotten belongs under a lock that is shorter than the promised time,
// or under none.
//
// # How it fails
//
// As backup.Store says; what a lock or missing rights refuse is fs.ErrPermission,
// and a lock in a bucket that has none is errors.ErrUnsupported.
package s3store
