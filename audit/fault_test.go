package audit_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/diranchor"
	"github.com/confide-go/confide/audit/fileanchor"
	"github.com/confide-go/confide/internal/durable"
)

// faultEnv makes the test binary a process under strace: its value is what to do
// and where, "file:DIR", "dir:DIR" or "export:DIR".
const faultEnv = "CONFIDE_AUDIT_FAULT"

// strace counts calls per thread, so the process under it does all on its first one.
func init() {
	if os.Getenv(faultEnv) != "" {
		runtime.LockOSThread()
	}
}

// faultMark is a name no process has; looking for it marks where faults begin.
const faultMark = "/confide-faults-begin-here"

// faultWorker does its work and prints "ok N" for what it was told is done.
func faultWorker(text string) error {
	what, dir, _ := strings.Cut(text, ":")
	ctx := context.Background()
	if what == "export" {
		log, err := smallLog(ctx, dir)
		if err != nil {
			return err
		}
		_, _ = os.Lstat(faultMark)
		if err := log.ExportFile(ctx, filepath.Join(dir, "export")); err != nil {
			return err
		}
		fmt.Println("ok 1")
		return nil
	}
	if what == "durable" {
		_, _ = os.Lstat(faultMark)
		return durableWorker(dir)
	}
	anchor, err := openFaultAnchor(what, dir)
	if err != nil {
		return err
	}
	_, _ = os.Lstat(faultMark)
	for i, c := range faultCheckpoints() {
		if err := anchor.Put(ctx, c); err != nil {
			continue // a Log would offer the next one
		}
		fmt.Println("ok", i+1)
	}
	return nil
}

// durableWorker does one of each, and says so.
func durableWorker(dir string) error {
	for i, do := range []func() error{
		func() error { return durable.MkdirAll(dir+"/a/b", 0o700) },
		func() error { return durable.WriteFile(dir+"/a/b/file", []byte("x"), 0o600) },
		func() error { return durable.WriteFile(dir+"/a/b/file", []byte("y"), 0o600) },
		func() error { return durable.Create(dir+"/a/b/new", []byte("x"), 0o600) },
		func() error { return durable.Append(dir+"/a/b/log", []byte("x"), 0o600) },
		func() error { return durable.Append(dir+"/a/b/log", []byte("y"), 0o600) },
		func() error { return durable.Remove(dir + "/a/b/new") },
	} {
		if err := do(); err != nil {
			return err
		}
		fmt.Println("ok", i+1)
	}
	return nil
}

func faultCheckpoints() (list []audit.Checkpoint) {
	for size := range int64(3) {
		root := [32]byte{byte(size + 1)}
		c := audit.Checkpoint{Origin: "crm", Size: size + 1, Root: root}
		c.Note = fmt.Appendf(nil, "crm\n%d\n%s\n\n— crm AAAA\n", c.Size, base64.StdEncoding.EncodeToString(root[:]))
		list = append(list, c)
	}
	return list
}

func openFaultAnchor(what, dir string) (audit.Anchor, error) {
	if what == "dir" {
		return diranchor.Open(filepath.Join(dir, "anchor"))
	}
	return fileanchor.Open(filepath.Join(dir, "anchor"))
}

// smallLog is a log of some events in memory; its key is left beside it.
func smallLog(ctx context.Context, dir string) (*audit.Log, error) {
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	if err != nil {
		return nil, err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	log, err := audit.Open(ctx, audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: verifier, Actor: actorOf, Anchor: audit.Unanchored})
	if err != nil {
		return nil, err
	}
	for range 200 {
		if err := log.RecordApart(ctx, "a.b"); err != nil {
			return nil, err
		}
	}
	if err := log.Flush(ctx); err != nil {
		return nil, err
	}
	if _, err := log.Seal(ctx); err != nil {
		return nil, err
	}
	return log, os.WriteFile(filepath.Join(dir, "key"), []byte(vkey), 0o600)
}

// The calls that can fail or be the last one. Memory, threads and clocks are the
// runtime's own.
const faultCalls = "openat,write,read,pread64,fsync,fdatasync,close,linkat,renameat,unlinkat,unlink,rename,link,fchmod,mkdirat,ftruncate,newfstatat,fstat,getdents64,copy_file_range"

// straced runs the worker under strace and returns what it printed and the trace.
func straced(t *testing.T, what, dir string, inject ...string) (out, trace string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	args := []string{"-qq", "-y", "-s", "4096", "-o", log, "-e", "trace=" + faultCalls}
	for _, i := range inject {
		args = append(args, "-e", "inject="+i)
	}
	cmd := exec.CommandContext(t.Context(), "strace", append(args, os.Args[0])...)
	cmd.Env = append(os.Environ(), faultEnv+"="+what+":"+dir, "GOMAXPROCS=1")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	data, err := os.ReadFile(log)
	require.NoError(t, err, "strace did not run: %s", stderr.String())
	require.NotContains(t, stderr.String(), "ptrace", "strace may not trace here")
	return stdout.String(), string(data)
}

// A fault is one call of the worker: its name and which one of that name.
type faultAt struct {
	call string
	nth  int
}

// faultsOf lists the calls behind the mark, without those that print.
func faultsOf(t *testing.T, trace string) (list []faultAt) {
	seen, begun := map[string]int{}, false
	name := regexp.MustCompile(`^(\w+)\((.*)`)
	for line := range strings.Lines(trace) {
		m := name.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		seen[m[1]]++
		switch {
		case strings.Contains(line, faultMark):
			begun = true
		case begun && m[1] == "write" && strings.HasPrefix(m[2], "1<"):
		case begun:
			list = append(list, faultAt{m[1], seen[m[1]]})
		}
	}
	require.True(t, begun, "the worker never came to its work:\n%s", trace)
	return list
}

// TestFaults lets every single system call of the anchors and of an export fail, and
// kills the process at every single one: what was acknowledged is there, what is there is
// whole, and the next process goes on.
func TestFaults(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed") // .ci/run installs it and lets no skip pass
	}
	t.Parallel()
	for _, what := range []string{"file", "dir", "export"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			out, trace := straced(t, what, dir)
			require.Contains(t, out, "ok 1")
			checkFault(t, what, dir, out)
			faults := faultsOf(t, trace)
			require.Greater(t, len(faults), 8, trace)
			checkDurable(t, trace)
			for i, f := range faults {
				if testing.Short() && i%4 != 0 { // a process for each takes long under the race detector
					continue
				}
				for _, how := range []string{"error=EIO", "signal=KILL"} {
					dir := t.TempDir()
					out, trace := straced(t, what, dir, fmt.Sprintf("%s:%s:when=%d", f.call, how, f.nth))
					t.Logf("%s %d %s: %q", f.call, f.nth, how, out)
					require.True(t, strings.Contains(trace, "(INJECTED)") || strings.Contains(trace, "killed by SIGKILL"), "nothing was injected into %v:\n%s", f, trace)
					checkFault(t, what, dir, out)
				}
			}
			t.Logf("%d calls, each failed once and killed once", len(faults))
		})
	}
}

// What package durable has said is done would survive the machine, call by call.
func TestEverythingIsSyncedBeforeItIsSaid(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed") // .ci/run installs it and lets no skip pass
	}
	out, trace := straced(t, "durable", t.TempDir())
	require.Contains(t, out, "ok 7")
	checkDurable(t, trace)
}

// checkDurable goes through a trace and requires that when something is said to be done,
// every file was synced after it was written, and every directory after its names changed.
func checkDurable(t *testing.T, trace string) {
	t.Helper()
	_, trace, begun := strings.Cut(trace, faultMark)
	require.True(t, begun)
	call := regexp.MustCompile(`^(\w+)\((.*)\) += (\d+)(?:<([^>]*)>)?`)
	fd, path := regexp.MustCompile(`^\d+<([^>]*)>`), regexp.MustCompile(`"([^"]*)"`)
	unsynced, made, said := map[string]bool{}, map[string]bool{}, 0
	changed := func(name string) { unsynced[filepath.Dir(name)] = true }
	for line := range strings.Lines(trace) {
		m := call.FindStringSubmatch(line)
		if m == nil {
			continue // it failed
		}
		file := ""
		if f := fd.FindStringSubmatch(m[2]); f != nil {
			file = f[1]
		}
		names := path.FindAllStringSubmatch(m[2], -1)
		switch m[1] {
		case "write":
			if strings.HasPrefix(m[2], "1<") {
				said++
				require.Empty(t, unsynced, "it said %s before it synced", m[2])
			} else {
				unsynced[file] = true
			}
		case "fsync":
			delete(unsynced, file)
		case "openat":
			if strings.Contains(m[2], "O_CREAT") && !made[m[4]] {
				made[m[4]] = true
				changed(m[4])
			}
		case "linkat", "renameat", "rename", "link":
			changed(names[1][1])
			made[names[1][1]] = true
		case "mkdirat", "unlinkat", "unlink":
			changed(names[0][1])
		}
	}
	require.Positive(t, said)
}

func checkFault(t *testing.T, what, dir, out string) {
	t.Helper()
	if what == "export" {
		checkFaultyExport(t, dir, out)
		return
	}
	anchor, err := openFaultAnchor(what, dir)
	require.NoError(t, err, "what a fault left cannot be opened")
	has := func() map[string]bool {
		seen := map[string]bool{}
		for msg, err := range anchor.(audit.AnchorReader).Checkpoints(t.Context()) {
			require.NoError(t, err)
			seen[string(msg)] = true
		}
		return seen
	}
	seen, known := has(), 0
	for i, c := range faultCheckpoints() {
		if seen[string(c.Note)] {
			known++
		}
		if strings.Contains(out, fmt.Sprintf("ok %d\n", i+1)) {
			require.True(t, seen[string(c.Note)], "the checkpoint of %d was acknowledged and is not there", i+1)
		}
	}
	require.Len(t, seen, known, "something is there that nobody put")
	last := faultCheckpoints()[2]
	require.NoError(t, anchor.Put(t.Context(), last), "the next process cannot go on")
	require.True(t, has()[string(last.Note)])
}

func checkFaultyExport(t *testing.T, dir, out string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "export"))
	if errors.Is(err, fs.ErrNotExist) {
		require.NotContains(t, out, "ok", "an export was acknowledged and is not there")
		return
	}
	require.NoError(t, err)
	vkey, err := os.ReadFile(filepath.Join(dir, "key"))
	require.NoError(t, err)
	r, err := audit.VerifyExport(t.Context(), bytes.NewReader(data), verifierOf(t, string(vkey)), audit.VerifyOptions{})
	require.NoError(t, err, "there is an export that is not whole")
	require.True(t, r.OK && r.Size == 200, "%s", r)
}
