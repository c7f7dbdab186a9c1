package sqlsource

import (
	"fmt"
	"slices"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/cell"
)

func (d *definition) mysql() (backup.Table, []string, error) {
	sizes, err := d.keySizes()
	if err != nil {
		return backup.Table{}, nil, err
	}
	for i, c := range d.table.Columns {
		part := backticked(c.Name) + " " + mysqlType(d.table.shapes[i], sizes[i])
		null := d.notNull(i)
		switch {
		case d.table.shapes[i].kind == cell.Instant && null == "":
			part += " NULL DEFAULT NULL"
		case d.table.shapes[i].kind == cell.Instant:
			part += null + " DEFAULT CURRENT_TIMESTAMP(6)" // or MySQL would make it change with every update
		default:
			part += null
		}
		if d.counts(i) {
			part += " AUTO_INCREMENT"
		}
		if d.table.shapes[i].kind == cell.JSON {
			part += " CHECK (json_valid(" + backticked(c.Name) + "))"
		}
		d.parts = append(d.parts, part)
	}
	d.parts = append(d.parts, "PRIMARY KEY "+d.list(d.table.named(d.table.Key)))
	for _, x := range d.table.Indexes {
		if part, ok := d.mysqlIndex(x, sizes); ok {
			d.parts = append(d.parts, part)
		}
	}
	var counter []string
	if _, ok := d.counted(); ok && d.table.Counter.Last > 0 {
		counter = append(counter, fmt.Sprintf("ALTER TABLE %s AUTO_INCREMENT = %d", backticked(d.table.Name), d.table.Counter.Last+1))
	}
	return d.made(d.create(" ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE="+d.plan.collate), nil), counter, nil
}

// mysqlIndex writes an index; one over text of any length becomes one over its
// beginning, which a unique one cannot.
func (d *definition) mysqlIndex(x backup.Index, sizes []int) (string, bool) {
	word, columns := "KEY ", ""
	if x.Unique {
		word = "UNIQUE KEY "
	}
	for n, name := range x.Columns {
		i := d.table.position(name)
		if i < 0 {
			return "", false
		}
		if n > 0 {
			columns += ", "
		}
		columns += backticked(name)
		if s := d.table.shapes[i]; sizes[i] == 0 && slices.Contains([]cell.Kind{cell.Text, cell.Bytes, cell.JSON}, s.kind) {
			columns += "(100)"
		}
	}
	return word + "(" + columns + ")", true
}

// keySizes chooses the length of text and bytes that a key or a unique index
// must hold whole, and refuses what is more than InnoDB's keys take.
func (d *definition) keySizes() ([]int, error) {
	const mostBytes = 3072
	sizes := make([]int, len(d.table.Columns))
	keys := [][]string{d.table.named(d.table.Key)}
	for _, x := range d.table.Indexes {
		if x.Unique {
			keys = append(keys, x.Columns)
		}
	}
	for _, r := range d.table.References {
		keys = append(keys, r.Columns)
	}
	for _, key := range keys {
		total, width := 0, mostBytes/max(1, len(key))
		for _, name := range key {
			i := d.table.position(name)
			if i < 0 {
				continue
			}
			bytes := 16
			switch s := d.table.shapes[i]; s.kind {
			case cell.Text:
				sizes[i] = max(sizes[i], s.size, min(255, width/4))
				bytes = 4 * sizes[i]
			case cell.Bytes:
				sizes[i] = max(sizes[i], s.size, min(255, width))
				bytes = sizes[i]
			case cell.JSON:
				return nil, inexact(d.table.Name, name, "is JSON in a key, which MySQL cannot index")
			}
			if total += bytes; total > mostBytes && (d.table.shapes[i].kind == cell.Text || d.table.shapes[i].kind == cell.Bytes) {
				return nil, inexact(d.table.Name, name, fmt.Sprintf("is part of a key that needs %d bytes, more than the %d of MySQL", total, mostBytes))
			}
		}
	}
	return sizes, nil
}

func mysqlType(s shape, size int) string {
	switch s.kind {
	case cell.Bool:
		return "TINYINT(1)"
	case cell.Int:
		return map[int]string{16: "SMALLINT", 32: "INT", 64: "BIGINT"}[s.bits]
	case cell.Float:
		return map[int]string{32: "FLOAT", 64: "DOUBLE"}[s.bits]
	case cell.Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", s.precision, s.scale)
	case cell.Date:
		return "DATE"
	case cell.Time:
		return "TIME(6)"
	case cell.DateTime:
		return "DATETIME(6)"
	case cell.Instant:
		return "TIMESTAMP(6)"
	case cell.Bytes:
		if size > 0 {
			return fmt.Sprintf("VARBINARY(%d)", size)
		}
		return "LONGBLOB"
	case cell.Text:
		if size > 0 {
			return fmt.Sprintf("VARCHAR(%d)", size)
		}
	}
	return "LONGTEXT"
}
