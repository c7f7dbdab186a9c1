package audit

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A Checkpoint says how long a log is and what its Merkle root is, in the
// signed note format of C2SP (c2sp.org/tlog-checkpoint).
type Checkpoint struct {
	Origin string // the key's name for the top log, key name/tenant for a tenant's log
	Size   int64
	Root   [32]byte
	Note   []byte // the signed note these values were read from
}

// GenerateKey makes an Ed25519 signing key. The name identifies the log in
// every checkpoint, like a host name with a path: "crm.example.com/audit". Give
// skey to note.NewSigner and keep it from the database's administrators; vkey,
// for note.NewVerifier, is what auditors get.
func GenerateKey(name string) (skey, vkey string, err error) {
	if name == "" || strings.ContainsAny(name, " \t\r\n+") {
		return "", "", fmt.Errorf("%w: a key name must not be empty nor hold spaces or plus signs", ErrInvalid)
	}
	return note.GenerateKey(rand.Reader, name)
}

// OpenCheckpoint checks the signature of a checkpoint and reads it. With several
// verifiers, one valid signature is enough.
func OpenCheckpoint(msg []byte, verifiers ...note.Verifier) (Checkpoint, error) {
	return KeysOf(verifiers...).open(msg, anywhere)
}

func parseCheckpoint(text string) (c Checkpoint, err error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) < 4 || lines[0] == "" {
		return c, fmt.Errorf("audit: checkpoint: %w", errMalformed)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 1 || strconv.FormatInt(size, 10) != lines[1] {
		return c, fmt.Errorf("audit: checkpoint size: %w", errMalformed)
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return c, fmt.Errorf("audit: checkpoint root: %w", errMalformed)
	}
	c.Origin, c.Size = lines[0], size
	copy(c.Root[:], root)
	return c, nil
}

// originOf is the first line of a log's checkpoints. Only the top log's is the
// key's own name, so only it can be taken for the whole.
func originOf(name, log string) string {
	if log == topLog {
		return name
	}
	return name + "/" + url.PathEscape(log)
}

// logOf is the inverse of originOf for tenants' logs.
func logOf(name, origin string) (string, bool) {
	escaped, ok := strings.CutPrefix(origin, name+"/")
	if !ok {
		return "", false
	}
	log, err := url.PathUnescape(escaped)
	return log, err == nil && log != topLog && originOf(name, log) == origin
}

func signCheckpoint(origin string, t *tree, signers []note.Signer) (Checkpoint, error) {
	c := Checkpoint{Origin: origin, Size: t.size, Root: t.root()}
	msg, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]))}, signers...)
	if err != nil {
		return c, fmt.Errorf("audit: sign the checkpoint %s at %d: %w", origin, t.size, err)
	}
	c.Note = msg
	return c, nil
}
