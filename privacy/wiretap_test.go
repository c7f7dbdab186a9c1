package privacy_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	mysqldriver "github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
)

// A tap hears every byte that the program sends to a database server: all that the server's statement log,
// its write-ahead log, its files and their backups could ever hold.
type tap struct {
	ln net.Listener

	mu    sync.Mutex
	heard bytes.Buffer
}

// newTap listens in front of the server, of which network is tcp or unix.
func newTap(t *testing.T, network, server string) *tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tap{ln: ln}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial(network, server)
			if err != nil {
				client.Close()
				continue
			}
			go func() {
				defer client.Close()
				_, _ = io.Copy(client, up)
			}()
			go func() {
				defer up.Close()
				_, _ = io.Copy(io.MultiWriter(p, up), client)
			}()
		}
	}()
	return p
}

func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard.Write(b)
}

func (p *tap) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard.String()
}

// tapped reopens the database with a tap on its line. SQLite has none: there the files are read.
func tapped(t *testing.T, db testdb.DB) (testdb.DB, func() string) {
	t.Helper()
	switch db.Engine {
	case testdb.Postgres:
		cfg, err := pgconn.ParseConfig(db.DSN)
		require.NoError(t, err)
		network, server := pgconn.NetworkAddress(cfg.Host, cfg.Port)
		p := newTap(t, network, server)
		db.DSN = replaceHost(t, db.DSN, p.ln.Addr().String())
		return db.Reopen(t), p.text
	case testdb.MySQL:
		cfg, err := mysqldriver.ParseDSN(db.DSN)
		require.NoError(t, err)
		p := newTap(t, cfg.Net, cfg.Addr)
		cfg.Net, cfg.Addr = "tcp", p.ln.Addr().String()
		db.DSN = cfg.FormatDSN()
		return db.Reopen(t), p.text
	}
	return db, func() string { return sqliteFiles(t, db) }
}

func replaceHost(t *testing.T, dsn, to string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(to)
	require.NoError(t, err)
	if u, err := url.Parse(dsn); err == nil && strings.HasPrefix(u.Scheme, "postgres") {
		q := u.Query()
		q.Del("host")
		u.RawQuery, u.Host = q.Encode(), to
		return u.String()
	}
	return dsn + " host=" + host + " port=" + port
}

// sqliteFiles returns every byte of the database's files, the write-ahead log and freed pages included.
func sqliteFiles(t *testing.T, db testdb.DB) string {
	t.Helper()
	path, _, _ := strings.Cut(strings.TrimPrefix(db.DSN, "file:"), "?")
	files, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.FromSlash(path)), "*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		all.Write(b)
	}
	return all.String()
}

// The tap hears plaintext where there is some: in a column that is not sealed.
func TestTapHears(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		db, heard := tapped(t, db)
		h := newHouse(t, db)
		require.NoError(t, h.gorm().Create(&Plain{ID: "1", Note: "Canarino in the open"}).Error)
		require.Contains(t, heard(), "Canarino in the open")
		require.NoError(t, h.gorm().Create(customer("1", bobName, bobPhone, bobEmail)).Error)
		require.NotContains(t, heard(), bobName)
	})
}
