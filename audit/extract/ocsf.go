package extract

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strings"

	"github.com/confide-go/confide/audit"
)

// ocsfVersion is the version of the schema that the records follow.
const ocsfVersion = "1.9.0"

// OCSFConfig completes what a SIEM wants to know and events do not say.
type OCSFConfig struct {
	Product string // metadata.product.name; required
	Vendor  string // metadata.product.vendor_name
	// Chain identifies the chain of attestations, and must not be used for another
	// one: the log's name for an extract of all of it, something longer for a part.
	Chain string // required
}

// OCSF writes events as JSON lines. It ends the file with the last record: the
// fingerprint in there vouches for all before it.
func OCSF(w io.Writer, events iter.Seq2[audit.Event, error], cfg OCSFConfig) error {
	if cfg.Product == "" || cfg.Chain == "" {
		return fmt.Errorf("%w: OCSFConfig needs a Product and a Chain", audit.ErrInvalid)
	}
	out := bufio.NewWriter(w)
	var previous object
	var line []byte
	n := 0
	for e, err := range events {
		if err != nil {
			return stopped(n, err)
		}
		r := cfg.record(e)
		attestation := object{"authority_uid": cfg.Product, "chain_uid": cfg.Chain}
		if previous != nil {
			attestation["prev_event"] = previous
		}
		r["attestation"] = attestation
		line = appendCanonical(line[:0], r)
		sum := sha256.Sum256(line)
		attestation["fingerprint"] = object{"algorithm": "SHA-256", "algorithm_id": 3, "value": hex.EncodeToString(sum[:])}
		previous = object{"uid": e.ID, "type_uid": r["type_uid"], "fingerprint": attestation["fingerprint"]}
		line = append(appendCanonical(line[:0], r), '\n')
		if _, err := out.Write(line); err != nil {
			return fmt.Errorf("extract: write OCSF: %w", err)
		}
		n++
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("extract: write OCSF: %w", err)
	}
	return nil
}

// record maps one event, all but its attestation.
func (cfg OCSFConfig) record(e audit.Event) object {
	verb := e.Action[strings.LastIndexByte(e.Action, '.')+1:]
	r := object{
		"time": e.Time.UnixMilli(), "severity_id": 1, "message": e.Action,
		"metadata": object{"version": ocsfVersion, "profiles": []any{"record_integrity"}, "uid": e.ID, "event_code": e.Action,
			"sequence": e.Seq, "log_name": "audit", "tenant_uid": e.Actor.Tenant, "product": some(object{"name": cfg.Product, "vendor_name": cfg.Vendor}),
			"original_time": e.Time.UTC().Format("2006-01-02T15:04:05.000000Z")},
	}
	user := object{"uid": e.Actor.ID}
	if e.Actor.ID == "" {
		user = object{"name": "unknown"}
	}
	r["actor"] = object{"user": user}
	source := object{"name": "unknown"}
	if e.Actor.IP != "" {
		source = object{"ip": e.Actor.IP}
	}
	switch {
	case strings.HasPrefix(e.Action, "login.") || strings.HasPrefix(e.Action, "logout"):
		activity := 1
		if strings.HasPrefix(e.Action, "logout") {
			activity = 2
		}
		classify(r, 3, 3002, activity, "")
		r["user"], r["src_endpoint"], r["service"] = user, source, object{"name": cfg.Product}
		if len(e.Rows) == 1 { // whose login it was, known or not
			r["user"] = object{"uid": e.Rows[0].ID}
		}
	case strings.HasPrefix(e.Action, "http."):
		classify(r, 6, 6003, 99, verb)
		r["api"], r["src_endpoint"] = object{"operation": text(e, "method") + " " + text(e, "pattern")}, source
	case e.Resource != "":
		activity, known := map[string]int{"create": 1, "read": 2, "reveal": 2, "export": 2, "update": 3, "upsert": 3, "delete": 4}[verb]
		if !known {
			activity = 99
		}
		classify(r, 3, 3004, activity, verb)
		entity := object{"type": e.Resource, "name": e.Resource}
		if len(e.Rows) == 1 {
			entity["uid"] = e.Rows[0].ID
		}
		r["entity"], r["comment"] = entity, e.Purpose
	default:
		classify(r, 0, 0, 99, verb)
	}
	judge(r, e)
	r["unmapped"] = unmapped(e)
	return some(r)
}

// classify sets what follows from the class. A name is given to activities that have none.
func classify(r object, category, class, activity int, name string) {
	r["category_uid"], r["class_uid"], r["activity_id"], r["type_uid"] = category, class, activity, class*100+activity
	if activity == 99 {
		r["activity_name"] = name
	}
}

func judge(r object, e audit.Event) {
	switch e.Result {
	case "ok":
		r["status_id"], r["status"] = 1, "Success"
	case "denied", "failed":
		r["status_id"], r["status"], r["status_detail"], r["severity_id"] = 2, "Failure", e.Result, 2
	default:
		r["status_id"], r["status"] = 99, e.Result
	}
	if e.Action == audit.GapAction {
		r["severity_id"] = 4
	}
}

// unmapped is where OCSF wants what it has no place for.
func unmapped(e audit.Event) object {
	rows := make([]any, len(e.Rows))
	for i, row := range e.Rows {
		rows[i] = some(object{"uid": row.ID, "revision": row.Rev})
	}
	fields := make([]any, len(e.Fields))
	for i, f := range e.Fields {
		fields[i] = f
	}
	attrs := object{}
	for _, a := range e.Attrs {
		switch a.Value.Kind() {
		case slog.KindInt64:
			attrs[a.Key] = a.Value.Int64()
		case slog.KindBool:
			attrs[a.Key] = a.Value.Bool()
		default:
			attrs[a.Key] = a.Value.String()
		}
	}
	return some(object{"rows": rows, "fields": fields, "attributes": attrs, "subject": e.Subject, "purpose": e.Purpose,
		"channel": e.Actor.Channel, "request_uid": e.Actor.RequestID})
}

func text(e audit.Event, key string) string {
	for _, a := range e.Attrs {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}

// some leaves out what is empty. A revision of 0 is none.
func some(o object) object {
	for key, v := range o {
		switch v := v.(type) {
		case string:
			if v == "" {
				delete(o, key)
			}
		case []any:
			if len(v) == 0 {
				delete(o, key)
			}
		case object:
			if len(v) == 0 {
				delete(o, key)
			}
		case int64:
			if v == 0 && key == "revision" {
				delete(o, key)
			}
		}
	}
	return o
}
