// Package sftpstore keeps a backup repository on another machine, over SFTP: one
// file for each object. It is a module of its own, so that who does not use it
// never meets its dependencies.
//
// # What it does
//
// A put writes a temporary file, fsyncs it, and links it to its name, which fails
// if there is such a name: of several writers one wins, and a killed one leaves a
// file whose name begins with ".tmp-", which no method shows and which may be
// deleted whenever no backup runs. A connection that is lost is made anew by the
// next operation; package retry repeats the one that failed.
//
// # The three calls you need
//
//	key, err := ssh.ParsePrivateKey(pem)
//	host, _, _, _, err := ssh.ParseAuthorizedKey(line)   // of ssh-keyscan, checked by you
//	store, err := sftpstore.Open(ctx, sftpstore.Config{Address: "nas:22", User: "crm", Key: key, HostKey: host, Dir: "/backup/crm"})
//
// # What you must supply
//
// A server with the extensions hardlink@openssh.com and fsync@openssh.com, such as
// OpenSSH; Open refuses another. A user who can log in with a key, best one who can
// do nothing but SFTP (ForceCommand internal-sftp, ChrootDirectory).
//
// # What is NOT protected
//
// SFTP has no rights finer than those of files: whoever may put may delete. Let the
// server take snapshots of the directory, or keep another copy elsewhere. Files are
// readable by their owner only.
//
// # How it fails
//
// As backup.Store says. The host key is pinned, and another one ends Open. A server
// that does not answer for half a minute loses the connection, which ends what was
// under way; a context is looked at between pieces of 256 KiB.
package sftpstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"github.com/confide-go/confide/backup"
)

// Config says which directory on which machine. All fields are required.
type Config struct {
	Address string        // host:port
	User    string        //
	Key     ssh.Signer    // of the user
	HostKey ssh.PublicKey // of the machine; no other is accepted
	Dir     string        // absolute; made if it is missing
}

// A Store is a backup.Store over SFTP. Several processes may use it at once.
type Store struct {
	cfg Config

	mu   sync.Mutex
	open *connection // nil until needed, and when it was lost
}

var _ backup.Store = (*Store)(nil)

// Open connects and makes the directory if it is missing.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	switch {
	case cfg.Address == "" || cfg.User == "" || cfg.Key == nil:
		return nil, errors.New("sftpstore: Config.Address, Config.User and Config.Key are required")
	case cfg.HostKey == nil:
		return nil, errors.New("sftpstore: Config.HostKey is nil; pin the key of the machine")
	case !path.IsAbs(cfg.Dir):
		return nil, errors.New("sftpstore: Config.Dir must be absolute")
	}
	s := &Store{cfg: cfg}
	c, err := s.connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := makeDir(c, cfg.Dir); err != nil {
		s.Close()
		return nil, fmt.Errorf("sftpstore: %w", err)
	}
	return s, nil
}

// Close ends the connection. The store may be used again: it connects anew.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		s.open.ssh.Close()
		s.open = nil
	}
	return nil
}

// A connection is one SSH connection with its SFTP session.
type connection struct {
	*sftp.Client
	ssh  *ssh.Client
	lost chan struct{} // closed when the connection has ended
}

// connect returns the connection, which it makes if there is none.
func (s *Store) connect(ctx context.Context) (*sftp.Client, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		select {
		case <-s.open.lost:
			s.open.ssh.Close()
			s.open = nil
		default:
			return s.open.Client, nil
		}
	}
	c, err := s.dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("sftpstore: connect to %s: %w", s.cfg.Address, err)
	}
	s.open = c
	return c.Client, nil
}

const (
	dialTimeout = 30 * time.Second
	askAlive    = 15 * time.Second // how often, and how long to wait for the answer
)

func (s *Store) dial(ctx context.Context) (*connection, error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	raw, err := dialer.DialContext(ctx, "tcp", s.cfg.Address)
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Now().Add(dialTimeout)); err != nil { // of the handshake
		raw.Close()
		return nil, err
	}
	// The algorithm is that of the pinned key: a server has several keys, and would
	// else show another one.
	conn, channels, requests, err := ssh.NewClientConn(raw, s.cfg.Address, &ssh.ClientConfig{
		User:              s.cfg.User,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(s.cfg.Key)},
		HostKeyCallback:   ssh.FixedHostKey(s.cfg.HostKey),
		HostKeyAlgorithms: algorithms(s.cfg.HostKey),
	})
	if err != nil {
		raw.Close()
		return nil, err
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		conn.Close()
		return nil, err
	}
	c := &connection{ssh: ssh.NewClient(conn, channels, requests), lost: make(chan struct{})}
	if c.Client, err = sftp.NewClient(c.ssh, sftp.UseConcurrentWrites(true)); err != nil {
		c.ssh.Close()
		return nil, err
	}
	for _, extension := range []string{"hardlink@openssh.com", "fsync@openssh.com"} {
		if _, ok := c.HasExtension(extension); !ok {
			c.ssh.Close()
			return nil, fmt.Errorf("the server lacks %s, without which a put is not safe: %w", extension, errors.ErrUnsupported)
		}
	}
	go func() {
		c.Wait()
		close(c.lost)
	}()
	go c.stayAlive()
	return c, nil
}

func algorithms(key ssh.PublicKey) []string {
	if key.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{key.Type()}
}

// stayAlive ends a connection whose other side no longer answers, which TCP alone
// takes many minutes to notice.
func (c *connection) stayAlive() {
	for {
		select {
		case <-c.lost:
			return
		case <-time.After(askAlive):
		}
		late := time.AfterFunc(askAlive, func() { c.ssh.Close() })
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		late.Stop()
		if err != nil {
			c.ssh.Close()
			return
		}
	}
}
