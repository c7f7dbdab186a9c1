package audit

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"
	"unicode/utf8"
)

// The encodings are specified in FORMAT.md and frozen by testdata/vectors.json.
const (
	eventVersion   = 1 // of events without changes
	changesVersion = 2 // of events with changes
	attrString     = 's'
	attrInt        = 'i'
	attrBool       = 'b'
)

var errMalformed = errors.New("malformed")

func appendText(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// appendEvent appends the encoding of e, which must be normalized.
func appendEvent(b []byte, e *Event) ([]byte, error) {
	id, err := hex.DecodeString(e.ID)
	if err != nil || len(id) != idLength {
		return nil, fmt.Errorf("audit: event id: %w", errMalformed)
	}
	start := len(b)
	version := byte(eventVersion)
	if len(e.Changes) > 0 {
		version = changesVersion
	}
	b = append(append(b, version), id...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time.UnixMicro()))
	for _, s := range [...]string{e.Actor.Tenant, e.Actor.ID, e.Actor.IP, e.Actor.Channel, e.Actor.RequestID,
		e.Action, e.Resource, e.Subject, e.Purpose, e.Result} {
		b = appendText(b, s)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Rows)))
	for _, r := range e.Rows {
		b = binary.BigEndian.AppendUint64(appendText(b, r.ID), uint64(r.Rev))
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(e.Fields)))
	for _, f := range e.Fields {
		b = appendText(b, f)
	}
	if b, err = appendAttrs(b, e.Attrs); err != nil {
		return nil, err
	}
	if version == changesVersion {
		if b, err = appendChanges(b, e); err != nil {
			return nil, err
		}
	}
	if len(b)-start > maxEvent {
		return nil, fmt.Errorf("%w: %s takes %d bytes; keep an event below %d", ErrInvalid, e.Action, len(b)-start, maxEvent)
	}
	return b, nil
}

func appendAttrs(b []byte, attrs []slog.Attr) ([]byte, error) {
	b = binary.BigEndian.AppendUint32(b, uint32(len(attrs)))
	for _, a := range attrs {
		b = appendText(b, a.Key)
		switch a.Value.Kind() {
		case slog.KindString:
			b = appendText(append(b, attrString), a.Value.String())
		case slog.KindInt64:
			b = binary.BigEndian.AppendUint64(append(b, attrInt), uint64(a.Value.Int64()))
		case slog.KindBool:
			b = append(b, attrBool, 0)
			if a.Value.Bool() {
				b[len(b)-1] = 1
			}
		default:
			return nil, fmt.Errorf("audit: attribute %s: %w", a.Key, errMalformed)
		}
	}
	return b, nil
}

// A decoder reads what the encoders write and remembers that it failed.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) bytes(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) byte() byte {
	if p := d.bytes(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if p := d.bytes(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (d *decoder) int64() int64 {
	if p := d.bytes(8); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

func (d *decoder) text() string {
	p := d.bytes(uint64(d.uint32()))
	if !utf8.Valid(p) {
		d.bad = true
		return ""
	}
	return string(p)
}

// count reads the length of a list whose elements take at least size bytes, so
// that a forged length cannot make the reader allocate.
func (d *decoder) count(size int) int {
	n := d.uint32()
	if uint64(n)*uint64(size) > uint64(len(d.b)) {
		d.bad = true
		return 0
	}
	return int(n)
}

// decodeEvent reads exactly what appendEvent writes: any other input, and any
// second spelling of the same event, is an error.
func decodeEvent(b []byte) (Event, error) {
	d := &decoder{b: b}
	var e Event
	version := d.byte()
	if version != eventVersion && version != changesVersion {
		return e, fmt.Errorf("audit: event format %d is not known; upgrade the library: %w", version, errMalformed)
	}
	e.ID = hex.EncodeToString(d.bytes(idLength))
	e.Time = time.UnixMicro(d.int64()).UTC()
	for _, s := range [...]*string{&e.Actor.Tenant, &e.Actor.ID, &e.Actor.IP, &e.Actor.Channel, &e.Actor.RequestID,
		&e.Action, &e.Resource, &e.Subject, &e.Purpose, &e.Result} {
		*s = d.text()
	}
	if n := d.count(12); n > 0 {
		e.Rows = make([]Row, n)
		for i := range e.Rows {
			e.Rows[i] = Row{ID: d.text(), Rev: d.int64()}
		}
	}
	if n := d.count(4); n > 0 {
		e.Fields = make([]string, n)
		for i := range e.Fields {
			e.Fields[i] = d.text()
		}
	}
	e.Attrs = d.attrs()
	if version == changesVersion {
		e.Changes = d.changes(&e)
	}
	if d.bad || len(d.b) != 0 || len(b) > maxEvent {
		return Event{}, fmt.Errorf("audit: event: %w", errMalformed)
	}
	return e, nil
}

func (d *decoder) attrs() []slog.Attr {
	n := d.count(6)
	if n == 0 {
		return nil
	}
	attrs := make([]slog.Attr, n)
	for i := range attrs {
		attrs[i].Key = d.text()
		switch d.byte() {
		case attrString:
			attrs[i].Value = slog.StringValue(d.text())
		case attrInt:
			attrs[i].Value = slog.Int64Value(d.int64())
		case attrBool:
			v := d.byte()
			d.bad = d.bad || v > 1
			attrs[i].Value = slog.BoolValue(v == 1)
		default:
			d.bad = true
		}
	}
	return attrs
}
