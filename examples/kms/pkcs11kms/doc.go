// Package pkcs11kms makes an AES key in a hardware security module the KEK of a privacy.Vault, through
// PKCS #11. The key never leaves the module. The package needs cgo; without it only this comment is left.
package pkcs11kms
