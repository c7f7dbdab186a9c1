package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/glebarez/sqlite"
	mysqldriver "github.com/go-sql-driver/mysql"
	"gorm.io/driver/mysql"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/masking"
)

// newLog makes the program's log. Personal values that slip into a message or an
// attribute are masked before they are written.
func newLog(w io.Writer, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("%w: -log is debug, info, warn or error", errUsage)
	}
	return slog.New(masking.NewHandler(slog.NewTextHandler(w, &slog.HandlerOptions{Level: l}), masking.HandlerConfig{})), nil
}

// openDatabase opens the database of the settings. GORM logs statements without
// their values, at debug level.
func openDatabase(s settings, f folder, log *slog.Logger) (*gorm.DB, error) {
	dialector, err := dialectorOf(s, f)
	if err != nil {
		return nil, err
	}
	db, err := gorm.Open(dialector, &gorm.Config{
		Logger: logger.NewSlogLogger(log, logger.Config{
			SlowThreshold: time.Second, ParameterizedQueries: true, IgnoreRecordNotFoundError: true, LogLevel: gormLevel(s.log),
		}),
		NowFunc:        func() time.Time { return s.clock().UTC().Truncate(time.Millisecond) },
		TranslateError: true,
	})
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool, err := db.DB()
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	pool.SetMaxOpenConns(8)
	return db, nil
}

func gormLevel(level string) logger.LogLevel {
	if strings.EqualFold(level, "debug") {
		return logger.Info
	}
	return logger.Warn
}

func dialectorOf(s settings, f folder) (gorm.Dialector, error) {
	scheme, rest, ok := strings.Cut(s.db, "://")
	switch {
	case s.db == "":
		return sqlite.Open(sqliteDSN(f.database())), nil
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		return postgres.Open(s.db), nil
	case ok && scheme == "sqlite":
		return sqlite.Open(rest), nil
	case ok && scheme == "mysql":
		cfg, err := mysqldriver.ParseDSN(rest)
		if err != nil {
			return nil, fmt.Errorf("%w: -db for MySQL is mysql://user:password@tcp(host:port)/name", errUsage)
		}
		cfg.ParseTime, cfg.Loc = true, time.UTC
		return mysql.Open(cfg.FormatDSN()), nil
	}
	return nil, fmt.Errorf("%w: -db begins with postgres://, mysql:// or sqlite://", errUsage)
}

// sqliteDSN opens a file with a write-ahead log and full synchronisation;
// transactions take the write lock at once, so that they wait for each other
// instead of failing half way.
func sqliteDSN(path string) string {
	return "file:" + path + "?_txlock=immediate&_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)"
}
