package privacy

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
)

// MustCover reports every field of the models given to Migrate or Register, and every column of every table
// of db, whose name says that it holds personal data (phone, id_card, Email, 生日, …) while it is neither
// sealed nor declared open. A field is declared open by its tag, privacy:"open=reason" with a reason without
// commas, a column of a table without model by Config.Open. The library's own tables are left out. Call it
// once at start-up, after the migrations: a field that was forgotten is stored as it is.
func (v *Vault) MustCover(ctx context.Context, db *gorm.DB) error {
	if v.db.Load() == nil {
		return errors.New("privacy: must cover: call db.Use(vault) first")
	}
	c := covering{v: v, open: v.openColumns(), found: map[string]masking.Kind{}}
	for _, s := range v.reg.Load().schemas {
		for _, f := range s.Fields {
			c.field(s, f)
		}
	}
	own := session(withInternal(ctx), db)
	tables, err := tablesOf(own)
	if err != nil {
		return fmt.Errorf("privacy: must cover: %w", err)
	}
	for _, table := range tables {
		columns, err := columnsOf(ctx, conn{own}, table)
		if err != nil {
			return fmt.Errorf("privacy: must cover: columns of %s: %w", table, err)
		}
		for _, column := range columns {
			c.column(table, column)
		}
	}
	return c.verdict()
}

// checkOpen wants a reason for what is declared open.
func checkOpen(open map[string]string) error {
	for column, reason := range open {
		if !strings.Contains(column, ".") || strings.TrimSpace(reason) == "" {
			return fmt.Errorf("privacy: Config.Open[%q]: write table.column and a reason", column)
		}
	}
	return nil
}

// A covering collects what looks personal and is not covered.
type covering struct {
	v     *Vault
	open  map[string]bool         // table.column in lower case
	found map[string]masking.Kind // table.column
}

func columnKey(table, column string) string { return strings.ToLower(table + "." + column) }

// openColumns lists what is declared open.
func (v *Vault) openColumns() map[string]bool {
	open := map[string]bool{}
	for name := range v.cfg.Open {
		open[strings.ToLower(name)] = true
	}
	for _, s := range v.reg.Load().schemas {
		for _, f := range s.Fields {
			if tagParts(f)["open"] != "" {
				open[columnKey(s.Table, f.DBName)] = true
			}
		}
	}
	return open
}

func (c *covering) field(s *schema.Schema, f *schema.Field) {
	if f.DBName == "" || isSealed(f) || isIndex(f) || f.IndirectFieldType.Kind() == reflect.Bool {
		return
	}
	json, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	c.name(s.Table, f.DBName, f.Name, f.DBName, json)
}

func (c *covering) column(table string, column *sql.ColumnType) {
	if m := c.v.reg.Load().byTable[strings.ToLower(table)]; m != nil {
		name := strings.ToLower(column.Name())
		if m.cells[name] != nil || m.blind[name] != nil {
			return
		}
	}
	switch strings.ToUpper(column.DatabaseTypeName()) {
	case "BOOL", "BOOLEAN", "TINYINT": // whether there is a phone, not which
		return
	}
	c.name(table, column.Name(), column.Name())
}

func (c *covering) name(table, column string, names ...string) {
	for _, name := range names {
		if k := masking.KindOfName(name); k != "" && !c.open[columnKey(table, column)] {
			c.found[table+"."+column] = k
			return
		}
	}
}

func (c *covering) verdict() error {
	if len(c.found) == 0 {
		return nil
	}
	var list []string
	for name, kind := range c.found {
		list = append(list, name+" ("+string(kind)+")")
	}
	slices.Sort(list)
	return refuse(strings.Join(list, ", "), "by name it holds personal data, and it is neither sealed nor declared open",
		`make it a privacy.String or another sealed type, or declare why not: tag privacy:"open=reason", or Config.Open where there is no model`)
}

// tablesOf lists the tables of the program: not those of this library or of the database.
func tablesOf(db *gorm.DB) ([]string, error) {
	all, err := db.Migrator().GetTables()
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	all = slices.DeleteFunc(all, func(t string) bool {
		name := strings.ToLower(t)
		return strings.HasPrefix(name, "confide_") || strings.HasPrefix(name, "sqlite_")
	})
	slices.Sort(all)
	return all, nil
}

// columnsOf asks the database what columns a table has, past all callbacks.
func columnsOf(ctx context.Context, c conn, table string) ([]*sql.ColumnType, error) {
	// Never the same text twice: PostgreSQL's driver would remember the columns that the table had before.
	text := fmt.Sprintf("SELECT * FROM %s WHERE %d = 0", c.quote(table), time.Now().UnixNano())
	rows, err := c.db.Statement.ConnPool.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.ColumnTypes()
	return columns, errors.Join(err, rows.Err())
}
