package attach_test

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy/attach"
)

func serve(t *testing.T, files *attach.Files, ref attach.Ref) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, err := files.Open(r.Context(), ref)
		if err != nil {
			http.Error(w, "unreadable", http.StatusInternalServerError)
			return
		}
		defer file.Close()
		file.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server
}

func fetch(t *testing.T, server *httptest.Server, header ...string) (*http.Response, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := server.Client().Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

func TestDownloadOverHTTP(t *testing.T) {
	files, store := newFiles(t)
	data := random(t, 30*smallest+5)
	ref, err := files.Seal(t.Context(), "合同 \"x\"\r\n.html", bytes.NewReader(data))
	require.NoError(t, err)
	server := serve(t, files, ref)

	resp, body, err := fetch(t, server)
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.True(t, bytes.Equal(data, body))
	require.Equal(t, strconv.Itoa(len(data)), resp.Header.Get("Content-Length"))
	require.Equal(t, "bytes", resp.Header.Get("Accept-Ranges"))

	for spec, want := range map[string][]byte{
		"bytes=0-0": data[:1], "bytes=4095-4096": data[4095:4097], "bytes=100000-": data[100000:], "bytes=-5": data[len(data)-5:], "bytes=0-": data, "bytes=8192-12287": data[8192:12288],
	} {
		before := store.Gets()
		resp, body, err := fetch(t, server, "Range", spec)
		require.NoError(t, err)
		require.Equal(t, http.StatusPartialContent, resp.StatusCode, spec)
		require.True(t, bytes.Equal(want, body), spec)
		require.LessOrEqual(t, store.Gets()-before, 4+len(want)/smallest, "%s read too much", spec)
	}
	resp, _, err = fetch(t, server, "Range", "bytes=999999999-")
	require.NoError(t, err)
	require.Equal(t, http.StatusRequestedRangeNotSatisfiable, resp.StatusCode)

	// Many small ranges would each cost a segment.
	resp, body, err = fetch(t, server, "Range", "bytes=0-0,"+strings.Repeat("8192-8192,0-0,", 50)+"1-1")
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.Len(t, body, len(data))

	resp, body, err = fetch(t, server, "If-None-Match", resp.Header.Get("ETag"))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotModified, resp.StatusCode)
	require.Empty(t, body)
}

// Whatever was uploaded, a browser saves it and runs nothing.
func TestDownloadIsHarmless(t *testing.T) {
	files, _ := newFiles(t)
	for _, name := range []string{"a.html", "x.svg", "王小明.pdf", "a\r\nX-Evil: 1", `"; filename="evil.exe`, strings.Repeat("长", 200), "../../../etc/passwd"} {
		ref, err := files.Seal(t.Context(), name, strings.NewReader("<html><script>alert(document.cookie)</script>"))
		require.NoError(t, err)
		resp, _, err := fetch(t, serve(t, files, ref))
		require.NoError(t, err)
		require.Equal(t, "application/octet-stream", resp.Header.Get("Content-Type"))
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"))
		require.Equal(t, "private, no-store", resp.Header.Get("Cache-Control"))
		require.Contains(t, resp.Header.Get("Content-Security-Policy"), "sandbox")
		require.Empty(t, resp.Header.Get("X-Evil"))
		kind, params, err := mime.ParseMediaType(resp.Header.Get("Content-Disposition"))
		require.NoError(t, err)
		require.Equal(t, "attachment", kind)
		require.Equal(t, map[string]string{"filename": attach.CleanName(name)}, params)
	}
}

// A damaged file never looks whole to who downloads it.
func TestDamageEndsADownload(t *testing.T) {
	files, store := newFiles(t)
	data := random(t, 50*smallest)
	ref := seal(t, files, data)
	server := serve(t, files, ref)
	box := store.Bytes(ref.ID())

	middle := bytes.Clone(box)
	middle[len(middle)/2] ^= 1
	store.Replace(ref.ID(), middle)
	resp, body, err := fetch(t, server)
	require.Error(t, err, "the client cannot see that the file is not whole")
	require.Equal(t, 200, resp.StatusCode)
	require.True(t, bytes.HasPrefix(data, body))

	store.Replace(ref.ID(), box[:len(box)-1])
	resp, body, err = fetch(t, server)
	require.NoError(t, err)
	require.Equal(t, 500, resp.StatusCode, "a file that is cut is found before its first byte is sent")
	require.Equal(t, "unreadable\n", string(body))
}

// An upload over HTTP whose client goes away in the middle leaves no object.
func TestUploadOverHTTP(t *testing.T) {
	files, store := newFiles(t)
	refs := make(chan attach.Ref, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ref := attach.Ref{}
		defer func() { refs <- ref }()
		parts, err := r.MultipartReader()
		if !assert.NoError(t, err) {
			return
		}
		part, err := parts.NextPart()
		if err != nil {
			return
		}
		if ref, err = files.Seal(r.Context(), part.FileName(), part); err != nil {
			http.Error(w, "no", http.StatusBadRequest)
		}
	}))
	defer server.Close()
	data := random(t, 300_000)
	post := func(stop int) attach.Ref {
		pr, pw := io.Pipe()
		form := multipart.NewWriter(pw)
		go func() {
			part, err := form.CreateFormFile("file", `C:\evil\..\合同.pdf`)
			if err == nil {
				_, err = part.Write(data[:stop])
			}
			if stop < len(data) {
				err = io.ErrClosedPipe
			} else if err == nil {
				err = form.Close()
			}
			pw.CloseWithError(err)
		}()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, pr)
		require.NoError(t, err)
		req.Header.Set("Content-Type", form.FormDataContentType())
		if resp, err := server.Client().Do(req); err == nil {
			resp.Body.Close()
		}
		return <-refs
	}
	require.True(t, post(200_000).IsZero())
	require.Zero(t, count(store))
	ref := post(len(data))
	require.Equal(t, "合同.pdf", ref.Name())
	got, err := readAll(files, ref)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, got))
}
