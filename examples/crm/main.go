// Command crm is a small but real customer relationship manager that keeps its
// customers' data private with Confide.
//
//	crm [serve]  -addr -data -db -lang -demo      crm import   -data … employees|customers|invoices FILE
//	crm audit    verify|query|export|prune|hammer -data …
//	crm backup   run|list|verify|restore|drill|prune|recipients -data …
//	crm keys     status|rotate|retire -data … [KIND]
//	crm subject  erase -data … ID                 crm doctor   -data …
//
// Flags follow the verb and precede its arguments. Each flag can also be set by
// an environment variable: -data by CONFIDE_DATA, and so on.
//
// Exit status: 0 done; 1 failed; 2 wrong usage; 3 a check found something.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() { os.Exit(process()) }

// process is the whole program: a first signal lets it finish what it is at.
func process() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return run(ctx, os.Args[1:], os.Stdout, os.Stderr)
}

const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitFound  = 3
)

// errFound is wrapped by verbs whose check found something.
var errFound = errors.New("the check found something")

// errUsage is wrapped by errors of the person who typed the command.
var errUsage = errors.New("wrong usage")

// A command is one verb at work.
type command struct {
	settings
	args   []string // behind the flags
	stdout io.Writer
	stderr io.Writer
}

// A verb is one thing the program can do.
type verb struct {
	name  string
	usage string // arguments behind the flags
	does  string
	flags func(*flag.FlagSet, *settings)
	run   func(context.Context, *command) error
}

func verbs() []verb {
	return []verb{
		{"serve", "", "serve the pages (the default)", serveFlags, serve},
		{"import", "employees|customers|invoices FILE", "bring a CSV file in", importFlags, importFile},
		{"audit verify", "", "check the audit log against its signatures and anchors", nil, auditVerify},
		{"audit export", "[CUSTOMER]", "write the audit log, or who saw CUSTOMER, as csv, ocsf or jsonl (with proofs)", auditExportFlags, auditExport},
		{"audit query", "", "list events by person, action, record, result, way, reason, type of data and time", auditQueryFlags, auditQuery},
		{"audit prune", "", "remove what old events say, as far as the law allows, into an archive", auditPruneFlags, auditPrune},
		{"audit hammer", "", "kill processes that record and seal on an empty database, then verify everything", hammerFlags, auditHammer},
		{"backup run", "", "take a snapshot of every data set", backupFlags, backupRun},
		{"backup list", "", "list the snapshots, and the date by which whoever is erased now is forgotten everywhere", setFlag, backupList},
		{"backup verify", "[ID]", "read and check every byte of the snapshots", verifyFlags, backupVerify},
		{"backup restore", "[ID]", "restore a snapshot into the new data folder -to, or -customer ID into the live database", restoreFlags, backupRestore},
		{"backup drill", "[ID]", "prove a snapshot by restoring it into a folder that goes away again", drillFlags, backupDrill},
		{"backup recipients", "[NAME]", "list, add or remove those who alone can read backups", recipientFlags, backupRecipients},
		{"backup prune", "", "remove snapshots that no rule keeps", pruneFlags, backupPrune},
		{"keys status", "", "list the keys and how much they were used", nil, keysStatus},
		{"keys rotate", "[KIND]", "bring the rotation of data, subject or index keys forward", rotateFlags, keysRotate},
		{"keys retire", "[KIND]", "remove former keys that nothing needs any more", rotateFlags, keysRetire},
		{"subject erase", "ID", "destroy the key of customer ID, for ever", nil, subjectErase},
		{"doctor", "", "look for plaintext, broken seals, missing constraints", doctorFlags, doctor},
	}
}

// run is the program without the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	v, rest, err := findVerb(args)
	if err == nil {
		c := &command{stdout: stdout, stderr: stderr}
		if c.args, err = parseFlags(v, &c.settings, rest, stderr); err == nil {
			err = v.run(ctx, c)
		}
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help())
		return exitDone
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "crm: %v\n\n%s", err, help())
		return exitUsage
	case errors.Is(err, errFound):
		fmt.Fprintf(stderr, "crm: %v\n", err)
		return exitFound
	default:
		fmt.Fprintf(stderr, "crm: %v\n", err)
		return exitFailed
	}
}

// findVerb takes the verb, of one word or two, off the arguments.
func findVerb(args []string) (verb, []string, error) {
	if len(args) == 0 || strings.HasPrefix(args[0], "-") && args[0] != "-h" && args[0] != "-help" && args[0] != "--help" {
		return verbs()[0], args, nil
	}
	if args[0] == "help" || strings.HasPrefix(args[0], "-") {
		return verb{}, nil, flag.ErrHelp
	}
	for _, v := range verbs() {
		words := strings.Fields(v.name)
		if len(args) >= len(words) && strings.Join(args[:len(words)], " ") == v.name {
			return v, args[len(words):], nil
		}
	}
	return verb{}, nil, fmt.Errorf("%w: there is no verb %q", errUsage, strings.Join(args[:min(2, len(args))], " "))
}

func help() string {
	var b strings.Builder
	b.WriteString("Usage: crm VERB [flags] [arguments]\n\n")
	for _, v := range verbs() {
		fmt.Fprintf(&b, "  %-50s %s\n", strings.TrimSpace(v.name+" "+v.usage), v.does)
	}
	b.WriteString("\nFlags of every verb: -data DIR, -db DSN, -backups DIR, -lang zh|en; each also as CONFIDE_DATA, CONFIDE_DB and so on.\n" +
		"`crm VERB -h` lists all flags of a verb.\n\n" +
		"Exit status: 0 done; 1 failed; 2 wrong usage; 3 a check found something.\n")
	return b.String()
}
