// Package masking shows personal data no further than its reader may see it. It needs nothing but the
// standard library.
//
// # What it does
//
// It masks values whose kind is known (a phone number, a name, a card), finds personal data in text whose
// content is not known, and puts both at every exit of a program: strings, structs, JSON, logs. It knows
// Chinese and international conventions.
//
// # The calls you need
//
//	masking.Phone("13800138000")                          // 138****8000
//	masking.Copy(customer, masking.Partial)               // by `mask:"phone"` tags
//	slog.New(masking.NewHandler(next, masking.HandlerConfig{}))
//
// # What you must supply
//
// Tags on your structs (Check finds the ones you forgot), and a key if you use pseudonyms. Everything else
// has a default; Policy holds what can be chosen.
//
// # What is not protected
//
// A mask is de-identification, not anonymisation: who knows something about a person can often tell which
// of a few thousand candidates a mask stands for. Names in running text are found only next to words that
// announce a name. Unexported fields of a copied struct stay as they are.
//
// # How it fails
//
// Closed. A value that does not look like its kind, a kind or level that does not exist, a value nested too
// deep: all of them show ****** or return an error and nothing else. No function panics on any input.
//
// # Compatibility
//
// The shape of a mask is stable within a major version, except where it turns out to show too much. What is
// found in text grows.
package masking
