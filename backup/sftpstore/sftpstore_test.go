package sftpstore_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/confide-go/confide/backup"
	"github.com/confide-go/confide/backup/backuptest"
	"github.com/confide-go/confide/backup/sftpstore"
)

// sshdEnv holds the path of OpenSSH's sshd (Debian: openssh-server). When it is
// set the tests that need it run or fail, and never skip.
const sshdEnv = "CONFIDE_TEST_SSHD"

func TestMain(m *testing.M) {
	backuptest.StoreWorker(openLogin)
	os.Exit(m.Run())
}

// A login is what another process needs to open a store.
type login struct{ Address, User, Key, HostKey, Dir string }

func (l login) config() (sftpstore.Config, error) {
	key, err := ssh.ParsePrivateKey([]byte(l.Key))
	if err != nil {
		return sftpstore.Config{}, err
	}
	host, _, _, _, err := ssh.ParseAuthorizedKey([]byte(l.HostKey))
	return sftpstore.Config{Address: l.Address, User: l.User, Key: key, HostKey: host, Dir: l.Dir}, err
}

func openLogin(ctx context.Context, spec string) (backup.Store, error) {
	var l login
	if err := json.Unmarshal([]byte(spec), &l); err != nil {
		return nil, err
	}
	cfg, err := l.config()
	if err != nil {
		return nil, err
	}
	return sftpstore.Open(ctx, cfg)
}

func newKey(t *testing.T) (private, public string) {
	t.Helper()
	_, secret, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(secret, "")
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(secret)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(block)), string(ssh.MarshalAuthorizedKey(signer.PublicKey()))
}

// startServer starts a real sshd for the user who runs the test.
func startServer(t *testing.T) login {
	t.Helper()
	binary := os.Getenv(sshdEnv)
	if binary == "" {
		binary = "/usr/sbin/sshd"
		if _, err := os.Stat(binary); err != nil {
			t.Skip(sshdEnv + " is not set and there is no /usr/sbin/sshd")
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().(*net.TCPAddr)
	require.NoError(t, free.Close())
	me, err := user.Current()
	require.NoError(t, err)
	l := login{Address: address.String(), User: me.Username, Dir: filepath.Join(dir, "store")}
	hostPrivate, hostPublic := newKey(t)
	userPrivate, userPublic := newKey(t)
	l.Key, l.HostKey = userPrivate, hostPublic
	config := write("config", fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %s
AuthorizedKeysFile %s
Subsystem sftp internal-sftp
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
MaxStartups 100
PidFile none
`, address.Port, write("host", hostPrivate), write("authorized", userPublic)))
	if os.Geteuid() == 0 {
		require.NoError(t, os.MkdirAll("/run/sshd", 0o755)) // it refuses to start without
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command(binary, "-D", "-e", "-f", config)
	cmd.Stderr = log
	require.NoError(t, cmd.Start())
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-exited
		log.Close()
	})
	deadline := time.Now().Add(time.Minute)
	for {
		conn, err := net.Dial("tcp", l.Address)
		if err == nil {
			conn.Close()
			return l
		}
		select {
		case <-exited:
			exited <- nil
			said, _ := os.ReadFile(log.Name())
			t.Fatalf("sshd ended: %s", said)
		case <-time.After(20 * time.Millisecond):
			require.True(t, time.Now().Before(deadline), "sshd does not answer: %v", err)
		}
	}
}

func (l login) String() string {
	out, _ := json.Marshal(l)
	return string(out)
}

func (l login) open(t *testing.T) *sftpstore.Store {
	t.Helper()
	cfg, err := l.config()
	require.NoError(t, err)
	s, err := sftpstore.Open(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestADirectoryOnAnotherMachineIsAStore(t *testing.T) {
	server, n := startServer(t), 0
	backuptest.RunStore(t, func(t *testing.T) backup.Store {
		l := server
		n++
		l.Dir = filepath.Join(server.Dir, fmt.Sprint(n), "not there yet")
		return l.open(t)
	})
}

func TestSeveralProcessesShareIt(t *testing.T) {
	backuptest.RunStoreProcesses(t, startServer(t).String(), openLogin)
}

func TestFilesArePrivateAndUnfinishedOnesHidden(t *testing.T) {
	l := startServer(t)
	s := l.open(t)
	require.NoError(t, s.Put(t.Context(), "sub/object", []byte("x")))
	info, err := os.Stat(filepath.Join(l.Dir, "sub", "object"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(l.Dir, "sub"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	require.NoError(t, os.WriteFile(filepath.Join(l.Dir, "sub", ".tmp-1"), []byte("torn"), 0o600))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(l.Dir, "sub", "link")))
	for o, err := range s.List(t.Context(), "", "") {
		require.NoError(t, err)
		require.Equal(t, "sub/object", o.Key)
	}
}

func TestOnlyThePinnedHostAndTheRightKeyAreAccepted(t *testing.T) {
	l := startServer(t)
	other := l
	_, other.HostKey = newKey(t)
	cfg, err := other.config()
	require.NoError(t, err)
	_, err = sftpstore.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "host key mismatch")
	cfg.HostKey = nil
	_, err = sftpstore.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "pin the key of the machine")

	other = l
	other.Key, _ = newKey(t)
	cfg, err = other.config()
	require.NoError(t, err)
	_, err = sftpstore.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "unable to authenticate")

	cfg, err = l.config()
	require.NoError(t, err)
	cfg.Dir = "relative"
	_, err = sftpstore.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "must be absolute")
	cfg.Dir, cfg.User = "/x", ""
	_, err = sftpstore.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "are required")
}

// TestALostConnectionIsMadeAnew cuts the line while objects are put: what was
// under way fails, or has been stored whole, and the next operation connects.
func TestALostConnectionIsMadeAnew(t *testing.T) {
	l := startServer(t)
	line := newLine(t, l.Address)
	l.Address = line.address
	s := l.open(t)
	content := make([]byte, 3<<20)
	for i := range content {
		content[i] = byte(i >> 8)
	}
	failures := 0
	for i := range 10 {
		key := fmt.Sprintf("k/%d", i)
		line.cutAfter <- (i * len(content)) / 8
		err := s.Put(t.Context(), key, content)
		if err != nil {
			failures++
		}
		line.mend()
		var got []byte
		// The loss may be noticed by the first operation after it.
		for range 3 {
			var readErr error
			if got, readErr = s.Get(t.Context(), key, 0, -1); readErr == nil || errors.Is(readErr, os.ErrNotExist) {
				break
			}
		}
		if err == nil || got != nil {
			require.Equal(t, len(content), len(got), "object %d", i)
			require.Equal(t, content, got, "object %d", i)
		}
	}
	require.NotZero(t, failures, "the line was never cut in time")
}

// A line passes bytes on to a server until it is told to cut.
type line struct {
	address  string
	cutAfter chan int
	mended   chan struct{}
}

func newLine(t *testing.T, to string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	l := &line{address: listener.Addr().String(), cutAfter: make(chan int, 1), mended: make(chan struct{}, 1)}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				return
			}
			go l.pass(in, out)
		}
	}()
	return l
}

func (l *line) pass(in, out net.Conn) {
	defer in.Close()
	defer out.Close()
	go io.Copy(in, out)
	left, cutting := 0, false
	buffer := make([]byte, 32<<10)
	for {
		n, err := in.Read(buffer)
		if err != nil {
			return
		}
		select {
		case left = <-l.cutAfter:
			cutting = true
		case <-l.mended:
			cutting = false
		default:
		}
		if cutting {
			if left -= n; left < 0 {
				return
			}
		}
		if _, err := out.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// mend keeps a line that was not cut in time from being cut later.
func (l *line) mend() {
	select {
	case <-l.cutAfter:
	default:
	}
	select {
	case l.mended <- struct{}{}:
	default:
	}
}
