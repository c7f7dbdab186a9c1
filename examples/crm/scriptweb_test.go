package main

import (
	"bufio"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

type visitorsKey struct{}

// visitors are the browsers of a script, by the name of who sits before them.
type visitors map[string]*http.Client

// serve FLAGS... starts the server on a free port; its log goes to server.log.
func serveCmd(ts *testscript.TestScript, neg bool, args []string) {
	path, err := lookPath(ts, "crm")
	ts.Check(err)
	log, err := os.OpenFile(ts.MkAbs("server.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	ts.Check(err)
	cmd := exec.Command(path, append([]string{"serve", "-addr", "127.0.0.1:0", "-log", "debug"}, args...)...)
	cmd.Dir, cmd.Env, cmd.Stderr = ts.MkAbs("."), environ(ts), log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	stopped := make(chan error, 1)
	ts.Defer(func() { cmd.Process.Kill(); log.Close() })

	lines := bufio.NewScanner(out)
	for lines.Scan() {
		fmt.Fprintln(ts.Stdout(), lines.Text())
		if at := regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(lines.Text()); at != "" {
			ts.Setenv("URL", at)
		}
		if strings.Contains(lines.Text(), "Ctrl-C") {
			break
		}
	}
	if ts.Getenv("URL") == "" {
		ts.Fatalf("the server did not start; see server.log")
	}
	go func() { io.Copy(io.Discard, out); stopped <- cmd.Wait() }()
	ts.Value(visitorsKey{}).(visitors)["server"] = &http.Client{Transport: server{cmd.Process, stopped}}
}

// server lets halt find the running process through the script's values.
type server struct {
	process *os.Process
	stopped chan error
}

func (server) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("not a browser")
}

// halt ends the server in the orderly way. (stop is testscript's own: it ends the script.)
func haltCmd(ts *testscript.TestScript, neg bool, args []string) {
	s := ts.Value(visitorsKey{}).(visitors)["server"].Transport.(server)
	ts.Check(s.process.Signal(os.Interrupt))
	select {
	case err := <-s.stopped:
		ts.Check(err)
	case <-time.After(20 * time.Second):
		ts.Fatalf("the server does not stop")
	}
}

// signin NAME LOGIN PASSWORD gives NAME a browser and signs in with it.
func signinCmd(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: signin NAME LOGIN PASSWORD")
	}
	visitorCmd(ts, false, args[:1])
	client := browser(ts, args[0])
	status, _ := post(ts, client, "/login", url.Values{"login": {args[1]}, "password": {args[2]}})
	if (status == http.StatusSeeOther) == neg {
		ts.Fatalf("sign-in answered %d", status)
	}
}

// visitor NAME gives NAME a browser that has not signed in.
func visitorCmd(ts *testscript.TestScript, neg bool, args []string) {
	jar, err := cookiejar.New(nil)
	ts.Check(err)
	ts.Value(visitorsKey{}).(visitors)[args[0]] = &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// none NAME wants NAME to see no customer and no invoice anywhere.
func noneCmd(ts *testscript.TestScript, neg bool, args []string) {
	for path, want := range map[string]int{
		"/customers": 200, "/customers?hidden=1": 200, "/customers?q=luisg@embraer.com.br": 200, "/customers/1": 404,
		"/customers/1/invoices": 404, "/customers/1/edit": 404, "/invoices": 200, "/customers.csv": 403,
	} {
		resp, err := browser(ts, args[0]).Get(ts.Getenv("URL") + path)
		ts.Check(err)
		body := read(ts, resp)
		if resp.StatusCode != want {
			ts.Fatalf("%s: GET %s answered %d, want %d; see server.log: %s", args[0], path, resp.StatusCode, want, lastLine(ts))
		}
		if strings.Contains(body, `href="/customers/`) || strings.Contains(body, "Gonçalves") {
			ts.Fatalf("%s: GET %s shows a customer", args[0], path)
		}
	}
}

// lastLine returns the last complaint of the server.
func lastLine(ts *testscript.TestScript) string {
	last := ""
	for line := range strings.Lines(ts.ReadFile("server.log")) {
		if strings.Contains(line, "level=ERROR") {
			last = line
		}
	}
	return last
}

// normal TERM prints the last output again without the term, in whatever form it
// stands there: what is left of two pages can be compared.
func normalCmd(ts *testscript.TestScript, neg bool, args []string) {
	page := ts.ReadFile("stdout")
	for _, form := range []string{args[0], html.EscapeString(args[0]), url.QueryEscape(args[0])} {
		page = strings.ReplaceAll(page, form, "TERM")
	}
	fmt.Fprint(ts.Stdout(), page)
}

// get NAME PATH [STATUS] fetches a page; its body is what stdout looks at.
func getCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: get NAME PATH [STATUS]")
	}
	want := http.StatusOK
	if len(args) > 2 {
		want, _ = strconv.Atoi(args[2])
	}
	resp, err := browser(ts, args[0]).Get(ts.Getenv("URL") + args[1])
	ts.Check(err)
	body := read(ts, resp)
	fmt.Fprint(ts.Stdout(), body)
	if resp.StatusCode != want {
		ts.Fatalf("GET %s answered %d, want %d", args[1], resp.StatusCode, want)
	}
}

// post NAME PATH STATUS [NAME=VALUE...] sends a form, with the token of a page
// that the browser was given before.
func postCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: post NAME PATH STATUS [NAME=VALUE...]")
	}
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	form := url.Values{}
	for _, pair := range args[3:] {
		name, value, _ := strings.Cut(pair, "=")
		form.Add(name, value)
	}
	status, body := post(ts, browser(ts, args[0]), args[1], form)
	fmt.Fprint(ts.Stdout(), body)
	if status != want {
		ts.Fatalf("POST %s answered %d, want %d", args[1], status, want)
	}
}

func post(ts *testscript.TestScript, client *http.Client, path string, form url.Values) (int, string) {
	page := "/users" // any page with a form; the token is the session's
	if path == "/login" {
		page = path
	}
	resp, err := client.Get(ts.Getenv("URL") + page)
	ts.Check(err)
	if token := csrf().FindStringSubmatch(read(ts, resp)); token != nil {
		form.Set("csrf", token[1])
	}
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("URL")+path, strings.NewReader(form.Encode()))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err = client.Do(req)
	ts.Check(err)
	return resp.StatusCode, read(ts, resp)
}

func csrf() *regexp.Regexp { return regexp.MustCompile(`name="csrf" value="([^"]+)"`) }

func read(ts *testscript.TestScript, resp *http.Response) string {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	return string(body)
}

func browser(ts *testscript.TestScript, name string) *http.Client {
	client := ts.Value(visitorsKey{}).(visitors)[name]
	if client == nil {
		ts.Fatalf("%s has not signed in", name)
	}
	return client
}
