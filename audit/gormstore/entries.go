package gormstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"

	"github.com/confide-go/confide/audit"
)

// Entries implements audit.Store. Entries and their rows are read from one
// snapshot, for Prune removes both at once.
func (s *Store) Entries(ctx context.Context, sel audit.Selection) (entries []audit.Stored, err error) {
	query, args := s.selection(sel)
	err = s.snapshot(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, s.bind(query), args...)
		entries, err = scan(rows, err, func(rows *sql.Rows) (e audit.Stored, err error) {
			x := &e.Index
			return e, rows.Scan(&e.Log, &e.Seq, &x.Event, &x.At, &x.Actor, &x.Action, &x.Resource, &x.Result, &e.Hash, &e.Data)
		})
		if err != nil || len(entries) == 0 {
			return err
		}
		return s.addRows(ctx, tx, sel.Log, entries)
	})
	return entries, err
}

func (s *Store) selection(sel audit.Selection) (string, []any) {
	query := `SELECT e.log_id, e.seq, e.event, e.at, e.actor, e.action, e.resource, e.result, e.hash, e.data FROM confide_audit_entries e`
	var where []string
	var args []any
	and := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	seq := "e.seq"
	wanted := termsOf(sel)
	if len(wanted) > 0 && drives(wanted[0], sel) { // one object's or person's history is a short range of the row index
		query = strings.Replace(query, "FROM confide_audit_entries e", `FROM confide_audit_rows r
			JOIN confide_audit_entries e ON e.log_id = r.log_id AND e.seq = r.seq`, 1)
		seq = "r.seq"
		and("r.log_id = ? AND r.resource = ? AND r.row_id = ?", sel.Log, wanted[0].resource, wanted[0].row)
		wanted = wanted[1:]
	}
	and("e.log_id = ?", sel.Log)
	and(seq+" >= ? AND "+seq+" <= ?", sel.MinSeq, sel.MaxSeq)
	if sel.Since != 0 {
		and("e.at >= ?", sel.Since)
	}
	if sel.Until != 0 {
		and("e.at < ?", sel.Until)
	}
	for _, c := range []struct{ column, value string }{
		{"e.actor", sel.Actor}, {"e.action", sel.Action}, {"e.resource", sel.Resource}, {"e.result", sel.Result},
	} {
		if c.value != "" {
			and(c.column+" = ?", c.value)
		}
	}
	for _, t := range wanted {
		and("EXISTS (SELECT 1 FROM confide_audit_rows x WHERE x.log_id = ? AND x.resource = ? AND x.row_id = ? AND x.seq = "+seq+")", sel.Log, t.resource, t.row)
	}
	query += " WHERE " + strings.Join(where, " AND ") + " ORDER BY " + seq
	if sel.Descending {
		query += " DESC"
	}
	return query + " LIMIT " + strconv.Itoa(sel.Limit), args
}

// addRows completes the index of entries with what the row index says about them.
func (s *Store) addRows(ctx context.Context, tx execer, log string, entries []audit.Stored) error {
	type ref struct {
		row, resource string
		seq           int64
	}
	at := make(map[int64]*audit.Stored, len(entries))
	low, high := entries[0].Seq, entries[0].Seq
	for i := range entries {
		at[entries[i].Seq] = &entries[i]
		low, high = min(low, entries[i].Seq), max(high, entries[i].Seq)
	}
	query, args := "SELECT row_id, resource, seq FROM confide_audit_rows WHERE log_id = ? AND seq BETWEEN ? AND ? ORDER BY seq, resource, row_id", []any{log, low, high}
	if high-low >= int64(2*len(entries)) { // a sparse page: ask for its places only
		query = "SELECT row_id, resource, seq FROM confide_audit_rows WHERE log_id = ? AND seq IN " + places(1, len(entries)) + " ORDER BY seq, resource, row_id"
		args = args[:1]
		for i := range entries {
			args = append(args, entries[i].Seq)
		}
	}
	rows, err := tx.QueryContext(ctx, s.bind(query), args...)
	refs, err := scan(rows, err, func(rows *sql.Rows) (r ref, err error) {
		return r, rows.Scan(&r.row, &r.resource, &r.seq)
	})
	for _, r := range refs {
		if e := at[r.seq]; e != nil {
			addTerm(&e.Index, term{r.resource, r.row})
		}
	}
	return err
}
