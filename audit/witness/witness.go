// Package witness anchors an audit log at a witness: a service of somebody else that
// signs a checkpoint only after it has seen a proof that the log grew and nothing of
// it changed (c2sp.org/tlog-witness, c2sp.org/tlog-cosignature).
//
// Give Anchor to audit.Config.Anchor, alone or as one of an audit.QuorumAnchor. A
// witness cannot show what it has signed, so the checkpoints with its signature are
// kept in Keep, a file or a directory. Verify believes such a checkpoint for the
// signature, not for the place, when VerifyOptions names the witness's key: then even
// whoever writes Keep and the database can show no other history.
//
// A witness that is away makes Put fail: events are sealed nevertheless, and the next
// checkpoint covers them. A witness that has seen a longer or another log is
// audit.ErrTampered.
package witness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/confide-go/confide/audit"
)

// Config says which witness and where its signatures are kept. All but HTTP are required.
type Config struct {
	URL      string        // the submission prefix
	Verifier note.Verifier // the witness's key, from NewVerifier
	Keep     audit.Anchor  // takes the checkpoints with the witness's signature
	HTTP     *http.Client  // nil is one with a timeout of 10 seconds
}

// An Anchor is one witness. It is safe for concurrent use.
type Anchor struct {
	cfg Config

	mu   sync.Mutex
	last int64 // the size the witness is believed to have
}

var (
	_ audit.Anchor            = (*Anchor)(nil)
	_ audit.AnchorReader      = (*Anchor)(nil)
	_ audit.ConsistencyAnchor = (*Anchor)(nil)
)

// New checks the configuration. It does not talk to the witness yet.
func New(cfg Config) (*Anchor, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%w: Config.URL is no address of a witness", audit.ErrInvalid)
	case cfg.Verifier == nil:
		return nil, fmt.Errorf("%w: Config.Verifier is nil; give the witness's key to NewVerifier", audit.ErrInvalid)
	case cfg.Keep == nil:
		return nil, fmt.Errorf("%w: Config.Keep is nil; use fileanchor.Open or diranchor.Open", audit.ErrInvalid)
	}
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	return &Anchor{cfg: cfg}, nil
}

// Put implements audit.Anchor. Without proofs it can only be the first checkpoint a
// witness sees, or the one it has; a Log calls PutConsistent.
func (a *Anchor) Put(ctx context.Context, c audit.Checkpoint) error {
	return a.PutConsistent(ctx, c, func(_ context.Context, old int64) ([]tlog.Hash, error) {
		if old == 0 || old == c.Size {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: a witness needs a proof; use PutConsistent", audit.ErrInvalid)
	})
}

// PutConsistent implements audit.ConsistencyAnchor.
func (a *Anchor) PutConsistent(ctx context.Context, c audit.Checkpoint, prove func(context.Context, int64) ([]tlog.Hash, error)) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	// The witness tells the size it has when it is not the one expected: once,
	// and once more for another process that was faster.
	for range 3 {
		lines, size, err := a.submit(ctx, c, prove)
		switch {
		case err != nil:
			return err
		case lines != nil:
			a.last = c.Size
			return a.keep(ctx, c, lines)
		case size > c.Size:
			return a.refused(c, fmt.Sprintf("a checkpoint of %d", size))
		case size == a.last && size == c.Size:
			return a.refused(c, "another log of the same size")
		case size == a.last:
			return a.failed("it contradicts itself about the size it has")
		}
		a.last = size
	}
	return fmt.Errorf("witness: %s has another checkpoint each time it is asked; the next pass asks again", a.cfg.Verifier.Name())
}

func (a *Anchor) refused(c audit.Checkpoint, has string) error {
	return fmt.Errorf("%w: the witness %s has %s, the database offers %d: it was rolled back or replaced; run Verify, and declare it if a backup was restored", audit.ErrTampered, a.cfg.Verifier.Name(), has, c.Size)
}

// answers are short: a few signature lines or a number.
const mostAnswer = 16 << 10

// submit sends one request. It returns the signature lines, or the size the
// witness has if that is not a.last.
func (a *Anchor) submit(ctx context.Context, c audit.Checkpoint, prove func(context.Context, int64) ([]tlog.Hash, error)) (lines []byte, size int64, err error) {
	if a.last > c.Size {
		return nil, a.last, nil
	}
	hashes, err := prove(ctx, a.last)
	if err != nil {
		return nil, 0, err
	}
	body, err := audit.ConsistencyProof{Old: a.last, Hashes: hashes, Checkpoint: c.Note}.MarshalText()
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(a.cfg.URL, "/")+"/add-checkpoint", bytes.NewReader(body))
	if err != nil {
		return nil, 0, a.failed("the request cannot be made")
	}
	resp, err := a.cfg.HTTP.Do(req)
	if err != nil {
		var urlErr *url.Error // its text holds the address, which may hold a token
		if errors.As(err, &urlErr) {
			err = urlErr.Err
		}
		return nil, 0, fmt.Errorf("witness: %s cannot be reached: %w", a.cfg.Verifier.Name(), err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return nil, 0, a.failed("the answer breaks off")
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return answer, 0, nil
	case http.StatusConflict:
		size, err := strconv.ParseInt(strings.TrimSuffix(string(answer), "\n"), 10, 64)
		if err != nil || size < 0 {
			if a.last == c.Size { // sizes agree, roots do not
				return nil, a.last, nil
			}
			return nil, 0, a.failed("the conflict does not say which size it has")
		}
		return nil, size, nil
	case http.StatusUnprocessableEntity:
		return nil, 0, a.refused(c, "a log that is no beginning of this one")
	case http.StatusNotFound:
		return nil, 0, a.failed("it does not know this log; register the origin " + c.Origin + " there")
	case http.StatusForbidden:
		return nil, 0, a.failed("it does not accept this log's key; register it there")
	}
	return nil, 0, a.failed("it answers with status " + strconv.Itoa(resp.StatusCode))
}

func (a *Anchor) failed(what string) error {
	return fmt.Errorf("witness: %s: %s", a.cfg.Verifier.Name(), what)
}

// keep stores the checkpoint with the witness's signature. Other lines of the
// answer are dropped: nobody vouches for them.
func (a *Anchor) keep(ctx context.Context, c audit.Checkpoint, lines []byte) error {
	n, err := note.Open(append(bytes.Clone(c.Note), lines...), note.VerifierList(a.cfg.Verifier))
	if err != nil {
		return a.failed("its answer holds no valid signature of its key")
	}
	for _, s := range n.Sigs {
		c.Note = append(bytes.Clone(c.Note), "— "+s.Name+" "+s.Base64+"\n"...)
	}
	return a.cfg.Keep.Put(ctx, c)
}

// Checkpoints implements audit.AnchorReader with what Keep has.
func (a *Anchor) Checkpoints(ctx context.Context) iter.Seq2[[]byte, error] {
	if r, ok := a.cfg.Keep.(audit.AnchorReader); ok {
		return r.Checkpoints(ctx)
	}
	return func(func([]byte, error) bool) {}
}
