package escrow

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/confide-go/confide/internal/durable"
	"github.com/confide-go/confide/privacy"
)

// The file, see FORMAT.md of package privacy: lines "name: value" in one order, so that what was read is
// written back byte for byte.
const (
	header        = "confide escrow v1"
	maxRecipients = 8
	maxFile       = 64 << 20 // bytes; some 100,000 tenants
	sumSize       = 9        // bytes
)

// An Escrow is a sealed file. What it shows without a private key: when it was made, for whom, for which tenants.
type Escrow struct {
	id        string // 16 random bytes, base64
	sealed    time.Time
	threshold int
	people    []person
	check     entry // the key check value; no name
	tenants   []entry
	boxes     []box
	seal      string // base64
}

// A person is a recipient as the file shows it.
type person struct{ name, fingerprint string }

// An entry is one wrapped key.
type entry struct {
	tenant  string
	version int
	stored  string // digest of what the database held, hexadecimal
	wrapped []byte // under the file key
}

// A box is the file key sealed to some of the recipients, numbers counting from 0.
type box struct {
	members []int
	sealed  []byte
}

// Sealed is when the escrow was made.
func (e *Escrow) Sealed() time.Time { return e.sealed }

// Threshold is how many recipients must come together.
func (e *Escrow) Threshold() int { return e.threshold }

// Recipients lists them as "fingerprint name".
func (e *Escrow) Recipients() []string {
	out := make([]string, len(e.people))
	for i, p := range e.people {
		out[i] = p.fingerprint + " " + p.name
	}
	return out
}

// Digest names exactly this file: the SHA-256 of its text, in hexadecimal.
func (e *Escrow) Digest() string {
	sum := sha256.Sum256(e.Text())
	return hex.EncodeToString(sum[:])
}

// Text is the file.
func (e *Escrow) Text() []byte {
	b := fmt.Appendf(e.body(), "seal: %s\n", e.seal)
	return withSum(b)
}

// body is everything that the seal authenticates.
func (e *Escrow) body() []byte {
	b := e.head()
	for _, x := range e.boxes {
		words := make([]string, len(x.members))
		for i, m := range x.members {
			words[i] = strconv.Itoa(m + 1)
		}
		b = fmt.Appendf(b, "box: %s %s\n", strings.Join(words, ","), enc(x.sealed))
	}
	return b
}

// head is the file up to the boxes, which are bound to it.
func (e *Escrow) head() []byte {
	b := fmt.Appendf(nil, "%s\nid: %s\nsealed: %s\nthreshold: %d\n", header, e.id, e.sealed.Format(time.RFC3339), e.threshold)
	for _, p := range e.people {
		b = fmt.Appendf(b, "recipient: %s %s\n", p.fingerprint, p.name)
	}
	b = fmt.Appendf(b, "check: %d %s %s\n", e.check.version, e.check.stored, enc(e.check.wrapped))
	for _, t := range e.tenants {
		b = fmt.Appendf(b, "tenant: %s %d %s %s\n", enc([]byte(t.tenant)), t.version, t.stored, enc(t.wrapped))
	}
	return b
}

func enc(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func dec(s string) ([]byte, error) { return base64.StdEncoding.Strict().DecodeString(s) }

// Write writes the file durably, readable by its owner only. The path must not exist: an older escrow is
// removed by hand, when the new one has passed a drill.
func (e *Escrow) Write(path string) error {
	if err := durable.Create(path, e.Text(), 0o600); err != nil {
		return fmt.Errorf("escrow: write: %w", err)
	}
	return nil
}

// Read reads what Write wrote.
func Read(path string) (*Escrow, error) {
	text, err := readPrivate(path)
	if err != nil {
		return nil, err
	}
	e, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, path)
	}
	return e, nil
}

// Parse reads the text of an escrow. Only Open can tell whether somebody has changed it on purpose.
func Parse(text []byte) (*Escrow, error) {
	if len(text) > maxFile {
		return nil, fmt.Errorf("%w: %d bytes are no escrow", ErrDamaged, len(text))
	}
	body, err := cutSum(text)
	if err != nil {
		return nil, err
	}
	r := &reader{lines: strings.Split(strings.TrimSuffix(string(body), "\n"), "\n")}
	e := r.escrow()
	// What is not in the one spelling is not ours, whatever it may mean.
	if r.failed || len(r.lines) > 0 || string(e.Text()) != string(text) || !e.sound() {
		return nil, fmt.Errorf("%w: not an escrow of version 1, or changed since it was written", ErrDamaged)
	}
	return e, nil
}

// A reader takes lines one after the other and remembers whether one was wrong.
type reader struct {
	lines  []string
	failed bool
}

func (r *reader) escrow() *Escrow {
	e := &Escrow{}
	if len(r.lines) == 0 || r.lines[0] != header {
		r.failed = true
		return e
	}
	r.lines = r.lines[1:]
	e.id = r.words("id", 1)[0]
	e.sealed = r.time(r.words("sealed", 1)[0])
	e.threshold = r.number(r.words("threshold", 1)[0])
	for r.has("recipient") {
		w := r.words("recipient", 2)
		e.people = append(e.people, person{w[1], w[0]})
	}
	w := r.words("check", 3)
	e.check = entry{version: r.number(w[0]), stored: w[1], wrapped: r.bytes(w[2])}
	for r.has("tenant") {
		w := r.words("tenant", 4)
		e.tenants = append(e.tenants, entry{string(r.bytes(w[0])), r.number(w[1]), w[2], r.bytes(w[3])})
	}
	for r.has("box") {
		w := r.words("box", 2)
		var members []int
		for _, m := range strings.Split(w[0], ",") {
			members = append(members, r.number(m)-1)
		}
		e.boxes = append(e.boxes, box{members, r.bytes(w[1])})
	}
	e.seal = r.words("seal", 1)[0]
	return e
}

func (r *reader) has(name string) bool {
	return !r.failed && len(r.lines) > 0 && strings.HasPrefix(r.lines[0], name+": ")
}

func (r *reader) words(name string, n int) []string {
	if r.has(name) {
		if w := strings.Split(r.lines[0][len(name)+2:], " "); len(w) == n {
			r.lines = r.lines[1:]
			return w
		}
	}
	r.failed = true
	return make([]string, n)
}

func (r *reader) number(s string) int {
	n, err := strconv.Atoi(s)
	r.failed = r.failed || err != nil || n < 1
	return n
}

func (r *reader) bytes(s string) []byte {
	b, err := dec(s)
	r.failed = r.failed || err != nil
	return b
}

func (r *reader) time(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	r.failed = r.failed || err != nil
	return t.UTC()
}

// sound reports whether the parts fit together.
func (e *Escrow) sound() bool {
	if e.threshold > len(e.people) || len(e.people) > maxRecipients {
		return false
	}
	for i := range e.tenants {
		if i > 0 && e.tenants[i-1].tenant >= e.tenants[i].tenant {
			return false
		}
	}
	want := subsets(len(e.people), e.threshold)
	return slices.EqualFunc(want, e.boxes, func(w []int, b box) bool { return slices.Equal(w, b.members) })
}

// withSum appends a checksum, which finds accidents only.
func withSum(body []byte) []byte {
	sum := sha256.Sum256(body)
	return fmt.Appendf(body, "sum: %s\n", enc(sum[:sumSize]))
}

func cutSum(text []byte) ([]byte, error) {
	const tail = len("sum: ") + sumSize*4/3 + len("\n")
	if len(text) < tail {
		return nil, fmt.Errorf("%w: the file is cut short", ErrDamaged)
	}
	body := text[:len(text)-tail]
	if string(withSum(slices.Clone(body))) != string(text) {
		return nil, fmt.Errorf("%w: the checksum does not fit", ErrDamaged)
	}
	return body, nil
}

func digestOf(k privacy.StoredKey) string {
	sum := sha256.Sum256(k.Wrapped)
	return hex.EncodeToString(sum[:])
}

// subsets returns the subsets of k of the numbers below n, in order.
func subsets(n, k int) [][]int {
	var out [][]int
	var grow func(have []int)
	grow = func(have []int) {
		if len(have) == k {
			out = append(out, slices.Clone(have))
			return
		}
		next := 0
		if len(have) > 0 {
			next = have[len(have)-1] + 1
		}
		for i := next; i < n; i++ {
			grow(append(slices.Clone(have), i))
		}
	}
	grow(nil)
	return out
}
