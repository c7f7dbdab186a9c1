package sqlsource

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

func (postgres) quote(name string) string { return quoted(name) }

func (postgres) placeholder(n int) string { return "$" + strconv.Itoa(n) }

func (postgres) beginWrite(ctx context.Context, s *session) error { return s.begin(ctx, "BEGIN") }

func (postgres) hasMarks(ctx context.Context, s *session) (bool, error) {
	var there bool
	err := s.one(ctx, "SELECT to_regclass(quote_ident(current_schema()) || '.' || $1) IS NOT NULL", []any{marks}, &there)
	return there, err
}

func (postgres) makeMarks(ctx context.Context, s *session) error {
	return s.exec(ctx, "CREATE TABLE IF NOT EXISTS "+marks+" ("+marksSchema+")")
}

// untrackable: row triggers see every change that commands can make, cascades
// and the apply process of a logical replica included.
func (postgres) untrackable(context.Context, *session, *table) (string, error) { return "", nil }

func (postgres) intact(ctx context.Context, s *session, t *table) (bool, error) {
	log := logName(t.name)
	var triggers, tables int
	err := s.one(ctx, `SELECT (SELECT count(*) FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = current_schema() AND c.relname = $1 AND g.tgname IN ($2, $3) AND g.tgenabled = 'A'),
		(SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relname = $2 AND c.relkind = 'r')`,
		[]any{t.name, log, log + "_t"}, &triggers, &tables)
	return triggers == 2 && tables == 1, err
}

// shape includes the file of the table: ALTER TABLE that rewrites rows, and
// TRUNCATE, give it a new one.
func (postgres) shape(ctx context.Context, s *session, t *table) (string, error) {
	var shape string
	err := s.one(ctx, "SELECT c.oid::text || '/' || pg_relation_filenode(c.oid)::text FROM pg_class c WHERE c.oid = $1::text::regclass", []any{quoted(t.name)}, &shape)
	return shape + fmt.Sprint(t.schema.Create), err
}

func (e postgres) install(ctx context.Context, s *session, t *table, born string) error {
	log := logName(t.name)
	name, on := quoted(log), quoted(t.name)
	row := func(of string) string {
		return "INSERT INTO " + name + " (" + t.keyList(func(i int, _ column) string { return logKey(i) }) + ") VALUES (" +
			t.keyList(func(_ int, c column) string { return of + "." + quoted(c.name) }) + ");"
	}
	var schema string
	if err := s.one(ctx, "SELECT quote_ident(current_schema())", nil, &schema); err != nil {
		return err
	}
	statements := append(e.drop(t),
		"CREATE TABLE "+name+" AS SELECT "+t.keyList(func(i int, c column) string { return quoted(c.name) + " AS " + logKey(i) })+" FROM "+on+" WITH NO DATA",
		"ALTER TABLE "+name+" ADD COLUMN seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
		"CREATE INDEX ON "+name+" ("+t.keyList(func(i int, _ column) string { return logKey(i) })+")",
		// As its owner: whoever may change the table need not have rights on the log.
		"CREATE FUNCTION "+name+"() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = "+schema+", pg_temp AS $confide$ BEGIN"+
			" IF TG_OP = 'TRUNCATE' THEN INSERT INTO "+name+" DEFAULT VALUES; RETURN NULL; END IF;"+
			" IF TG_OP <> 'INSERT' THEN "+row("OLD")+" END IF;"+
			" IF TG_OP = 'INSERT' THEN "+row("NEW")+
			" ELSIF TG_OP = 'UPDATE' THEN IF ROW("+t.keyList(func(_ int, c column) string { return "NEW." + quoted(c.name) })+") IS DISTINCT FROM ROW("+
			t.keyList(func(_ int, c column) string { return "OLD." + quoted(c.name) })+") THEN "+row("NEW")+" END IF; END IF;"+
			" RETURN NULL; END $confide$",
		"CREATE TRIGGER "+name+" AFTER INSERT OR UPDATE OR DELETE ON "+on+" FOR EACH ROW EXECUTE FUNCTION "+name+"()",
		"CREATE TRIGGER "+quoted(log+"_t")+" AFTER TRUNCATE ON "+on+" FOR EACH STATEMENT EXECUTE FUNCTION "+name+"()",
		"ALTER TABLE "+on+" ENABLE ALWAYS TRIGGER "+name, // also where session_replication_role is replica
		"ALTER TABLE "+on+" ENABLE ALWAYS TRIGGER "+quoted(log+"_t"),
	)
	if err := e.beginWrite(ctx, s); err != nil {
		return err
	}
	for _, statement := range statements {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := unmark(ctx, s, e, t); err != nil {
		return err
	}
	if err := s.exec(ctx, "INSERT INTO "+marks+" VALUES ($1, $2, '')", t.name, born); err != nil {
		return err
	}
	return s.commit(ctx, "COMMIT")
}

func (postgres) drop(t *table) []string {
	log := logName(t.name)
	return []string{
		"DROP TRIGGER IF EXISTS " + quoted(log) + " ON " + quoted(t.name),
		"DROP TRIGGER IF EXISTS " + quoted(log+"_t") + " ON " + quoted(t.name),
		"DROP FUNCTION IF EXISTS " + quoted(log) + "()",
		"DROP TABLE IF EXISTS " + quoted(log),
	}
}

func (e postgres) uninstall(ctx context.Context, s *session, t *table) error {
	if err := e.beginWrite(ctx, s); err != nil {
		return err
	}
	for _, statement := range e.drop(t) {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	if err := unmark(ctx, s, e, t); err != nil {
		return err
	}
	return s.commit(ctx, "COMMIT")
}

// within passes every value as text and lets the server read it as the column's
// type, which is how values of any type are written exactly.
func (postgres) within(t *table, span backup.Span, before int, f func(int, column) string) (string, []any, error) {
	return compareRows(t, span, before, f, func(c column, v cell.Value) (string, any, error) {
		text, err := pgText(v)
		return "$?::text::" + c.typ, text, err
	})
}

func pgText(v cell.Value) (string, error) {
	switch v.Kind {
	case cell.Decimal, cell.Text, cell.JSON, cell.Native:
		return string(v.Raw), nil
	case cell.Bytes:
		return `\x` + hex.EncodeToString(v.Raw), nil
	}
	text, err := appendCopy(nil, v)
	return string(text), err
}
