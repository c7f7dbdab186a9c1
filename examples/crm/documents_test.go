package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/examples/crm/internal/book"
	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/examples/crm/internal/signin"
	"github.com/confide-go/confide/examples/crm/internal/who"
	"github.com/confide-go/confide/privacy/attach"
)

// TestDocumentsHoldWithoutThePages asks the desk directly, as TestDeskHoldsWithoutThePages does.
func TestDocumentsHoldWithoutThePages(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &command{settings: settings{data: filepath.Join(t.TempDir(), "data"), log: "error", lang: "en"}, stdout: &out, stderr: &out}
	a, err := open(t.Context(), c)
	require.NoError(t, err)
	defer a.close()
	_, err = a.demo(t.Context(), true)
	require.NoError(t, err)
	at := func(id string) context.Context {
		ctx, err := a.desk.Within(who.With(t.Context(), who.Who{Channel: "test"}), signin.Session{UserID: id, Tenant: book.Tenant})
		require.NoError(t, err)
		return ctx
	}
	jane, nancy, margaret := at("3"), at("2"), at("4")
	stored := func() int {
		entries, err := os.ReadDir(a.folder.files())
		require.NoError(t, err)
		return len(entries)
	}
	contract := func() io.Reader { return strings.NewReader("%PDF-1.7 signed") }

	require.Equal(t, desk.ErrNotFound, a.desk.AddDocument(jane, "2", "contract.pdf", contract()))
	require.ErrorIs(t, a.desk.AddDocument(jane, "3", "huge", io.LimitReader(zeros{}, largestFile+1)), attach.ErrTooLarge)
	require.ErrorIs(t, a.desk.AddDocument(jane, "3", "cut", io.MultiReader(contract(), broken{})), io.ErrUnexpectedEOF)
	require.Error(t, a.desk.AddDocument(t.Context(), "3", "nobody", contract()))
	require.Zero(t, stored())
	require.NoError(t, a.desk.AddDocument(jane, "3", "../contract.pdf", contract()))
	require.Equal(t, 1, stored())
	list, err := a.desk.Documents(jane, "3")
	require.NoError(t, err)
	require.Len(t, list, 1)
	id := list[0].ID

	for _, purpose := range []string{"", "    ", " abc "} {
		_, err = a.desk.OpenDocument(jane, "3", id, purpose)
		require.ErrorIs(t, err, desk.ErrInvalid)
	}
	file, err := a.desk.OpenDocument(jane, "3", id, "check the signature")
	require.NoError(t, err)
	content, err := io.ReadAll(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.Equal(t, "%PDF-1.7 signed", string(content))
	_, err = a.desk.OpenDocument(margaret, "3", id, "just curious")
	require.Equal(t, desk.ErrNotFound, err)

	// The document follows its customer: to another owner, and out of sight.
	require.NoError(t, a.desk.UpdateCustomer(nancy, "3", map[string]string{"owner_id": "4"}))
	_, err = a.desk.OpenDocument(jane, "3", id, "check the signature")
	require.Equal(t, desk.ErrNotFound, err)
	file, err = a.desk.OpenDocument(margaret, "3", id, "my customer now")
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, a.desk.SetHidden(nancy, "3", true))
	_, err = a.desk.OpenDocument(margaret, "3", id, "my customer now")
	require.Equal(t, desk.ErrNotFound, err)

	// An upload whose row was never written goes, a day later; the document stays.
	orphan, err := a.files.Seal(t.Context(), "orphan", contract())
	require.NoError(t, err)
	entries, err := os.ReadDir(a.folder.files())
	require.NoError(t, err)
	for _, e := range entries {
		old := time.Now().Add(-25 * time.Hour)
		require.NoError(t, os.Chtimes(filepath.Join(a.folder.files(), e.Name()), old, old))
	}
	swept, err := a.sweep(operator(t.Context(), "test"))
	require.NoError(t, err)
	require.Equal(t, 1, swept.Removed)
	require.Equal(t, 1, swept.Live)
	require.NoFileExists(t, filepath.Join(a.folder.files(), orphan.ID()))

	// A file that was changed on the disk is not handed out.
	entries, err = os.ReadDir(a.folder.files())
	require.NoError(t, err)
	path := filepath.Join(a.folder.files(), entries[0].Name())
	sealed, err := os.ReadFile(path)
	require.NoError(t, err)
	sealed[len(sealed)-1] ^= 1
	require.NoError(t, os.WriteFile(path, sealed, 0o600))
	_, err = a.desk.OpenDocument(nancy, "3", id, "check the signature")
	require.ErrorIs(t, err, attach.ErrUnreadable)
	require.NotContains(t, err.Error(), "contract")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
