package gormstore

import "github.com/confide-go/confide/audit"

// SelectionSQL is the statement by which Entries answers, as the engine gets it.
func (s *Store) SelectionSQL(sel audit.Selection) (string, []any) {
	query, args := s.selection(sel)
	return s.bind(query), args
}
