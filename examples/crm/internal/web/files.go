package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"time"
)

//go:embed static/*
var staticFiles embed.FS

// files are the style sheet, the script and the icon, by name.
type files map[string]file

type file struct {
	content []byte
	kind    string
	version string
}

func loadFiles() (files, error) {
	entries, err := staticFiles.ReadDir("static")
	if err != nil {
		return nil, fmt.Errorf("web: static files: %w", err)
	}
	fs := files{}
	for _, e := range entries {
		b, err := staticFiles.ReadFile("static/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("web: static files: %w", err)
		}
		sum := sha256.Sum256(b)
		fs[e.Name()] = file{content: b, kind: kindOf(e.Name()), version: hex.EncodeToString(sum[:8])}
	}
	return fs, nil
}

// kindOf does not ask the system's table of types: on some machines it says that
// a script is plain text, and the browser then refuses it.
func kindOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "application/octet-stream"
}

// address is the file's, with its version in it: it may be kept for ever.
func (fs files) address(name string) (string, error) {
	f, ok := fs[name]
	if !ok {
		return "", fmt.Errorf("web: no static file %s", name)
	}
	return "/static/" + name + "?v=" + f.version, nil
}

func (fs files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, ok := fs[r.PathValue("file")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.kind)
	if r.URL.Query().Get("v") == f.version {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.content))
}
