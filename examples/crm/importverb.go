package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/confide-go/confide/examples/crm/internal/intake"
)

// importFile is the verb `import`.
func importFile(ctx context.Context, c *command) error {
	if len(c.args) != 2 {
		return fmt.Errorf("%w: import takes a kind and a file", errUsage)
	}
	kind, err := intake.KindNamed(c.args[0])
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	byHand, err := c.headings()
	if err != nil {
		return err
	}
	sheet, err := intake.Open(c.args[1], kind, byHand)
	if err != nil {
		return err
	}
	defer sheet.Close()
	a, err := open(ctx, c)
	if err != nil {
		return err
	}
	defer a.close()
	if len(sheet.Mapping.Ignored) > 0 {
		fmt.Fprintf(c.stdout, "not taken, because nothing here needs it: %s\n", strings.Join(sheet.Mapping.Ignored, ", "))
	}
	show := newProgress(c.stderr, "import "+kind.Name)
	counts, err := a.importSheet(operator(ctx, "import "+kind.Name), sheet, kind, c.passwords, show.at)
	show.done()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "%s: %s\n", kind.Name, counts)
	return nil
}
