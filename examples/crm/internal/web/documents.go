package web

import (
	"crypto/subtle"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/examples/crm/internal/desk"
	"github.com/confide-go/confide/privacy/attach"
)

// mostUpload is what a form with a file may have.
const mostUpload = 10<<20 + 64<<10

// documentData is the files of one customer.
type documentData struct {
	desk.Customer
	Documents []desk.Document
	Problem   string
}

func (a *app) documents(v *visit) error { return v.showDocuments(http.StatusOK, "") }

func (v *visit) showDocuments(status int, problem string) error {
	c, err := v.customer()
	if err != nil {
		return err
	}
	list, err := v.Documents.Documents(v.ctx(), c.ID)
	if err != nil {
		return err
	}
	return v.show(status, "documents", page{
		Title: v.t("documents.of", v.nameOf(c)), Section: "customers", Done: v.done(), Here: customerPath(c.ID) + "/documents",
		Data: documentData{Customer: c, Documents: list, Problem: problem},
	})
}

// openUpload is open for the one form with a file. The handler reads the parts
// itself, first of all the token: nobody else's file is taken in.
func (a *app) openUpload(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{app: a, w: w, r: r, lang: a.chosenLang(r)}
		err := v.identify()
		if err == nil {
			err = h(v)
		}
		if err != nil {
			v.fail(err)
		}
	})
}

// addDocument is POST /customers/{id}/documents. The file is sealed while it
// comes; it is never on the disk in clear.
func (a *app) addDocument(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	file, err := v.uploaded()
	if err != nil {
		return err
	}
	err = v.Documents.AddDocument(v.ctx(), id, file.FileName(), file)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, attach.ErrTooLarge), errors.As(err, &tooLarge):
		return errTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errNotAForm
	case err != nil:
		return err
	}
	return v.seeOther(customerPath(id) + "/documents?done=added")
}

// uploaded checks the token, which must come first, and returns the file.
func (v *visit) uploaded() (*multipart.Part, error) {
	parts, err := v.r.MultipartReader()
	if err != nil {
		return nil, errNotAForm
	}
	token, err := parts.NextPart()
	if err != nil || token.FormName() != "csrf" {
		return nil, errOldForm
	}
	sent, err := io.ReadAll(io.LimitReader(token, 200))
	if err != nil || subtle.ConstantTimeCompare(sent, []byte(v.csrf)) != 1 {
		return nil, errOldForm
	}
	file, err := parts.NextPart()
	if err != nil || file.FormName() != "file" || file.FileName() == "" {
		return nil, errNotAForm
	}
	return file, nil
}

// downloadDocument is POST /customers/{id}/documents/{document}, with a reason, as
// for every value in full. Ranges are served; each request for one is in the log.
func (a *app) downloadDocument(v *visit) error {
	id, err := v.id()
	if err != nil {
		return err
	}
	document := v.r.PathValue("document")
	if !plainID.MatchString(document) {
		return desk.ErrNotFound
	}
	purpose := v.form("purpose")
	if n := utf8.RuneCountInString(purpose); n < shortestPurpose || n > longestPurpose || !printable(purpose) {
		return v.showDocuments(http.StatusUnprocessableEntity, v.t("reveal.purpose.problem", shortestPurpose, longestPurpose))
	}
	file, err := v.Documents.OpenDocument(v.ctx(), id, document, purpose)
	if err != nil {
		return err
	}
	defer file.Close()
	file.ServeHTTP(v.w, v.r)
	return nil
}

// bodyLimit is how much a request may send.
func bodyLimit(r *http.Request) int64 {
	if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/customers/") && strings.HasSuffix(r.URL.Path, "/documents") {
		return mostUpload
	}
	return mostBody
}
