package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A progress shows how far long work is: a bar that is drawn over itself on a
// terminal, a plain line now and then in a pipe or file.
type progress struct {
	out      io.Writer
	what     string
	terminal bool
	shown    time.Time
	wait     time.Duration // between two plain lines; grows, so that long work does not flood a log
}

func newProgress(out io.Writer, what string) *progress {
	p := &progress{out: out, what: what, wait: time.Second}
	if f, ok := out.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return p
}

// at shows that n units are done, and which part of the whole that is; of is 0
// if the whole is not known.
func (p *progress) at(n int, part, of int64) {
	now := time.Now()
	switch {
	case p.terminal && now.Sub(p.shown) > 100*time.Millisecond:
		fmt.Fprintf(p.out, "\r%s %s %d", p.what, bar(part, of), n)
	case !p.terminal && now.Sub(p.shown) > p.wait:
		fmt.Fprintf(p.out, "%s: %d%s\n", p.what, n, percent(part, of))
		p.wait = min(2*p.wait, time.Minute)
	default:
		return
	}
	p.shown = now
}

// done ends the bar.
func (p *progress) done() {
	if p.terminal && !p.shown.IsZero() {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

func bar(part, of int64) string {
	const width = 30
	if of <= 0 {
		return "[" + strings.Repeat("·", width) + "]"
	}
	full := int(min(part, of) * width / of)
	return "[" + strings.Repeat("█", full) + strings.Repeat("·", width-full) + "]" + percent(part, of)
}

func percent(part, of int64) string {
	if of <= 0 {
		return ""
	}
	return fmt.Sprintf(" (%d %%)", min(part, of)*100/of)
}
