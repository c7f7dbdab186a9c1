package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/backup"
)

// Settings come from flags, and where a flag is not given from CONFIDE_*.
type settings struct {
	data string // folder for database, keys, anchors, backups
	db   string // DSN; "" is a SQLite file in the data folder
	lang string // "zh" or "en": of pages whose reader has not chosen
	log  string // level of the log on standard error

	backups string // folder of the backups; "" is in the data folder
	epochs  string // folder of the keys of their epochs; "" likewise

	now      func() time.Time                // nil: time.Now
	decorate func(backup.Store) backup.Store // nil: backups lie in plain directories

	addr    string // serve
	demo    bool
	tlsCert string
	tlsKey  string
	clocked bool // back up by the clock

	mapping   string // import: Heading=field,Heading=field
	passwords string // import: file for the first passwords of new users

	kind      string // backup run
	set       string // backup run, list, prune
	recovery  string // backup verify, restore, drill; serve
	newKey    string // backup recipients
	addKey    string
	removeKey string
	scratch   string // backup drill

	to        string // backup restore
	toDB      string
	offline   bool
	promoting bool // the app is opened to promote what was restored
	customer  string
	conflict  string
	rpo, rto  time.Duration       // backup drill
	keep      backup.PruneOptions // backup prune
	accept    uint64
	format    string      // audit export
	query     audit.Query // audit query
	from      string
	until     string
	keepLog   time.Duration // audit prune
	archive   string
	purpose   string
	lasts     time.Duration // audit hammer
	worker    bool

	logs     string // doctor: log files to look for plaintext in, FILE,FILE
	canaries string // doctor: file of texts that must not be anywhere in the clear
	dryRun   bool   // keys
	pause    time.Duration
	batch    int
}

func parseFlags(v verb, s *settings, args []string, stderr io.Writer) ([]string, error) {
	fs := flag.NewFlagSet("crm "+v.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&s.data, "data", env("DATA", "crm-data"), "data folder")
	fs.StringVar(&s.db, "db", env("DB", ""), "database DSN (postgres://… or mysql://…); default: a SQLite file in the data folder")
	fs.StringVar(&s.backups, "backups", env("BACKUPS", ""), "folder of the backups; default: backups in the data folder")
	fs.StringVar(&s.epochs, "epochs", env("EPOCHS", ""), "folder of the keys that let backups forget; default: keys/epochs in the data folder")
	fs.StringVar(&s.lang, "lang", env("LANG", "en"), "language of pages for readers who have not chosen one: zh or en")
	fs.StringVar(&s.log, "log", env("LOG", "info"), "log level: debug, info, warn, error")
	if v.flags != nil {
		v.flags(fs, s)
	}
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stderr, "Usage: crm %s [flags] %s\n", v.name, v.usage)
			fs.SetOutput(stderr)
			fs.PrintDefaults()
			return nil, err
		}
		return nil, fmt.Errorf("%w: %w", errUsage, err)
	}
	if s.lang != "zh" && s.lang != "en" {
		return nil, fmt.Errorf("%w: -lang is zh or en", errUsage)
	}
	return fs.Args(), nil
}

func serveFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.addr, "addr", env("ADDR", "127.0.0.1:8080"), "address to serve on; other than loopback only with TLS")
	fs.BoolVar(&s.demo, "demo", env("DEMO", "true") == "true", "load demo data into an empty database")
	fs.StringVar(&s.tlsCert, "tls-cert", env("TLS_CERT", ""), "certificate file")
	fs.StringVar(&s.tlsKey, "tls-key", env("TLS_KEY", ""), "key file of the certificate")
	fs.BoolVar(&s.clocked, "schedule", env("SCHEDULE", "true") == "true", "back up, prune and rehearse restores by the clock")
	recoveryFlag(fs, s)
}

func importFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.mapping, "map", "", "headings that are not found by themselves: Heading=field,Heading=field")
	fs.StringVar(&s.passwords, "passwords", "", "write first passwords of new users to this new file")
}

func setFlag(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.set, "set", "", "only this data set: data, invoices, audit, files, secrets or keys")
}

func recoveryFlag(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.recovery, "recovery", env("RECOVERY", ""), "file of a recovery key, if backups are sealed to recipients")
}

func verifyFlags(fs *flag.FlagSet, s *settings) {
	setFlag(fs, s)
	recoveryFlag(fs, s)
}

func backupFlags(fs *flag.FlagSet, s *settings) {
	setFlag(fs, s)
	fs.StringVar(&s.kind, "kind", "full", "full, differential (shares with the last full one) or incremental (with the last one)")
}

func restoreFlags(fs *flag.FlagSet, s *settings) {
	recoveryFlag(fs, s)
	fs.StringVar(&s.to, "to", "", "data folder to create")
	fs.StringVar(&s.toDB, "to-db", "", "with -to, DSN of the empty database to restore into; default: a SQLite file in the new folder")
	fs.BoolVar(&s.offline, "offline", false, "do without the database in use and its audit log, because they are lost")
	fs.StringVar(&s.customer, "customer", "", "bring this customer, with invoices and documents, back into the database in use")
	fs.StringVar(&s.conflict, "conflict", "", "with -customer, what to do with rows that differ: skip or overwrite; default: stop")
	fs.BoolVar(&s.dryRun, "dry-run", false, "with -customer, only say what would be done")
}

func drillFlags(fs *flag.FlagSet, s *settings) {
	recoveryFlag(fs, s)
	fs.StringVar(&s.scratch, "scratch", env("SCRATCH", ""), "DSN of a server on which to make the database of the drill; default: that of -db")
	fs.DurationVar(&s.rpo, "rpo", 0, "how old the newest snapshot may be, e.g. 26h; default: no limit")
	fs.DurationVar(&s.rto, "rto", 0, "how long restoring may take; default: no limit")
}

func pruneFlags(fs *flag.FlagSet, s *settings) {
	setFlag(fs, s)
	for name, count := range map[string]*int{"keep": &s.keep.Keep, "daily": &s.keep.Daily, "weekly": &s.keep.Weekly, "monthly": &s.keep.Monthly, "yearly": &s.keep.Yearly} {
		usage := "keep the newest snapshot of each of the last so many periods"
		if name == "keep" {
			usage = "keep the newest so many snapshots"
		}
		fs.IntVar(count, name, 0, usage)
	}
	fs.DurationVar(&s.keep.Grace, "grace", 0, "how long the objects of removed snapshots stay, e.g. 24h")
	fs.Uint64Var(&s.accept, "accept", 0, "the changes up to this snapshot are right, though they look like an attack")
}

func auditExportFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.format, "format", "csv", "csv, ocsf or jsonl")
}

func doctorFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.logs, "logs", "", "log files in which to look for plaintext as well: FILE,FILE")
	fs.StringVar(&s.canaries, "canaries", "", "file of texts, one a line, that must not stand anywhere in the clear")
}

// clock is the time of rows, log entries and pages.
func (s settings) clock() time.Time {
	if s.now == nil {
		return time.Now()
	}
	return s.now()
}

// env returns a CONFIDE_ variable.
func env(name, otherwise string) string {
	if v, ok := os.LookupEnv("CONFIDE_" + name); ok {
		return v
	}
	return otherwise
}

// headings parses -map.
func (s settings) headings() (map[string]string, error) {
	m := map[string]string{}
	if s.mapping == "" {
		return m, nil
	}
	for _, pair := range strings.Split(s.mapping, ",") {
		heading, field, ok := strings.Cut(pair, "=")
		if !ok || heading == "" || field == "" {
			return nil, fmt.Errorf("%w: -map takes Heading=field,Heading=field", errUsage)
		}
		m[strings.TrimSpace(heading)] = strings.TrimSpace(field)
	}
	return m, nil
}
