package audit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// An Actor is who acts, for which tenant, and from where.
type Actor struct {
	ID        string // user id; "" for nobody (a failed login)
	Tenant    string // whose log the event goes to; "" is the single tenant "main"
	IP        string
	Channel   string // "web", "api", "import", "cli", ...
	RequestID string
}

// A Row names one object an event is about.
type Row struct {
	ID string
	// Rev counts the recorded changes of the row, from 1 and without holes. It
	// is 0 for events that change nothing and for those recorded by hand.
	Rev int64
}

// An Event is one entry of the log as a query returns it.
type Event struct {
	ID       string // 32 hexadecimal digits, unique
	Seq      int64  // place in its tenant's log, from 0
	Time     time.Time
	Actor    Actor
	Action   string // "customer.update", "login.failed"
	Resource string
	Rows     []Row
	Fields   []string // names of the columns written or revealed, never values
	Subject  string
	Purpose  string
	Result   string      // "ok", "denied", "failed", ...
	Attrs    []slog.Attr // further attributes: strings, integers, booleans
	Changes  []Change    // what the statement did to which fields; by row, then as in Fields
}

// Cursor is where a Query continues after this event.
func (e Event) Cursor() string { return strconv.FormatInt(e.Seq, 10) }

// MainTenant is the tenant of actors that have none.
const MainTenant = "main"

// Limits of an event. What a stranger can make arbitrarily long is cut (and
// marked with a hash of the whole), so that nobody escapes the log by typing
// too much; what only the program chooses is refused.
const (
	maxName   = 64       // action, resource, tenant, attribute key
	maxID     = 128      // actor, row, subject, field, address, request
	maxText   = 2048     // purpose and attribute values
	maxRows   = 500      // rows named by one event
	maxEvent  = 60 << 10 // encoded event; C2SP asks for entries below 64 KiB
	hashShown = "~%.16s" // what a cut text ends with
	cutLength = 1 + 16   // length of hashShown
	idLength  = 16       // bytes of an event id
)

// newID returns a time-ordered random id, so that the unique index grows at one end.
func newID(now time.Time) (id [idLength]byte, err error) {
	ms := now.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	_, err = rand.Read(id[6:])
	return id, err
}

// clean makes s valid UTF-8 without NUL and at most limit bytes long.
func clean(s string, limit int) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "\uFFFD")
	}
	if len(s) <= limit {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	cut := limit - cutLength
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + fmt.Sprintf(hashShown, hex.EncodeToString(sum[:]))
}

// checkName refuses what is not a short plain word: actions and resources are
// chosen by the program and become index keys.
func checkName(what, s string) error {
	if s == "" || len(s) > maxName {
		return fmt.Errorf("%w: %s has %d bytes; give it 1 to %d", ErrInvalid, what, len(s), maxName)
	}
	for _, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !strings.ContainsRune("._-:", rune(c)) {
			return fmt.Errorf("%w: %s may hold only ASCII letters, digits and . _ : -", ErrInvalid, what)
		}
	}
	return nil
}

// tenantOf returns the log of an actor. A tenant is never cut: two of them
// must not end in one log.
func tenantOf(a Actor) (string, error) {
	if a.Tenant == "" {
		return MainTenant, nil
	}
	if len(a.Tenant) > maxName || clean(a.Tenant, maxName) != a.Tenant {
		return "", fmt.Errorf("%w: the actor's tenant must be valid UTF-8 of at most %d bytes; fix Config.Actor", ErrInvalid, maxName)
	}
	return a.Tenant, nil
}

// normalize brings every text of e within its limit and checks the rest.
func (e *Event) normalize() (err error) {
	if err = checkName("the action", e.Action); err != nil {
		return err
	}
	if e.Resource != "" {
		if err = checkName("the resource of "+e.Action, e.Resource); err != nil {
			return err
		}
	}
	if e.Actor.Tenant, err = tenantOf(e.Actor); err != nil {
		return err
	}
	if len(e.Rows) > maxRows {
		return fmt.Errorf("%w: %s names %d rows; record at most %d per event", ErrInvalid, e.Action, len(e.Rows), maxRows)
	}
	for _, s := range []*string{&e.Actor.ID, &e.Actor.IP, &e.Actor.Channel, &e.Actor.RequestID, &e.Subject, &e.Result} {
		*s = clean(*s, maxID)
	}
	e.Purpose = clean(e.Purpose, maxText)
	for i := range e.Rows {
		e.Rows[i].ID = clean(e.Rows[i].ID, maxID)
	}
	for i := range e.Fields {
		e.Fields[i] = clean(e.Fields[i], maxID)
	}
	return e.checkChanges()
}
