package main

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// upload NAME CUSTOMER STATUS FILE [TOKEN] sends a file as a browser does and
// leaves the id of the customer's newest document in $DOCUMENT.
func uploadCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: upload NAME CUSTOMER STATUS FILE [TOKEN]")
	}
	client, path := browser(ts, args[0]), ts.Getenv("URL")+"/customers/"+args[1]+"/documents"
	resp, err := client.Get(ts.Getenv("URL") + "/users")
	ts.Check(err)
	token := csrf().FindStringSubmatch(read(ts, resp))[1]
	if len(args) > 4 {
		token = args[4]
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	ts.Check(form.WriteField("csrf", token))
	part, err := form.CreateFormFile("file", args[3])
	ts.Check(err)
	_, err = io.WriteString(part, ts.ReadFile(args[3]))
	ts.Check(err)
	ts.Check(form.Close())
	req, err := http.NewRequest(http.MethodPost, path, &body)
	ts.Check(err)
	req.Header.Set("Content-Type", form.FormDataContentType())
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	resp, err = client.Do(req)
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), read(ts, resp))
	if strconv.Itoa(resp.StatusCode) != args[2] {
		ts.Fatalf("the upload answered %d, want %s; see server.log: %s", resp.StatusCode, args[2], lastLine(ts))
	}
	resp, err = client.Get(path)
	ts.Check(err)
	if m := regexp.MustCompile(`/documents/([A-Za-z0-9_-]+)"`).FindStringSubmatch(read(ts, resp)); m != nil {
		ts.Setenv("DOCUMENT", m[1])
	}
}

// download NAME CUSTOMER STATUS RANGE PURPOSE opens $DOCUMENT; RANGE may be "".
// Headers come before the body.
func downloadCmd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: download NAME CUSTOMER STATUS RANGE PURPOSE")
	}
	client := browser(ts, args[0])
	resp, err := client.Get(ts.Getenv("URL") + "/users")
	ts.Check(err)
	form := url.Values{"csrf": {csrf().FindStringSubmatch(read(ts, resp))[1]}, "purpose": {args[4]}}
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("URL")+"/customers/"+args[1]+"/documents/"+ts.Getenv("DOCUMENT"), strings.NewReader(form.Encode()))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if args[3] != "" {
		req.Header.Set("Range", args[3])
	}
	resp, err = client.Do(req)
	ts.Check(err)
	for _, name := range []string{"Content-Type", "Content-Disposition", "X-Content-Type-Options", "Content-Range"} {
		fmt.Fprintf(ts.Stdout(), "%s: %s\n", name, resp.Header.Get(name))
	}
	fmt.Fprint(ts.Stdout(), read(ts, resp))
	if strconv.Itoa(resp.StatusCode) != args[2] {
		ts.Fatalf("the download answered %d, want %s; see server.log: %s", resp.StatusCode, args[2], lastLine(ts))
	}
}
