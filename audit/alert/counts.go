package alert

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

const (
	mostKeys = 2000 // of one rule
	parts    = 12   // of a window: it slides in steps of a twelfth, and is up to one too long
)

// Counts is what a rule remembers, by keys such as actors. It keeps 2,000 of them.
type Counts struct {
	Keys map[string]*Count `json:"keys,omitempty"`
}

// Count is what is remembered of one key. The key itself is kept as a hash.
type Count struct {
	Last  int64           `json:"last"` // seconds
	Parts map[int64]int64 `json:"parts,omitempty"`
	Muted int64           `json:"muted,omitempty"` // no alert before this second
}

// of returns the count of a key, a new one if it is not known.
func (c *Counts) of(key string, at time.Time) (*Count, bool) {
	sum := sha256.Sum256([]byte(key))
	key = hex.EncodeToString(sum[:12])
	if c.Keys == nil {
		c.Keys = map[string]*Count{}
	}
	x, known := c.Keys[key]
	if !known {
		if len(c.Keys) >= mostKeys {
			c.forget()
		}
		x = &Count{Last: at.Unix()}
		c.Keys[key] = x
	}
	return x, known
}

// forget drops the key that was quiet for longest.
func (c *Counts) forget() {
	oldest := ""
	for key, x := range c.Keys {
		if o := c.Keys[oldest]; o == nil || x.Last < o.Last || x.Last == o.Last && key < oldest {
			oldest = key
		}
	}
	delete(c.Keys, oldest)
}

// Add counts n for a key and returns the sum within the window that ends at this
// moment, and whether it is above most for the first time in this window.
func (c *Counts) Add(key string, at time.Time, n, most int64, window time.Duration) (sum int64, alert bool) {
	x, _ := c.of(key, at)
	width := max(int64(window/time.Second)/parts, 1)
	now := at.Unix()
	x.Last = max(x.Last, now)
	if x.Parts == nil {
		x.Parts = map[int64]int64{}
	}
	x.Parts[now/width] += n
	for part, n := range x.Parts {
		if part < x.Last/width-parts {
			delete(x.Parts, part)
			continue
		}
		sum += n
	}
	if sum <= most || now < x.Muted {
		return sum, false
	}
	x.Muted = now + width*parts
	return sum, true
}

// First notes the use of a key and tells whether there was none within memory.
func (c *Counts) First(key string, at time.Time, memory time.Duration) bool {
	x, known := c.of(key, at)
	first := !known || at.Unix()-x.Last > int64(memory/time.Second)
	x.Last = max(x.Last, at.Unix())
	return first
}
