// Auditverify checks exports and proofs of an audit log with nothing but the log's
// verifier key. It needs no database, no network and no part of the application.
//
//	auditverify verify -key KEY [-checkpoint FILE]... [-since FILE] [-save FILE] EXPORT
//	auditverify proof -key KEY [-checkpoint FILE] HISTORY|TLOG-PROOF
//	auditverify consistency -key KEY -older FILE PROOF
//	auditverify tamper -key KEY [-checkpoint FILE]... EXPORT
//
// KEY is a verifier key or the name of a file that holds one; -key may be repeated
// for a log whose key was rotated, and KEY@N bounds a revoked key to checkpoints up to
// N. verify prints UNANCHORED unless a checkpoint from outside the database, or
// the state of an earlier verification, is given. tamper attacks a copy of the export
// in memory, each attack by its name, and shows that it is found. To kill processes that
// record and seal on a database needs a driver, which this program has not:
// that is package audit/hammer, or "crm audit hammer" of examples/crm.
//
// Exit status: 0 everything fits; 1 it could not be checked; 2 wrong usage; 3 something
// is not what was written. UNANCHORED is 0 when no checkpoint was asked for.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/witness"
)

// The two endings besides success and failure.
var (
	errUsage = errors.New("usage")
	errFound = errors.New("found")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `usage: auditverify VERB -key KEY [flags] FILE
  verify       an export of an audit log
  proof        a history or a tlog-proof of one event
  consistency  a consistency proof against an older checkpoint
  tamper       attack a copy of an export and show what is found
`

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	verbs := map[string]func(context.Context, *command) error{"verify": verify, "proof": proof, "consistency": consistency, "tamper": tamper}
	if len(args) == 0 || verbs[args[0]] == nil {
		fmt.Fprint(stderr, usage)
		return 2
	}
	c := &command{out: stdout}
	err := c.parse(args[0], args[1:], stderr)
	if err == nil {
		err = verbs[args[0]](ctx, c)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "auditverify: %v\n%s", err, usage)
		return 2
	case errors.Is(err, errFound), errors.Is(err, audit.ErrTampered):
		fmt.Fprintf(stderr, "auditverify: %v\n", err)
		return 3
	}
	fmt.Fprintf(stderr, "auditverify: %v\n", err)
	return 1
}

// A command is what the flags said.
type command struct {
	out         io.Writer
	keys        audit.Keys
	checkpoints [][]byte
	older       []byte
	opts        audit.VerifyOptions
	save, file  string
}

func (c *command) parse(verb string, args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("auditverify "+verb, flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Func("key", "verifier `key` or file; may be repeated; KEY@N bounds a revoked one", c.addKey)
	f.Func("checkpoint", "`file` of a checkpoint kept outside the database; may be repeated", c.addCheckpoint)
	f.Func("older", "`file` of the older checkpoint", func(path string) (err error) {
		c.older, err = os.ReadFile(path)
		return err
	})
	f.Func("since", "`file` with the state of an earlier verification", c.readSince)
	f.StringVar(&c.save, "save", "", "`file` for the state to continue from")
	f.Func("witness", "`key` of a witness; may be repeated", func(key string) error {
		v, err := witness.NewVerifier(key)
		c.opts.Witnesses = append(c.opts.Witnesses, v)
		return err
	})
	f.IntVar(&c.opts.Quorum, "quorum", 0, "how many witnesses must have signed a checkpoint")
	switch err := f.Parse(args); {
	case err != nil:
		return errUsage
	case len(c.keys) == 0:
		return fmt.Errorf("%w: -key is missing", errUsage)
	case f.NArg() != 1:
		return fmt.Errorf("%w: one file is checked at a time", errUsage)
	}
	c.file = f.Arg(0)
	c.opts.Checkpoints = c.checkpoints
	c.opts.Keys = c.keys[1:]
	return nil
}

func (c *command) addKey(text string) error {
	text, bound, bounded := strings.Cut(text, "@")
	if data, err := os.ReadFile(text); err == nil {
		text = strings.TrimSpace(string(data))
	}
	v, err := note.NewVerifier(text)
	if err != nil {
		return errors.New("it is neither a verifier key nor a file with one")
	}
	k := audit.Key{Verifier: v}
	if bounded {
		if k.Until, err = strconv.ParseInt(bound, 10, 64); err != nil || k.Until < 1 {
			return errors.New("behind @ stands the size of the last checkpoint that the key may sign")
		}
	}
	c.keys = append(c.keys, k)
	return nil
}

func (c *command) addCheckpoint(path string) error {
	data, err := os.ReadFile(path)
	c.checkpoints = append(c.checkpoints, data)
	return err
}

func (c *command) readSince(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	c.opts.Since = &audit.Verified{}
	return c.opts.Since.UnmarshalText(data)
}
