package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"
)

// scratchDatabase makes an empty database for a drill on the server of -scratch, or
// else that of -db, and returns its DSN and what removes it again.
func scratchDatabase(ctx context.Context, s settings) (dsn string, drop func() error, err error) {
	server := s.scratch
	if server == "" {
		server = s.db
	}
	name := "crm_drill_" + strings.ToLower(rand.Text()[:12])
	dsn, driver, at, err := databaseOn(server, name)
	if err != nil {
		return "", nil, err
	}
	remove := "DROP DATABASE " + name
	if driver == "pgx" {
		remove += " WITH (FORCE)"
	}
	if err := onServer(ctx, driver, at, "CREATE DATABASE "+name); err != nil {
		return "", nil, fmt.Errorf("make a database for the drill: %w; allow it to the database's user, or give another server with -scratch", err)
	}
	return dsn, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return onServer(ctx, driver, at, remove)
	}, nil
}

// databaseOn is the DSN of another database on the server of a DSN, and how to reach
// that server itself.
func databaseOn(server, name string) (dsn, driver, at string, err error) {
	scheme, rest, _ := strings.Cut(server, "://")
	switch scheme {
	case "postgres", "postgresql":
		u, err := url.Parse(server)
		if err != nil {
			return "", "", "", errors.New("the DSN of the server is not a URL")
		}
		q := u.Query()
		q.Del("search_path") // the new database has only the standard schema
		u.Path, u.RawQuery = "/"+name, q.Encode()
		return u.String(), "pgx", server, nil
	case "mysql":
		cfg, err := mysqldriver.ParseDSN(rest)
		if err != nil {
			return "", "", "", errors.New("the DSN of the server is not one of MySQL")
		}
		cfg.DBName = name
		return "mysql://" + cfg.FormatDSN(), "mysql", rest, nil
	}
	return "", "", "", fmt.Errorf("%w: -scratch begins with postgres:// or mysql://", errUsage)
}

func onServer(ctx context.Context, driver, dsn, statement string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, statement)
	return err
}
