// Package blobstore keeps a backup repository in a bucket of an object store,
// through gocloud.dev/blob. It is a module of its own, so that who does not use it
// never meets a cloud SDK.
//
// # What it does
//
// It makes a backup.Store of any *blob.Bucket. A put is conditional on the
// service's side, "only if there is none": gocloud's IfNotExist, which its drivers
// send as If-None-Match (S3, Azure) and ifGenerationMatch (GCS). For S3, and what
// speaks its protocol, such as Aliyun OSS and Tencent COS, use package s3store: it
// also knows object lock, versions and policies.
//
// # The three calls you need
//
//	bucket, err := gcsblob.OpenBucket(ctx, client, "name", nil) // or azureblob
//	store, err := blobstore.New(bucket, blobstore.Config{Prefix: "crm/"})
//	report, err := probe.Run(ctx, store, probe.Config{})        // what of it is true here
//
// # What you must supply
//
// A bucket and credentials that may read, list and create; only Prune needs
// credentials that may delete. Lifecycle rules must leave the prefix alone.
//
// # What is tested, and what is not
//
// The conformance suite of backuptest runs on gocloud's memblob here, and on a real
// S3 server in package s3store. The drivers for GCS and Azure are compiled in a
// test and nothing more: no real server of theirs runs here. Run probe on your
// bucket before you rely on it.
//
// # What is NOT protected
//
// Delete removes what the service shows. Where versions or soft delete are
// enabled in GCS or Azure, it keeps what it hides for as long as you configured,
// and so does an object that Prune removed. S3 is different: see s3store.
//
// # How it fails
//
// As backup.Store says: fs.ErrExist, fs.ErrNotExist, fs.ErrPermission. GCS answers
// "forbidden" also of what is missing, to credentials that may not list.
package blobstore
