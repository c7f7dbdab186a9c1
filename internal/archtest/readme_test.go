package archtest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeProgramRuns runs the program on the first screen of the README, with
// the imports a reader's editor would add, and looks at what it prints and stores.
func TestReadmeProgramRuns(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(readme), "```go\n")
	require.True(t, ok, "the README has no program")
	program, _, _ := strings.Cut(rest, "```")

	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	require.NoError(t, os.WriteFile(source, []byte(`package main

import (
	"context"
	"fmt"

	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/keyfile"
)

`+program), 0o600))
	binary := filepath.Join(dir, "program")
	build := exec.Command("go", "build", "-o", binary, source)
	build.Dir = "../.."
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	run := exec.Command(binary)
	run.Dir = dir
	out, err = run.CombinedOutput()
	require.NoError(t, err, string(out))
	// On a slow disk GORM's logger prints lines of its own in between.
	require.Contains(t, string(out), "+86 138 **** 8000\n")
	require.Contains(t, string(out), "+86 138 0013 8000 <nil>\n")
	require.Equal(t, 1, strings.Count(string(out), "0013"), "the number is printed once, where it was revealed")

	stored, err := os.ReadFile(filepath.Join(dir, "crm.db"))
	require.NoError(t, err)
	require.NotEmpty(t, stored)
	require.NotContains(t, string(stored), "0013")
}

// TestReadmeTellsBothCommandsAtOnce keeps the way in on the first screen.
func TestReadmeTellsBothCommandsAtOnce(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	lines := strings.Split(string(readme), "\n")
	require.LessOrEqual(t, len(lines), 200)
	first := strings.Join(lines[:40], "\n")
	require.Contains(t, first, "\ngo run ./examples/crm\n")
	require.Contains(t, first, "\ngo test ./...\n")
}
