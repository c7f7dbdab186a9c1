package extract

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
)

// proofsFormat is the first word of a file of proofs, with its version.
const proofsFormat = "confide-audit-proofs/1"

// ProofLine is one line of what Proofs writes. The first has Format, Log and
// Link, the last End, each other one Event and Proof.
type ProofLine struct {
	Format string           `json:"format,omitempty"`
	Log    string           `json:"log,omitempty"`
	Link   *audit.TLogProof `json:"link,omitempty"` // that the log's checkpoint is in the whole

	Event *Summary         `json:"event,omitempty"` // for people; Proof holds the event itself
	Proof *audit.TLogProof `json:"proof,omitempty"`

	End *int64 `json:"end,omitempty"` // how many events were before this line
}

// A Summary tells people what an event says.
type Summary struct {
	Seq      int64    `json:"seq"`
	Time     string   `json:"time"`
	Actor    string   `json:"actor"`
	Action   string   `json:"action"`
	Resource string   `json:"resource,omitempty"`
	Rows     []string `json:"rows,omitempty"`
	Fields   []string `json:"fields,omitempty"`
	Purpose  string   `json:"purpose,omitempty"`
	Result   string   `json:"result"`
}

// Proofs writes the selected events as JSON lines, each with its C2SP tlog-proof.
// Everything in the file is against one checkpoint; what is sealed after the call
// is left out. Query.Limit counts; the order is that of the log.
func Proofs(ctx context.Context, w io.Writer, log *audit.Log, q audit.Query) error {
	_, err := prove(ctx, w, log, q, func(audit.Event) bool { return true })
	return err
}

// Seen answers who saw or exported what the query selects, in the format of
// Proofs: events whose action ends in read, reveal or export. It returns how many
// there are. A proof says that an event is in the log, never that there are no
// others: have the log verified as a whole for that.
func Seen(ctx context.Context, w io.Writer, log *audit.Log, q audit.Query) (int64, error) {
	return prove(ctx, w, log, q, func(e audit.Event) bool {
		switch e.Action[strings.LastIndexByte(e.Action, '.')+1:] {
		case "read", "reveal", "export":
			return true
		}
		return false
	})
}

func prove(ctx context.Context, w io.Writer, log *audit.Log, q audit.Query, wanted func(audit.Event) bool) (n int64, err error) {
	p, err := log.Prover(ctx, q.Tenant)
	if err != nil {
		return 0, err
	}
	link := p.Link()
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(ProofLine{Format: proofsFormat, Log: p.Checkpoint().Origin, Link: &link}); err != nil {
		return 0, fmt.Errorf("extract: write proofs: %w", err)
	}
	q.OldestFirst = true
	for e, err := range log.Events(ctx, q) {
		if err != nil {
			return n, stopped(int(n), err)
		}
		if e.Seq >= p.Checkpoint().Size {
			break // sealed since
		}
		if !wanted(e) {
			continue
		}
		proof, err := p.Prove(ctx, e.Seq)
		if err != nil {
			return n, stopped(int(n), err)
		}
		if err := enc.Encode(ProofLine{Event: summaryOf(e), Proof: &proof}); err != nil {
			return n, fmt.Errorf("extract: write proofs: %w", err)
		}
		n++
	}
	if err := enc.Encode(ProofLine{End: &n}); err != nil {
		return n, fmt.Errorf("extract: write proofs: %w", err)
	}
	if err := out.Flush(); err != nil {
		return n, fmt.Errorf("extract: write proofs: %w", err)
	}
	return n, nil
}

func summaryOf(e audit.Event) *Summary {
	s := &Summary{Seq: e.Seq, Time: e.Time.UTC().Format(time.RFC3339Nano), Actor: e.Actor.ID, Action: e.Action, Resource: e.Resource,
		Fields: e.Fields, Purpose: e.Purpose, Result: e.Result}
	for _, r := range e.Rows {
		s.Rows = append(s.Rows, r.ID)
	}
	return s
}
