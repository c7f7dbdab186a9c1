// Package extract writes events of an audit log for other programs: OCSF for a
// SIEM, CSV for a spreadsheet, JSON lines with a proof of each event.
//
//	err := extract.OCSF(w, log.Events(ctx, query), extract.OCSFConfig{Product: "crm", Chain: "crm.example/audit/main"})
//	err := extract.CSV(w, log.Events(ctx, query))
//	err := extract.Proofs(ctx, w, log, query)
//	n, err := extract.Seen(ctx, w, log, audit.Query{Resource: "customer", Row: "42"}) // who saw or exported customer 42
//
// All of them stream: their memory does not grow with the number of events. An
// event that was tampered with ends the extract with an error that is
// audit.ErrTampered: a file that leaves out what cannot be vouched for would be
// read as if there were nothing.
//
// # OCSF
//
// Version 1.9.0 with the record_integrity profile. Reads and writes of objects are Entity
// Management (3004), logins Authentication (3002), refused requests API Activity
// (6003), everything else Base Event (0). Each record carries an attestation: the
// SHA-256 of its canonical serialization (RFC 8785, without fingerprint itself), and the
// uid and fingerprint of the record before it. That chain holds the extract
// together; it is not the log's own chain, which hashes other bytes, and it is not
// signed: what proves an event to an outsider is Proofs. Integers that a double
// cannot hold are strings.
//
// # CSV
//
// A cell that a spreadsheet would take for a formula begins with an apostrophe.
// Lists are joined by spaces, attributes are key=value.
package extract
