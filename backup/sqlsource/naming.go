package sqlsource

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/backup"
)

// names refuses what the target cannot call by its name, and asks a MySQL server
// what it can do.
func (p *plan) names(ctx context.Context) error {
	var tables []string
	for _, t := range p.tables {
		tables = append(tables, t.Name)
		var columns []string
		for _, c := range t.Columns {
			columns = append(columns, c.Name)
			if err := p.name(c.Name); err != nil {
				return inexact(t.Name, c.Name, err.Error())
			}
			if p.to == Postgres && slices.Contains([]string{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}, c.Name) {
				return inexact(t.Name, c.Name, "has a name that PostgreSQL keeps for itself")
			}
		}
		if same := twice(columns, p.to); same != "" {
			return inexact(t.Name, same, "has the name of another one but for upper and lower case, which are the same to this engine")
		}
		if err := p.name(t.Name); err != nil {
			return refuse(t.Name, err.Error(), "rename it")
		}
		if p.to == SQLite && strings.HasPrefix(strings.ToLower(t.Name), "sqlite_") {
			return refuse(t.Name, "has a name that SQLite keeps for itself", "rename it")
		}
	}
	if same := twice(tables, p.to); same != "" {
		return refuse(same, "has the name of another one but for upper and lower case, which are the same to this engine", "rename it")
	}
	if p.to == MySQL {
		return p.askMySQL(ctx)
	}
	return nil
}

func (p *plan) name(name string) error {
	switch {
	case p.to == Postgres && len(name) > 63:
		return fmt.Errorf("has a name of more than 63 bytes, which PostgreSQL cuts off")
	case p.to == Postgres && (strings.Contains(name, "\x00") || !utf8.ValidString(name)):
		return fmt.Errorf("has a name that is no text")
	case p.to == MySQL && utf8.RuneCountInString(name) > 64:
		return fmt.Errorf("has a name of more than 64 characters")
	case p.to == MySQL && (strings.HasSuffix(name, " ") || strings.ContainsFunc(name, func(r rune) bool { return r == 0 || r > 0xffff })):
		return fmt.Errorf("has a name with a character that MySQL does not take")
	case name == "":
		return fmt.Errorf("has an empty name")
	}
	return nil
}

// twice finds a name that is there once more in other letters.
func twice(names []string, engine string) string {
	if engine == Postgres {
		return ""
	}
	seen := map[string]bool{}
	for _, name := range names {
		folded := strings.ToLower(name)
		if seen[folded] {
			return name
		}
		seen[folded] = true
	}
	return ""
}

// askMySQL finds the collation that tells text apart by its bytes, trailing
// spaces included, and lets the server compare the columns' names: to it, e is é.
func (p *plan) askMySQL(ctx context.Context) error {
	s, err := openSession(ctx, p.database.cfg.DB)
	if err != nil {
		return err
	}
	defer s.end()
	collations, err := s.names(ctx, "SELECT collation_name FROM information_schema.collations WHERE collation_name IN ('utf8mb4_nopad_bin', 'utf8mb4_0900_bin') ORDER BY collation_name")
	if err != nil {
		return err
	}
	if len(collations) == 0 {
		return fmt.Errorf("%w: this MySQL server has no collation that tells text with trailing spaces apart; use MySQL 8.0.17, MariaDB 10.2, or later", backup.ErrUnsupported)
	}
	p.collate = collations[len(collations)-1]
	for _, t := range p.tables {
		var parts []string
		for _, c := range t.Columns {
			parts = append(parts, "SELECT CONVERT(_utf8mb4 "+literal(strings.ReplaceAll(c.Name, `\`, "/"))+" USING utf8mb3) COLLATE utf8mb3_general_ci AS n")
		}
		same, err := s.names(ctx, "SELECT MIN(n) FROM ("+strings.Join(parts, " UNION ALL ")+") AS names GROUP BY n HAVING COUNT(*) > 1")
		if err != nil {
			return err
		}
		if len(same) > 0 {
			return inexact(t.Name, same[0], "has a name that MySQL takes for the same as another one's")
		}
	}
	return nil
}
