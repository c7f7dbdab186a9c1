package web_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// The first customer of the demo data, who belongs to employee 3. The search is
// typed in capitals: what is typed may stand on the page, what is stored may not.
var firstCustomer = []string{"3923-5555", "39235555", "3923-5566", "luisg@embraer.com.br", "Brigadeiro"}

// TestBrowser drives the program as it is built and served, as employee 3, with a
// real browser, and looks at every byte that reaches it.
func TestBrowser(t *testing.T) {
	binary := os.Getenv("CONFIDE_TEST_BROWSER")
	if binary == "" {
		t.Skip("CONFIDE_TEST_BROWSER is not set")
	}
	wire := tap(t, startCRM(t))
	b := openBrowser(t, binary, wire)

	t.Run("employee 3 sees their own customers", func(t *testing.T) {
		b.signIn(t, "jane@chinookcorp.com")
		require.Contains(t, b.text(t, "main"), "21 customers")
		b.do(t, chromedp.SendKeys("#q", "LUISG@embraer.com.br"), chromedp.Submit("#q"), chromedp.WaitVisible(".rowlink"))
		require.Contains(t, b.text(t, "main"), "1 customer")
		b.do(t, chromedp.Click(".rowlink"), chromedp.WaitVisible("[data-reveal=phone]"))
		b.holdsNothing(t)
		b.open(t, "/customers/2")
		require.Contains(t, b.text(t, "main"), "There is nothing here")
	})

	t.Run("a value is shown with a reason, for a while", func(t *testing.T) {
		b.open(t, "/customers/1")
		mask := b.text(t, "#value-phone")
		require.Contains(t, mask, "*")
		b.do(t, chromedp.Click("[data-reveal=phone]"), chromedp.WaitVisible("#purpose"))
		b.do(t, chromedp.SendKeys("#purpose", "why"), chromedp.Click("[data-go]"))
		require.True(t, b.is(t, `document.querySelector("#purpose:invalid") !== null`), "three characters are no reason")
		b.holdsNothing(t)
		require.Zero(t, wire.posts("/customers/1/reveal"))

		b.do(t, chromedp.SendKeys("#purpose", " call back about ticket 7"), chromedp.Click("[data-go]"), chromedp.WaitVisible("#value-phone output"))
		require.Equal(t, "+55 (12) 3923-5555", b.text(t, "#value-phone output"))
		require.Equal(t, []string{"POST /customers/1/reveal"}, wire.carrying("3923-5555"), "only the answer to the reveal carries it")
		require.Contains(t, b.text(t, "#said"), "Phone is shown for 30 seconds.")

		b.do(t, chromedp.Click("[data-reveal=phone]"), chromedp.WaitNotPresent("#value-phone output"))
		require.Equal(t, mask, b.text(t, "#value-phone"))
		b.pageHoldsNothing(t)

		// By itself as well, here after one second.
		b.run(t, `document.getElementById("reveal").dataset.seconds = 1; 0`)
		b.do(t, chromedp.Click("[data-reveal=phone]"), chromedp.WaitVisible("#purpose"), chromedp.Click("[data-presets] button"), chromedp.Click("[data-go]"),
			chromedp.WaitVisible("#value-phone output"), chromedp.WaitNotPresent("#value-phone output"))
		require.Equal(t, mask, b.text(t, "#value-phone"))
		b.pageHoldsNothing(t)

		// Leaving takes it away, also from the page kept for "back".
		b.do(t, chromedp.Click("[data-reveal=phone]"), chromedp.WaitVisible("#purpose"), chromedp.Click("[data-presets] button"))
		b.run(t, `document.getElementById("reveal").dataset.seconds = 3000; 0`)
		b.do(t, chromedp.Click("[data-go]"), chromedp.WaitVisible("#value-phone output"), chromedp.Click(`a[href="/invoices"]`), chromedp.WaitVisible(`a[href="/invoices"][aria-current]`),
			chromedp.NavigateBack(), chromedp.WaitVisible("#value-phone .mask"))
		b.pageHoldsNothing(t)
	})

	t.Run("without scripts", func(t *testing.T) {
		b.scripts(t, false)
		b.open(t, "/customers/1")
		b.do(t, chromedp.Click("[data-reveal=email]"), chromedp.WaitReady("#purpose"), chromedp.SendKeys("#purpose", "send the contract"), chromedp.Click("form.stack button.primary"), chromedp.WaitReady("output"))
		require.Equal(t, "luisg@embraer.com.br", b.text(t, "output"))
		b.open(t, "/customers/1")
		b.pageHoldsNothing(t)
		b.scripts(t, true)
	})

	t.Run("hiding a customer", func(t *testing.T) {
		b.open(t, "/customers/1")
		b.do(t, chromedp.Click(".head [popovertarget]"), chromedp.WaitVisible("#confirm-hide"), chromedp.Click("#confirm-hide .primary"), chromedp.WaitVisible(".note.good"))
		require.Contains(t, b.text(t, ".note.good"), "The customer is hidden.")
		b.open(t, "/customers")
		require.Contains(t, b.text(t, "main"), "20 customers")
		require.NotContains(t, b.text(t, "main"), "Gonçalves")
	})

	t.Run("in Chinese", func(t *testing.T) {
		b.do(t, chromedp.Click(`button[value=zh]`), chromedp.WaitVisible(`button[value=en]`))
		require.Contains(t, b.text(t, "main"), "20 位客户")
		b.do(t, chromedp.Click(`button[value=en]`), chromedp.WaitVisible(`button[value=zh]`))
	})

	t.Run("the auditor sees who looked, and that the log is whole", func(t *testing.T) {
		b.do(t, chromedp.Click(`form[action="/logout"] button`), chromedp.WaitVisible("#login"))
		b.signIn(t, "andrew@chinookcorp.com")
		b.open(t, "/audit?action=customer.reveal&actor=3&row=1")
		for _, said := range []string{"why call back about ticket 7", "send the contract", "Phone", "E-mail", "127.0.0.1"} {
			require.Contains(t, b.text(t, "main"), said)
		}
		b.do(t, chromedp.Click(`form[action="/audit/verify"] button`), chromedp.WaitVisible(".verdict"))
		require.Contains(t, b.text(t, ".verdict"), "The log is intact")
	})

	b.heardNothing(t)
}

// startCRM builds the program and serves the demo from an empty folder.
func startCRM(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	crm := filepath.Join(dir, "crm")
	out, err := exec.Command("go", "build", "-o", crm, "github.com/confide-go/confide/examples/crm").CombinedOutput()
	require.NoError(t, err, string(out))
	cmd := exec.Command(crm, "serve", "-addr", "127.0.0.1:0", "-data", filepath.Join(dir, "data"), "-lang", "en")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("the server said:\n%s", stderr.String())
		}
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if at := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text()); at != "" {
			go io.Copy(io.Discard, stdout)
			return at
		}
	}
	cmd.Wait()
	t.Fatalf("the server did not start:\n%s", stderr.String())
	return ""
}

// A wiretap sits between the browser and the server and keeps all answers.
type wiretap struct {
	url     string
	mu      sync.Mutex
	answers []answer
}

type answer struct{ request, content string }

func tap(t *testing.T, server string) *wiretap {
	t.Helper()
	to, err := url.Parse(server)
	require.NoError(t, err)
	w := &wiretap{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("Accept-Encoding")
		},
		ModifyResponse: func(r *http.Response) error {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return err
			}
			r.Body.Close()
			r.Body = io.NopCloser(bytes.NewReader(body))
			var head bytes.Buffer
			r.Header.Write(&head)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.answers = append(w.answers, answer{r.Request.Method + " " + r.Request.URL.Path, head.String() + string(body)})
			return nil
		},
	}
	srv := httptest.NewServer(proxy)
	t.Cleanup(srv.Close)
	w.url = srv.URL
	return w
}

// carrying lists the requests whose answers had a text in them.
func (w *wiretap) carrying(text string) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []string
	for _, a := range w.answers {
		if strings.Contains(a.content, text) {
			found = append(found, a.request)
		}
	}
	return found
}

func (w *wiretap) posts(path string) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.answers {
		if a.request == "POST "+path {
			n++
		}
	}
	return n
}

// browser is one tab.
type browser struct {
	ctx  context.Context
	url  string
	wire *wiretap

	mu    sync.Mutex
	heard []string // exceptions of scripts and violations of the policy
}

func openBrowser(t *testing.T, binary string, wire *wiretap) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(binary), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("accept-lang", "en"), chromedp.WindowSize(1280, 900))
	ctx, cancelAll := chromedp.NewExecAllocator(t.Context(), options...)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(func() { cancel(); cancelAll() })
	b := &browser{ctx: ctx, url: wire.url, wire: wire}
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	require.NoError(t, chromedp.Listen(ctx, b.listen))
	_, err := chromedp.Call(ctx, cdplog.Enable, cdp.Empty{})
	require.NoError(t, err)
	return b
}

func (b *browser) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		b.heard = append(b.heard, "exception: "+ev.ExceptionDetails.Text)
	case *cdplog.EventEntryAdded:
		if !strings.Contains(ev.Entry.Text, "404 (Not Found)") { // asked for on purpose
			b.heard = append(b.heard, ev.Entry.Text)
		}
	}
}

func (b *browser) heardNothing(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.heard)
}

func (b *browser) do(t *testing.T, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		text, _ := chromedp.Run(b.ctx, chromedp.Text("body"))
		require.NoError(t, err, "the page says:\n%s", text)
	}
}

func (b *browser) open(t *testing.T, path string) {
	t.Helper()
	b.do(t, chromedp.Navigate(b.url+path))
}

func (b *browser) signIn(t *testing.T, login string) {
	t.Helper()
	b.open(t, "/login")
	b.do(t, chromedp.SendKeys("#login", login), chromedp.SendKeys("#password", "demo-2026"), chromedp.Submit("#login"), chromedp.WaitVisible("#q"))
}

func (b *browser) text(t *testing.T, selector string) string {
	t.Helper()
	s, err := chromedp.Run(b.ctx, chromedp.TextContent(selector))
	require.NoError(t, err)
	return strings.TrimSpace(s)
}

func (b *browser) is(t *testing.T, expression string) bool {
	t.Helper()
	ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
	require.NoError(t, err)
	return ok
}

func (b *browser) run(t *testing.T, script string) {
	t.Helper()
	_, err := chromedp.Run(b.ctx, chromedp.Evaluate[int](script))
	require.NoError(t, err)
}

// scripts turns the page's own scripts on or off.
func (b *browser) scripts(t *testing.T, on bool) {
	t.Helper()
	b.do(t, chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
		_, err := cdp.Call(ctx, tab, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

// pageHoldsNothing checks that the page, as it stands, has none of the first
// customer's values in full.
func (b *browser) pageHoldsNothing(t *testing.T) {
	t.Helper()
	html, err := chromedp.Run(b.ctx, chromedp.OuterHTML("html"))
	require.NoError(t, err)
	for _, value := range firstCustomer {
		require.NotContains(t, html, value)
	}
}

// holdsNothing checks the page and everything that ever came over the wire.
func (b *browser) holdsNothing(t *testing.T) {
	t.Helper()
	b.pageHoldsNothing(t)
	for _, value := range firstCustomer {
		require.Empty(t, b.wire.carrying(value), value)
	}
}
