package extract

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
)

// csvHeader names the columns of CSV, in their order.
func csvHeader() []string {
	return []string{"seq", "id", "time", "tenant", "actor", "ip", "channel", "request", "action", "resource", "rows", "fields", "subject", "purpose", "result", "attributes"}
}

// CSV writes events with a header line. Times are RFC 3339 in UTC.
func CSV(w io.Writer, events iter.Seq2[audit.Event, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(csvHeader()); err != nil {
		return fmt.Errorf("extract: write CSV: %w", err)
	}
	n := 0
	for e, err := range events {
		if err != nil {
			return stopped(n, err)
		}
		rows := make([]string, len(e.Rows))
		for i, r := range e.Rows {
			rows[i] = r.ID
		}
		line := []string{strconv.FormatInt(e.Seq, 10), e.ID, e.Time.UTC().Format(time.RFC3339Nano), e.Actor.Tenant, e.Actor.ID, e.Actor.IP, e.Actor.Channel,
			e.Actor.RequestID, e.Action, e.Resource, strings.Join(rows, " "), strings.Join(e.Fields, " "), e.Subject, e.Purpose, e.Result, attributes(e.Attrs)}
		for i := range line {
			line[i] = neutral(line[i])
		}
		if err := out.Write(line); err != nil {
			return fmt.Errorf("extract: write CSV: %w", err)
		}
		n++
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("extract: write CSV: %w", err)
	}
	return nil
}

func stopped(n int, err error) error {
	return fmt.Errorf("extract: stopped after %d events: %w", n, err)
}

func attributes(attrs []slog.Attr) string {
	list := make([]string, len(attrs))
	for i, a := range attrs {
		list[i] = a.Key + "=" + a.Value.String()
	}
	return strings.Join(list, " ")
}

// neutral keeps a spreadsheet from taking a text for a formula: some look past
// leading blanks, and some at full-width signs.
func neutral(s string) string {
	first := strings.TrimLeft(s, " \t\r\n\u00a0\u3000\ufeff")
	if first == "" || !strings.ContainsRune("=+-@|%＝＋－＠", []rune(first)[0]) {
		if s == "" || !strings.ContainsRune("\t\r\n", rune(s[0])) {
			return s
		}
	}
	return "'" + s
}
