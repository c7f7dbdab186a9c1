package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/internal/durable"
	"github.com/confide-go/confide/privacy/escrow"
)

func recipientFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.newKey, "new", "", "make a recovery key, write it to this new file outside of the data folder, and seal backups to it")
	fs.StringVar(&s.addKey, "add", "", "seal backups to the public key that is in this file")
	fs.StringVar(&s.removeKey, "remove", "", "seal backups to this recipient no longer: a name or fingerprint")
}

// backupRecipients is the verb `backup recipients`: who can read backups. With none it
// is whoever has the key file; with any it is only they, and not this program.
func backupRecipients(ctx context.Context, c *command) error {
	chosen := 0
	for _, f := range []string{c.newKey, c.addKey, c.removeKey} {
		if f != "" {
			chosen++
		}
	}
	if chosen > 1 || (c.newKey != "") != (len(c.args) == 1) || len(c.args) > 1 {
		return fmt.Errorf("%w: backup recipients takes one of -new FILE NAME, -add FILE and -remove NAME, or nothing to list them", errUsage)
	}
	if c.newKey != "" && c.existing() != nil { // on a machine that has no data: for -add elsewhere
		r, err := (&app{folder: folder(c.data), places: c.places()}).makeRecovery(c.newKey, c.args[0])
		if err == nil {
			fmt.Fprintf(c.stdout, "the recovery key of %s is in %s, what others need to know of it in %s.pub\n", named(r), c.newKey, c.newKey)
		}
		return err
	}
	return withExisting(operatorFor(ctx, "backup recipients"), c, func(ctx context.Context, a *app) error {
		list, err := a.readRecipients()
		if err != nil {
			return err
		}
		var change, who string
		switch {
		case c.newKey != "":
			r, err := a.makeRecovery(c.newKey, c.args[0])
			if err != nil {
				return err
			}
			list, change, who = append(list, r), "added", named(r)
			fmt.Fprintf(c.stdout, "the recovery key of %s is in %s: move it to where this machine cannot reach it; without it no backup made from now on can be restored\n", who, c.newKey)
		case c.addKey != "":
			r, err := readPublic(c.addKey)
			if err != nil {
				return err
			}
			list, change, who = append(list, r), "added", named(r)
		case c.removeKey != "":
			left := slices.DeleteFunc(slices.Clone(list), func(r escrow.Recipient) bool {
				return r.Name() == c.removeKey || r.Fingerprint() == c.removeKey
			})
			if len(left) == len(list) {
				return fmt.Errorf("there is no recipient %q; `crm backup recipients` lists them", c.removeKey)
			}
			list, change, who = left, "removed", c.removeKey
		}
		if change != "" {
			if err := a.writeRecipients(ctx, list, change, who); err != nil {
				return err
			}
			fmt.Fprintln(c.stdout, "the next backup is a full one, for the recipients below; older snapshots are not changed")
		}
		for _, r := range list {
			fmt.Fprintln(c.stdout, named(r))
		}
		if len(list) == 0 {
			fmt.Fprintln(c.stdout, "no recipients: whoever has the key file can read the backups")
		}
		return nil
	})
}

func named(r escrow.Recipient) string { return r.Name() + " " + r.Fingerprint() }

// makeRecovery makes a key pair and writes the private half where no thief of the data
// folder or of the backups finds it.
func (a *app) makeRecovery(path, name string) (escrow.Recipient, error) {
	for _, dir := range []string{string(a.folder), a.places.backups, a.places.epochs} {
		if within(dir, path) {
			return escrow.Recipient{}, fmt.Errorf("%w: %s lies in %s; a recovery key that lies with what it opens protects nothing", errUsage, path, dir)
		}
	}
	identity, err := escrow.NewIdentity(name)
	if err != nil {
		return escrow.Recipient{}, fmt.Errorf("%w: %w", errUsage, err)
	}
	if err := escrow.WriteIdentity(path, identity); err != nil {
		return escrow.Recipient{}, err
	}
	r := identity.Recipient()
	return r, durable.WriteFile(path+".pub", []byte(r.String()+"\n"), 0o644)
}

// within reports whether a path is in a folder, whatever links lead there.
func within(dir, path string) bool {
	real := func(p string) string {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		if r, err := filepath.EvalSymlinks(p); err == nil {
			return r
		}
		if r, err := filepath.EvalSymlinks(filepath.Dir(p)); err == nil {
			return filepath.Join(r, filepath.Base(p))
		}
		return p
	}
	rel, err := filepath.Rel(real(dir), real(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// readPublic reads the line that a recipient sent.
func readPublic(path string) (escrow.Recipient, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return escrow.Recipient{}, fmt.Errorf("read the public key: %w", err)
	}
	r, err := escrow.ParseRecipient(string(text))
	if err != nil {
		return r, fmt.Errorf("%s does not hold the line of a recipient, as `crm backup recipients -new FILE NAME` writes it to FILE.pub: %w", path, err)
	}
	return r, nil
}

// readRecipients reads who can read backups, one line each.
func (a *app) readRecipients() ([]escrow.Recipient, error) {
	text, err := os.ReadFile(a.folder.recipients())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the recipients of backups: %w", err)
	}
	var list []escrow.Recipient
	for line := range strings.Lines(string(text)) {
		r, err := escrow.ParseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("the recipients of backups %s: %w", a.folder.recipients(), err)
		}
		list = append(list, r)
	}
	return list, nil
}

func (a *app) writeRecipients(ctx context.Context, list []escrow.Recipient, change, who string) error {
	var text strings.Builder
	seen := map[string]bool{}
	for _, r := range list {
		if seen[r.Fingerprint()] {
			return fmt.Errorf("%s is a recipient already", named(r))
		}
		seen[r.Fingerprint()] = true
		fmt.Fprintln(&text, r)
	}
	// Told first: nobody becomes a reader of backups without a trace.
	if err := a.log.Record(ctx, "backup.recipients", slog.String("change", change), slog.String("recipient", who), slog.String("result", "ok")); err != nil {
		return err
	}
	return durable.WriteFile(a.folder.recipients(), []byte(text.String()), 0o600)
}

// recipients are those to whom a backup is sealed.
func (a *app) recipients() ([]backup.Recipient, error) {
	list, err := a.readRecipients()
	if err != nil {
		return nil, err
	}
	var to []backup.Recipient
	for _, r := range list {
		key, err := r.Encrypter()
		if err != nil {
			return nil, fmt.Errorf("the key of recipient %s: %w", named(r), err)
		}
		to = append(to, backup.Recipient{Name: named(r), Key: key})
	}
	return to, nil
}

// openRecovery reads the recovery key of -recovery; without the flag there is none.
func (c *command) openRecovery() (tink.HybridDecrypt, error) {
	if c.recovery == "" {
		return nil, nil
	}
	identity, err := escrow.ReadIdentity(c.recovery)
	if err != nil {
		return nil, fmt.Errorf("the recovery key: %w", err)
	}
	return identity.Decrypter()
}

// mustOpen refuses to begin what only the recovery key can end.
func (a *app) mustOpen() error {
	list, err := a.readRecipients()
	if err != nil || len(list) == 0 || a.recovery != nil {
		return err
	}
	var names []string
	for _, r := range list {
		names = append(names, named(r))
	}
	return fmt.Errorf("the backups are sealed to %s, and nobody else can read them: give the file of a recovery key with -recovery", strings.Join(names, ", "))
}
