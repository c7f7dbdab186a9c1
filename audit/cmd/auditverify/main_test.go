package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const golden = "../../testdata/golden/"

// auditverify runs the program and returns its exit status and what it printed.
func auditverify(t *testing.T, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	return run(t.Context(), args, &out, &out), out.String()
}

func file(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, data, 0o600))
	return path
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(golden + name)
	require.NoError(t, err)
	return data
}

func TestExitStatus(t *testing.T) {
	key := golden + "key"
	vkey := strings.TrimSpace(string(read(t, "key")))
	export := read(t, "export-3")
	edited := bytes.Replace(export, []byte("u3"), []byte("u4"), 1)
	other := strings.Replace(vkey, "crm", "crx", 1)
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{nil, 2, "usage: auditverify"},
		{[]string{"prove"}, 2, "usage: auditverify"},
		{[]string{"verify", golden + "export-3"}, 2, "-key is missing"},
		{[]string{"verify", "-key", key}, 2, "one file is checked at a time"},
		{[]string{"verify", "-key", "nonsense", "x"}, 2, "neither a verifier key nor a file with one"},
		{[]string{"verify", "-key", other, "x"}, 2, "neither a verifier key"},
		{[]string{"verify", "-key", vkey + "@0", "x"}, 2, "behind @ stands the size"},
		{[]string{"verify", "-key", vkey + "@7", golden + "export-3"}, 2, "the first -key is the current one"},
		{[]string{"verify", "-key", key, "-witness", "x", "x"}, 2, "not the Ed25519 key of a witness"},
		{[]string{"verify", "-key", key, "-quorum", "1", golden + "export-3"}, 1, "Quorum is 1 of 0"},
		{[]string{"verify", "-key", key, "missing"}, 1, "no such file"},
		{[]string{"verify", "-key", key, key}, 1, "is not an export"},
		{[]string{"verify", "-key", key, golden + "export-3"}, 0, "UNANCHORED: 23 events in 2 logs"},
		{[]string{"verify", "-key", vkey, "-checkpoint", golden + "checkpoint", golden + "export-3"}, 0, "valid: 23 events in 2 logs, anchored to checkpoint 9 of 9"},
		{[]string{"verify", "-key", key, "-checkpoint", golden + "key", golden + "export-3"}, 3, "bad-checkpoint"},
		{[]string{"verify", "-key", key, file(t, edited)}, 3, "edited "},
		{[]string{"verify", "-key", key, file(t, export[:len(export)-20])}, 1, "it was cut off"},
		{[]string{"proof", "-key", key, golden + "event.tlog-proof"}, 0, "is entry 11 of the"},
		{[]string{"proof", "-key", key, golden + "history.json"}, 0, "UNANCHORED"},
		{[]string{"proof", "-key", key, "-checkpoint", golden + "checkpoint", golden + "history.json"}, 0, "which was kept outside the database"},
		{[]string{"proof", "-key", key, "-checkpoint", golden + "older.checkpoint", golden + "history.json"}, 3, "against none of the checkpoints"},
		{[]string{"proof", "-key", key, file(t, bytes.Replace(read(t, "event.tlog-proof"), []byte("index 11"), []byte("index 12"), 1))}, 3, "is not in the signed tree"},
		{[]string{"proof", "-key", key, golden + "export-3"}, 1, "not a history"},
		{[]string{"consistency", "-key", key, golden + "consistency"}, 2, "-older is missing"},
		{[]string{"consistency", "-key", key, "-older", golden + "older.checkpoint", golden + "consistency"}, 0, "the log of 9 entries begins with the one of 4"},
		{[]string{"consistency", "-key", key, "-older", golden + "checkpoint", golden + "consistency"}, 3, "not about this older checkpoint"},
		{[]string{"tamper", "-key", key, golden + "key"}, 2, "tamper needs a whole export"},
		{[]string{"tamper", "-key", key, file(t, edited)}, 3, "the export itself is not what was written"},
	} {
		status, out := auditverify(t, c.args...)
		require.Equal(t, c.status, status, "%v: %s", c.args, out)
		require.Contains(t, out, c.want, "%v", c.args)
	}
}

func TestTamperFindsEveryAttack(t *testing.T) {
	status, out := auditverify(t, "tamper", "-key", golden+"key", "-checkpoint", golden+"checkpoint", golden+"export-3")
	require.Zero(t, status, out)
	require.Equal(t, 20, strings.Count(out, "\n"), out)
	require.Equal(t, 20, strings.Count(out, "found    "), out)
}

func TestContinueFromASavedState(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	status, out := auditverify(t, "verify", "-key", golden+"key", "-checkpoint", golden+"checkpoint", "-save", state, golden+"export-3")
	require.Zero(t, status, out)
	status, out = auditverify(t, "verify", "-key", golden+"key", "-since", state, golden+"export-3")
	require.Zero(t, status, out)
	require.Contains(t, out, "valid: 0 events in 2 logs, anchored to checkpoint 9 of 9; only what was sealed behind checkpoint 9 was read")
	status, out = auditverify(t, "verify", "-key", golden+"key", "-since", golden+"key", golden+"export-3")
	require.Equal(t, 2, status, out)
}

// One static binary: it is what an auditor takes along.
func TestItBuildsWithoutCgo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auditverify")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	out, err = exec.CommandContext(t.Context(), path, "verify", "-key", golden+"key", golden+"export-3").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "UNANCHORED: 23 events in 2 logs")
	err = exec.CommandContext(t.Context(), path).Run()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 2, exit.ExitCode())
}
