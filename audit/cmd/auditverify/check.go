package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/confide-go/confide/audit"
)

// verify is the verb `verify`.
func verify(ctx context.Context, c *command) error {
	f, err := os.Open(c.file)
	if err != nil {
		return err
	}
	defer f.Close()
	if c.keys[0].Until > 0 {
		return fmt.Errorf("%w: the first -key is the current one and has no bound", errUsage)
	}
	r, err := audit.VerifyExport(ctx, f, c.keys[0].Verifier, c.opts)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, r)
	switch {
	case !r.OK:
		return fmt.Errorf("%w: the log is not what was written", errFound)
	case !r.Anchored && len(c.checkpoints) > 0:
		return fmt.Errorf("%w: none of the checkpoints counts", errFound)
	case c.save == "":
		return nil
	}
	text, err := r.Verified.MarshalText()
	if err != nil {
		return err
	}
	return os.WriteFile(c.save, text, 0o600)
}

// proof is the verb `proof`.
func proof(_ context.Context, c *command) error {
	data, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(data, []byte("c2sp.org/tlog-proof@")) {
		var p audit.TLogProof
		if err := p.UnmarshalText(data); err != nil {
			return err
		}
		e, log, err := p.OpenEvent(c.keys)
		if err != nil {
			return err
		}
		c.show(e)
		fmt.Fprintf(c.out, "is entry %d of the %d of %s; that this log is in the whole, a history shows\n", e.Seq, log.Size, log.Origin)
		return nil
	}
	h, err := audit.ReadHistory(bytes.NewReader(data))
	if err != nil {
		return err
	}
	p, err := h.Check(c.keys)
	if err != nil {
		return err
	}
	for _, e := range p.Events {
		c.show(e)
	}
	for _, r := range p.Complete {
		fmt.Fprintf(c.out, "%s %s: all changes up to %d are here\n", r.Resource, r.Row, r.Rev)
	}
	for _, r := range p.Partial {
		fmt.Fprintf(c.out, "%s %s: some changes up to %d are not here\n", r.Resource, r.Row, r.Rev)
	}
	return c.whole(p)
}

func (c *command) show(e audit.Event) {
	fmt.Fprintf(c.out, "%s %s %s %s", e.Time.Format("2006-01-02 15:04:05Z"), e.Actor.ID, e.Action, e.Resource)
	for _, r := range e.Rows {
		fmt.Fprintf(c.out, " %s", r.ID)
	}
	fmt.Fprintln(c.out)
}

// whole compares the checkpoint a history ends in with those from outside.
func (c *command) whole(p audit.Proven) error {
	fmt.Fprintf(c.out, "%d events of log %q, proven against checkpoint %d", len(p.Events), p.Log, p.Checkpoint.Size)
	anchored := slices.ContainsFunc(c.checkpoints, func(msg []byte) bool {
		o, err := audit.OpenCheckpoint(msg, verifiers(c.keys)...)
		return err == nil && o.Origin == p.Checkpoint.Origin && o.Size == p.Checkpoint.Size && o.Root == p.Checkpoint.Root
	})
	switch {
	case anchored:
		fmt.Fprintln(c.out, ", which was kept outside the database")
	case len(c.checkpoints) == 0:
		fmt.Fprintln(c.out, "; UNANCHORED: no checkpoint from outside the database was given")
	default:
		fmt.Fprintln(c.out)
		return fmt.Errorf("%w: the proof is against none of the checkpoints that were given; ask for a consistency proof", errFound)
	}
	return nil
}

// consistency is the verb `consistency`.
func consistency(_ context.Context, c *command) error {
	if c.older == nil {
		return fmt.Errorf("%w: -older is missing", errUsage)
	}
	data, err := os.ReadFile(c.file)
	if err != nil {
		return err
	}
	var p audit.ConsistencyProof
	if err := p.UnmarshalText(data); err != nil {
		return err
	}
	newer, err := p.Check(c.older, c.keys)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: the log of %d entries begins with the one of %d\n", newer.Origin, newer.Size, p.Old)
	return nil
}
