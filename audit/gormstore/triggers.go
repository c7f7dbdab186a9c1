package gormstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/audit"
)

// A trigger watches one kind of write to one table.
type trigger struct {
	table, verb, name string
	create            string
	body              string // what the catalog must say of it
}

var verbs = []string{"insert", "update", "delete"}

// InstallTriggers puts triggers on the tables of models that write down every
// changed row, unless the statement carries the marker: give Log.Marker and set
// Config.Triggers first, in all processes. Existing ones are replaced. The work is
// done outside of any transaction of yours.
func (s *Store) InstallTriggers(ctx context.Context, db *gorm.DB, marker string, models ...any) error {
	triggers, err := s.triggers(db, marker, models)
	if err != nil {
		return err
	}
	if s.engine == postgres {
		if _, err := s.pool.ExecContext(ctx, postgresFunction(marker)); err != nil {
			return fmt.Errorf("gormstore: make the trigger function: %w", err)
		}
	}
	for _, t := range triggers {
		if err := s.drop(ctx, t); err != nil {
			return err
		}
		if _, err := s.pool.ExecContext(ctx, t.create); err != nil {
			return fmt.Errorf("gormstore: make the trigger %s: %w", t.name, err)
		}
	}
	return nil
}

// RemoveTriggers takes the triggers of InstallTriggers away again.
func (s *Store) RemoveTriggers(ctx context.Context, db *gorm.DB, models ...any) error {
	triggers, err := s.triggers(db, "", models)
	for _, t := range triggers {
		if err := s.drop(ctx, t); err != nil {
			return err
		}
	}
	return err
}

func (s *Store) drop(ctx context.Context, t trigger) error {
	statement := "DROP TRIGGER IF EXISTS " + t.name
	if s.engine == postgres {
		statement += " ON " + quote(s.engine, t.table)
	}
	if _, err := s.pool.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("gormstore: drop the trigger %s: %w", t.name, err)
	}
	return nil
}

// TriggerDrift tells where the database has not what InstallTriggers would make:
// one sentence for each trigger that is missing, disabled or another one.
func (s *Store) TriggerDrift(ctx context.Context, db *gorm.DB, marker string, models ...any) ([]string, error) {
	triggers, err := s.triggers(db, marker, models)
	if err != nil {
		return nil, err
	}
	have, err := s.installed(ctx)
	if err != nil {
		return nil, err
	}
	var drift []string
	for _, t := range triggers {
		body, ok := have[t.name]
		switch {
		case !ok:
			drift = append(drift, fmt.Sprintf("%s: the trigger for %s is missing", t.table, t.verb))
		case body == "disabled":
			drift = append(drift, fmt.Sprintf("%s: the trigger for %s is disabled", t.table, t.verb))
		case squeeze(body) != squeeze(t.body):
			drift = append(drift, fmt.Sprintf("%s: the trigger for %s is not the one that was installed", t.table, t.verb))
		}
	}
	return drift, nil
}

// installed returns the bodies of our triggers by name.
func (s *Store) installed(ctx context.Context) (map[string]string, error) {
	query := map[string]string{
		sqlite: "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'confide_audit_%'",
		mysql:  "SELECT trigger_name, action_statement FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name LIKE 'confide_audit_%'",
		postgres: `SELECT t.tgname, CASE WHEN t.tgenabled IN ('D', 'R') THEN 'disabled' ELSE p.prosrc END FROM pg_trigger t
			JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
			WHERE NOT t.tgisinternal AND t.tgname LIKE 'confide_audit_%' AND c.relnamespace = current_schema()::regnamespace`,
	}[s.engine]
	rows, err := s.pool.QueryContext(ctx, query)
	list, err := scan(rows, err, func(rows *sql.Rows) (t trigger, err error) {
		return t, rows.Scan(&t.name, &t.body)
	})
	have := make(map[string]string, len(list))
	for _, t := range list {
		have[t.name] = t.body
	}
	return have, err
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

// triggers says which triggers the models' tables must have.
func (s *Store) triggers(db *gorm.DB, marker string, models []any) ([]trigger, error) {
	var list []trigger
	for _, model := range models {
		stmt := &gorm.Statement{DB: db}
		if err := stmt.Parse(model); err != nil {
			return nil, fmt.Errorf("gormstore: triggers: %w", err)
		}
		if len(stmt.Schema.PrimaryFields) == 0 {
			return nil, fmt.Errorf("%w: the table %s has no primary key to name its rows by", audit.ErrInvalid, stmt.Schema.Table)
		}
		if strings.ContainsAny(stmt.Schema.Table, "'\\") {
			return nil, fmt.Errorf("%w: the table name %q cannot be put into a trigger", audit.ErrInvalid, stmt.Schema.Table)
		}
		list = append(list, s.triggersOf(stmt.Schema, marker)...)
	}
	return list, nil
}

func (s *Store) triggersOf(t *schema.Schema, marker string) []trigger {
	var list []trigger
	kinds := verbs
	if s.engine == postgres {
		kinds = append(slices.Clone(kinds), "truncate")
	}
	for _, verb := range kinds {
		one := trigger{table: t.Table, verb: verb, name: triggerName(t.Table, verb)}
		switch s.engine {
		case postgres:
			one.body = postgresBody(marker)
			one.create = postgresTrigger(one, t)
		case mysql:
			one.body = fmt.Sprintf("IF @confide_audit IS NULL OR @confide_audit <> '%s' THEN %s; END IF", marker, insertSeen(one, s.rowID(t, verb), "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS signed)"))
			one.create = fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH ROW %s", one.name, strings.ToUpper(verb), quote(s.engine, t.Table), one.body)
		default:
			one.create = fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH ROW WHEN NOT EXISTS (SELECT 1 FROM confide_audit_marker WHERE marker = '%s') BEGIN %s; END",
				one.name, strings.ToUpper(verb), quote(s.engine, t.Table), marker, insertSeen(one, s.rowID(t, verb), "CAST((julianday('now') - 2440587.5) * 86400000000 AS integer)"))
			one.body = one.create
		}
		list = append(list, one)
	}
	return list
}

func triggerName(table, verb string) string {
	sum := sha256.Sum256([]byte(table))
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return -1
	}, strings.ToLower(table))
	return fmt.Sprintf("confide_audit_%.24s_%s_%s", name, hex.EncodeToString(sum[:3]), verb)
}

func quote(engine, name string) string {
	q := `"`
	if engine == mysql {
		q = "`"
	}
	return q + strings.ReplaceAll(name, q, q+q) + q
}

func insertSeen(t trigger, id, now string) string {
	return fmt.Sprintf("INSERT INTO confide_audit_outside (tbl, verb, row_id, at) VALUES ('%s', '%s', %s, %s)", t.table, t.verb, id, now)
}

// rowID is the expression that spells a row's key the way the plugin does.
func (s *Store) rowID(t *schema.Schema, verb string) string {
	row := "NEW."
	if verb == "delete" {
		row = "OLD."
	}
	parts := make([]string, len(t.PrimaryFields))
	for i, f := range t.PrimaryFields {
		column := row + quote(s.engine, f.DBName)
		switch {
		case f.DataType == schema.Bytes:
			parts[i] = "LOWER(HEX(" + column + "))"
		case s.engine == mysql:
			parts[i] = "CAST(" + column + " AS char)"
		default:
			parts[i] = "CAST(" + column + " AS text)"
		}
		if len(parts) > 1 {
			parts[i] = "REPLACE(REPLACE(" + parts[i] + ", '%', '%25'), ',', '%2C')"
		}
	}
	if s.engine == mysql {
		return "LEFT(CONCAT(" + strings.Join(parts, ", ',', ") + "), 128)"
	}
	return strings.Join(parts, " || ',' || ")
}

// postgresFunction is what all triggers run on PostgreSQL. It sees the text of the
// statement that fired it, and with it the marker. It runs with the rights and the
// schema of its owner: another program's role needs none on our tables.
func postgresFunction(marker string) string {
	return "CREATE OR REPLACE FUNCTION confide_audit_seen() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $confide$" +
		postgresBody(marker) + "$confide$"
}

func postgresBody(marker string) string {
	return `
DECLARE
	was jsonb;
	part text;
	id text := '';
BEGIN
	IF position('/* confide:audit:` + marker + ` */' in current_query()) > 0 THEN
		RETURN NULL;
	END IF;
	IF TG_OP = 'DELETE' THEN was := to_jsonb(OLD); ELSIF TG_OP <> 'TRUNCATE' THEN was := to_jsonb(NEW); END IF;
	FOR i IN 0 .. TG_NARGS - 1 LOOP
		part := coalesce(was ->> TG_ARGV[i], '');
		IF left(part, 2) = '\x' THEN part := substr(part, 3); END IF;
		IF TG_NARGS > 1 THEN part := replace(replace(part, '%', '%25'), ',', '%2C'); END IF;
		id := id || CASE WHEN i > 0 THEN ',' ELSE '' END || part;
	END LOOP;
	INSERT INTO confide_audit_outside (tbl, verb, row_id, at)
	VALUES (TG_TABLE_NAME, lower(TG_OP), CASE WHEN TG_OP = 'TRUNCATE' THEN '' ELSE id END, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
	RETURN NULL;
END`
}

func postgresTrigger(one trigger, t *schema.Schema) string {
	each, args := "ROW", make([]string, len(t.PrimaryFields))
	if one.verb == "truncate" {
		each = "STATEMENT"
	}
	for i, f := range t.PrimaryFields {
		args[i] = "'" + strings.ReplaceAll(f.DBName, "'", "''") + "'"
	}
	return fmt.Sprintf("CREATE TRIGGER %s AFTER %s ON %s FOR EACH %s EXECUTE FUNCTION confide_audit_seen(%s)",
		one.name, strings.ToUpper(one.verb), quote(postgres, one.table), each, strings.Join(args, ", "))
}
