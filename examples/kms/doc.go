// Package kms holds recipes: key-encryption keys for privacy.Config.KEK that live in a key management
// service. Each folder is one service and can be copied into a program as it is. README.md says which to
// choose, with which rights, at what cost, and what happens when the key is lost.
package kms
