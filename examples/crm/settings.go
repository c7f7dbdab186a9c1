package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/confide-go/confide/backup"
)

// Settings come from flags, and where a flag is not given from CONFIDE_*.
type settings struct {
	data string // folder for database, keys, anchors, backups
	db   string // DSN; "" is a SQLite file in the data folder
	lang string // "zh" or "en": of pages whose reader has not chosen
	log  string // level of the log on standard error

	now func() time.Time // nil: time.Now

	addr    string // serve
	demo    bool
	tlsCert string
	tlsKey  string

	mapping   string // import: Heading=field,Heading=field
	passwords string // import: file for the first passwords of new users

	kind     string // backup run
	to       string // backup restore
	customer string
	conflict string
	rpo, rto time.Duration       // backup drill
	keep     backup.PruneOptions // backup prune
	accept   uint64
	format   string        // audit export
	lasts    time.Duration // audit hammer
	worker   bool

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
}

func importFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.mapping, "map", "", "headings that are not found by themselves: Heading=field,Heading=field")
	fs.StringVar(&s.passwords, "passwords", "", "write first passwords of new users to this new file")
}

func backupFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.kind, "kind", "full", "full, differential (shares with the last full one) or incremental (with the last one)")
}

func restoreFlags(fs *flag.FlagSet, s *settings) {
	fs.StringVar(&s.to, "to", "", "data folder to create")
	fs.StringVar(&s.customer, "customer", "", "bring this customer, with invoices and documents, back into the database in use")
	fs.StringVar(&s.conflict, "conflict", "", "with -customer, what to do with rows that differ: skip or overwrite; default: stop")
	fs.BoolVar(&s.dryRun, "dry-run", false, "with -customer, only say what would be done")
}

func drillFlags(fs *flag.FlagSet, s *settings) {
	fs.DurationVar(&s.rpo, "rpo", 0, "how old the newest snapshot may be, e.g. 26h; default: no limit")
	fs.DurationVar(&s.rto, "rto", 0, "how long restoring may take; default: no limit")
}

func pruneFlags(fs *flag.FlagSet, s *settings) {
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
