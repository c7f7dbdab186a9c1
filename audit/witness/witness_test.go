package witness_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/audit/fileanchor"
	"github.com/confide-go/confide/audit/witness"
)

// A server is a small witness as c2sp.org/tlog-witness has it, for one log.
type server struct {
	log    note.Verifier
	signer note.Signer
	vkey   string

	mu   sync.Mutex
	last audit.Checkpoint // the latest it has signed
	asks int
}

func newServer(t *testing.T, log note.Verifier) (*server, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	s := &server{log: log}
	s.signer, s.vkey, err = witness.NewSigner("witness.example/w1", key, time.Now)
	require.NoError(t, err)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return s, web.URL
}

func (s *server) verifier(t *testing.T) note.Verifier {
	t.Helper()
	v, err := witness.NewVerifier(s.vkey)
	require.NoError(t, err)
	return v
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks++
	body, err := io.ReadAll(r.Body)
	var p audit.ConsistencyProof
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/add-checkpoint" || p.UnmarshalText(body) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if origin, _, _ := strings.Cut(string(p.Checkpoint), "\n"); origin != s.log.Name() {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	c, err := audit.OpenCheckpoint(p.Checkpoint, s.log)
	switch {
	case err != nil:
		w.WriteHeader(http.StatusForbidden)
	case p.Old > c.Size:
		w.WriteHeader(http.StatusBadRequest)
	case p.Old != s.last.Size || p.Old == c.Size && c.Root != s.last.Root:
		w.Header().Set("Content-Type", "text/x.tlog.size")
		w.WriteHeader(http.StatusConflict)
		fmt.Fprintf(w, "%d\n", s.last.Size)
	case p.Old > 0 && refuses(p, s.last.Note, s.log):
		w.WriteHeader(http.StatusUnprocessableEntity)
	default:
		s.last = c
		text, _, _ := strings.Cut(string(c.Note), "\n\n")
		signed, err := note.Sign(&note.Note{Text: text + "\n"}, s.signer)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, lines, _ := bytes.Cut(signed, []byte("\n\n"))
		fmt.Fprintf(w, "— someone.else AAAAAAAA\n%s", lines)
	}
}

func refuses(p audit.ConsistencyProof, last []byte, key note.Verifier) bool {
	_, err := p.Check(last, audit.KeysOf(key))
	return err != nil
}

func open(t *testing.T, s *server, url, keep string) *witness.Anchor {
	t.Helper()
	file, err := fileanchor.Open(keep)
	require.NoError(t, err)
	a, err := witness.New(witness.Config{URL: url + "/", Verifier: s.verifier(t), Keep: file})
	require.NoError(t, err)
	return a
}

func TestAnchor(t *testing.T) {
	audittest.RunAnchor(t, func(t *testing.T, key note.Verifier) func() audit.Anchor {
		s, url := newServer(t, key)
		keep := filepath.Join(t.TempDir(), "keep")
		return func() audit.Anchor { return open(t, s, url, keep) }
	})
}

// A log with a witness: what Verify believes is the witness's signature.
func TestALogWithAWitness(t *testing.T) {
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	key, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	s, url := newServer(t, key)
	anchor := open(t, s, url, filepath.Join(t.TempDir(), "keep"))
	log, err := audit.Open(t.Context(), audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: key, Actor: nobody, Anchor: anchor})
	require.NoError(t, err)
	for range 5 {
		require.NoError(t, log.Record(t.Context(), "a.b"))
		_, err := log.Seal(t.Context())
		require.NoError(t, err)
	}
	require.EqualValues(t, 5, s.last.Size)
	require.Equal(t, 5, s.asks, "one request for each checkpoint")
	opts := audit.VerifyOptions{Witnesses: []note.Verifier{s.verifier(t)}, Quorum: 1}
	r, err := log.Verify(t.Context(), opts)
	require.NoError(t, err)
	require.True(t, r.OK && r.Anchored && r.AnchoredTo == 5 && r.Unwitnessed == 0, "%s", r)

	other, _ := newServer(t, key)
	opts.Witnesses = []note.Verifier{other.verifier(t)}
	r, err = log.Verify(t.Context(), opts)
	require.NoError(t, err)
	require.False(t, r.Anchored, "no witness that counts has signed")
	require.Contains(t, r.String(), "UNANCHORED")
	require.Contains(t, r.String(), "5 checkpoints from outside lack witnesses")
	opts.Quorum = 2
	_, err = log.Verify(t.Context(), opts)
	require.ErrorIs(t, err, audit.ErrInvalid)
}

func TestWhatAWitnessCanAnswer(t *testing.T) {
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	key, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	s, _ := newServer(t, key)
	for name, c := range map[string]struct {
		status     int
		body, want string
		tampered   bool
	}{
		"no signature":      {200, "", "its answer holds no valid signature of its key", false},
		"a wrong signature": {200, "— witness.example/w1 AAAAAAAA\n", "its answer holds no valid signature of its key", false},
		"unknown log":       {404, "", "register the origin crm.example/audit there", false},
		"unknown key":       {403, "", "does not accept this log's key", false},
		"bad proof":         {422, "", "no beginning of this one", true},
		"longer":            {409, "7\n", "has a checkpoint of 7, the database offers 1", true},
		"nonsense":          {409, "seven\n", "does not say which size it has", false},
		"negative":          {409, "-1\n", "does not say which size it has", false},
		"itself":            {409, "0\n", "contradicts itself", false},
		"broken":            {500, "<html>", "it answers with status 500", false},
	} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		}))
		anchor := open(t, s, web.URL, filepath.Join(t.TempDir(), "keep"))
		log, err := audit.Open(t.Context(), audit.Config{Store: audit.NewMemory(), Signer: signer, Verifier: key, Actor: nobody, Anchor: anchor})
		require.NoError(t, err)
		require.NoError(t, log.Record(t.Context(), "a.b"))
		n, err := log.Seal(t.Context())
		require.Equal(t, 1, n, "a witness holds up no event")
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, c.tampered, errors.Is(err, audit.ErrTampered), name)
		for _, err := range anchor.Checkpoints(t.Context()) {
			t.Fatal("something was kept", err)
		}
		web.Close()
	}
}

func TestAWitnessThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	skey, vkey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)
	key, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	s, url := newServer(t, key)
	keep := filepath.Join(t.TempDir(), "keep")
	away := open(t, s, "http://"+address+"/token-in-path", keep+"2")
	file, err := fileanchor.Open(keep + "3")
	require.NoError(t, err)
	quorum := audit.QuorumAnchor{Need: 2, Anchors: []audit.Anchor{away, open(t, s, url, keep), file}}
	store := audit.NewMemory()
	log, err := audit.Open(t.Context(), audit.Config{Store: store, Signer: signer, Verifier: key, Actor: nobody, Anchor: quorum})
	require.NoError(t, err)
	require.NoError(t, log.Record(t.Context(), "a.b"))
	_, err = log.Seal(t.Context())
	require.NoError(t, err, "two of three have it")
	r, err := log.Verify(t.Context(), audit.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, r.OK && r.Anchored)

	quorum.Need = 3
	log, err = audit.Open(t.Context(), audit.Config{Store: store, Signer: signer, Verifier: key, Actor: nobody, Anchor: quorum})
	require.NoError(t, err)
	_, err = log.Seal(t.Context())
	require.ErrorContains(t, err, "2 of 3 anchors have the checkpoint, 3 are needed")
	require.NotContains(t, err.Error(), "token-in-path")
}

func TestKeys(t *testing.T) {
	s, _ := newServer(t, nil)
	v := s.verifier(t)
	sig, err := s.signer.Sign([]byte("text\n"))
	require.NoError(t, err)
	require.True(t, v.Verify([]byte("text\n"), sig))
	require.False(t, v.Verify([]byte("Text\n"), sig))
	for i := range sig {
		sig[i] ^= 1
		require.False(t, v.Verify([]byte("text\n"), sig), "byte %d, the time included", i)
		sig[i] ^= 1
	}
	require.False(t, v.Verify([]byte("text\n"), sig[:71]))
	for _, key := range []string{"", "a", "a+b+c", "a+00000000+" + strings.SplitN(s.vkey, "+", 3)[2], strings.Replace(s.vkey, "+", "x+", 1)} {
		_, err := witness.NewVerifier(key)
		require.ErrorIs(t, err, audit.ErrInvalid, key)
	}
	_, logKey, err := audit.GenerateKey("crm.example/audit")
	require.NoError(t, err)
	_, err = witness.NewVerifier(logKey)
	require.ErrorIs(t, err, audit.ErrInvalid, "a log's key is no witness's")
	for want, cfg := range map[string]witness.Config{
		"Config.URL": {URL: "witness"}, "Config.Verifier": {URL: "https://w"}, "Config.Keep": {URL: "https://w", Verifier: v},
	} {
		_, err := witness.New(cfg)
		require.ErrorContains(t, err, want)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	early, vkey, err := witness.NewSigner("witness.example/w2", private, func() time.Time { return time.Unix(-1, 0) })
	require.NoError(t, err)
	v, err = witness.NewVerifier(vkey)
	require.NoError(t, err)
	sig, err = early.Sign([]byte("text\n"))
	require.NoError(t, err)
	require.False(t, v.Verify([]byte("text\n"), sig), "no time has so many seconds")
	_, _, err = witness.NewSigner("a b", nil, time.Now)
	require.ErrorIs(t, err, audit.ErrInvalid)
}
