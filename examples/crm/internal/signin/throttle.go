package signin

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// A limit lets so many attempts through at once, and one more every so often.
type limit struct {
	burst int
	every time.Duration
}

// What a person who mistypes needs, and what a guesser hates. The account's own
// limit exists because one account may be reachable by many spellings of its
// login.
const (
	loginBurst, loginEvery     = 5, 30 * time.Second
	accountBurst, accountEvery = 10, 30 * time.Second
	addressBurst, addressEvery = 20, 10 * time.Second
)

// mostBuckets bounds the memory that strangers can make a throttle use.
const mostBuckets = 10_000

// throttle counts attempts by key in token buckets. An attempt takes its token
// before the password is looked at: a hundred attempts at the same moment get no
// more answers than a hundred in a row.
type throttle struct {
	limit limit
	mu    sync.Mutex
	by    map[string]*bucket
}

type bucket struct {
	tokens float64
	at     time.Time
	told   bool // that it is empty has been written down
}

func newThrottle(burst int, every time.Duration) *throttle {
	return &throttle{limit: limit{burst, every}, by: map[string]*bucket{}}
}

// take returns 0 and takes a token, or returns how long to wait for the next. It
// says first once for each time the bucket runs dry.
func (t *throttle) take(key string, now time.Time) (wait time.Duration, first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucket(key, now)
	if b.tokens >= 1 {
		b.tokens--
		b.told = false
		return 0, false
	}
	first, b.told = !b.told, true
	return time.Duration((1-b.tokens)*float64(t.limit.every)).Round(time.Second) + time.Second, first
}

// give puts a token back: the attempt was not a wrong guess.
func (t *throttle) give(key string, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.bucket(key, now)
	b.tokens = min(b.tokens+1, float64(t.limit.burst))
}

// bucket returns the key's bucket, refilled up to now.
func (t *throttle) bucket(key string, now time.Time) *bucket {
	b, ok := t.by[key]
	if !ok {
		if len(t.by) >= mostBuckets {
			t.sweep(now)
		}
		b = &bucket{tokens: float64(t.limit.burst), at: now}
		t.by[key] = b
		return b
	}
	b.tokens = min(t.refilled(b, now), float64(t.limit.burst))
	b.at = now
	return b
}

func (t *throttle) refilled(b *bucket, now time.Time) float64 {
	return b.tokens + max(0, float64(now.Sub(b.at))/float64(t.limit.every))
}

// sweep forgets buckets that are full again, and the least recently used one if
// there is none: nobody gets in faster by filling the table than by having that
// many addresses.
func (t *throttle) sweep(now time.Time) {
	var oldest string
	for key, b := range t.by {
		if t.refilled(b, now) >= float64(t.limit.burst) {
			delete(t.by, key)
		} else if o, ok := t.by[oldest]; !ok || b.at.Before(o.at) {
			oldest = key
		}
	}
	if len(t.by) >= mostBuckets {
		delete(t.by, oldest)
	}
}

// loginKey folds the spellings of a login that people take for the same.
func loginKey(login string) string {
	return cases.Fold().String(norm.NFKC.String(strings.TrimSpace(login)))
}

// addressKey is the address, of IPv6 the /64 that one household or machine gets.
func addressKey(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ip
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.String()
		}
	}
	return addr.String()
}
