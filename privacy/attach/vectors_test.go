package attach_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/confide-go/confide/privacy/attach"
	"github.com/confide-go/confide/privacy/attach/attachtest"
)

var appendVectors = flag.Bool("append-vectors", false, "append files to testdata/vectors.json; never needed unless a format gets a new version")

// A vector is a file as stored. Content is count bytes of the sequence 0, 1, ... 250, 0, 1, ...
type vector struct {
	Ref    json.RawMessage `json:"ref"`
	Object string          `json:"object"`
	Count  int             `json:"count"`
}

func (v vector) content() []byte {
	b := make([]byte, v.Count)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// What was ever stored can be read for ever.
func TestFrozenVectors(t *testing.T) {
	const file = "testdata/vectors.json"
	if *appendVectors {
		writeVectors(t, file)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var all []vector
	require.NoError(t, json.Unmarshal(text, &all))
	require.NotEmpty(t, all)
	for _, v := range all {
		store := attachtest.NewMemory(nil)
		files, err := attach.New(attach.Config{Store: store})
		require.NoError(t, err)
		var ref attach.Ref
		require.NoError(t, json.Unmarshal(v.Ref, &ref))
		object, err := hex.DecodeString(v.Object)
		require.NoError(t, err)
		store.Replace(ref.ID(), object)
		got, err := readAll(files, ref)
		require.NoError(t, err)
		require.True(t, bytes.Equal(v.content(), got))
		sum := sha256.Sum256(got)
		require.Equal(t, sum[:], ref.SHA256())
		require.NotEmpty(t, ref.Name())
		require.NotEmpty(t, ref.ContentType())
		again, err := attach.Exposed(ref)
		require.NoError(t, err)
		require.JSONEq(t, string(v.Ref), string(again))
	}
}

func writeVectors(t *testing.T, file string) {
	t.Helper()
	var all []vector
	if text, err := os.ReadFile(file); err == nil {
		require.NoError(t, json.Unmarshal(text, &all))
	}
	for i, n := range []int{0, 1, smallest, smallest + 1, 2*smallest + 100} {
		files, store := newFiles(t)
		handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		require.NoError(t, err)
		v := vector{Count: n}
		ref, err := files.SealAs(t.Context(), []string{"a.pdf", "合同.pdf"}[i%2], bytes.NewReader(v.content()), hex.EncodeToString(random(t, 16)), handle)
		require.NoError(t, err)
		v.Ref, err = attach.Exposed(ref)
		require.NoError(t, err)
		v.Object = hex.EncodeToString(store.Bytes(ref.ID()))
		all = append(all, v)
	}
	text, err := json.MarshalIndent(all, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(text, '\n'), 0o644))
}
