package audit

import (
	"log/slog"
	"slices"
	"strings"
)

// dataTypesKey is the attribute that holds an event's data types, with commas.
const dataTypesKey = "datatypes"

// addDataTypes gives an event the data types of its fields, unless its author has.
func (l *Log) addDataTypes(e *Event) {
	if l.cfg.DataType == nil || len(e.Fields) == 0 || len(e.dataTypes()) > 0 {
		return
	}
	var list []string
	for _, field := range e.Fields {
		if t := l.cfg.DataType(e.Resource, field); t != "" && !strings.Contains(t, ",") {
			list = append(list, clean(t, maxName))
		}
	}
	if len(list) == 0 {
		return
	}
	slices.Sort(list)
	e.Attrs = append(slices.Clip(e.Attrs), slog.String(dataTypesKey, strings.Join(slices.Compact(list), ",")))
}

// dataTypes are the kinds of data an event is about, such as "contact" or "identity".
func (e *Event) dataTypes() []string {
	for _, a := range e.Attrs {
		if a.Key != dataTypesKey || a.Value.Kind() != slog.KindString {
			continue
		}
		var list []string
		for part := range strings.SplitSeq(a.Value.String(), ",") {
			if part = clean(part, maxID); part != "" && !slices.Contains(list, part) {
				list = append(list, part)
			}
		}
		return list
	}
	return nil
}
