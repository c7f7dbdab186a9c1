package masking

import (
	"context"
	"strings"
)

// Record returns the cells of one row of a spreadsheet or CSV file for the caller in ctx. kinds names the
// kind of each column; "" searches the cell as free text, and so do columns beyond the end of kinds. A
// cell that a spreadsheet would take for a formula gets an apostrophe in front.
func (p Policy) Record(ctx context.Context, kinds []Kind, cells []string) []string {
	l := p.level(ctx)
	masked := make([]string, len(cells))
	for i, cell := range cells {
		k := KindText
		if i < len(kinds) && kinds[i] != "" {
			k = kinds[i]
		}
		if k != skipKind {
			cell = string(p.append(nil, k, l, cell))
		}
		masked[i] = defuse(cell)
	}
	return masked
}

// defuse keeps spreadsheets from running a cell.
func defuse(cell string) string {
	if cell != "" && strings.IndexByte("=+-@\t\r\n", cell[0]) >= 0 ||
		strings.HasPrefix(cell, "\uFF1D") || strings.HasPrefix(cell, "\uFF0B") || strings.HasPrefix(cell, "\uFF0D") || strings.HasPrefix(cell, "\uFF20") {
		return "'" + cell
	}
	return cell
}
