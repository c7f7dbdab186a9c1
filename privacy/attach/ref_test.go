package attach_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/attach"
	"gorm.io/gorm"
)

// Whatever prints a reference shows neither key nor name.
func TestRefIsNeverPrinted(t *testing.T) {
	files, _ := newFiles(t)
	ref, err := files.Seal(t.Context(), "SECRET-王小明.pdf", strings.NewReader("x"))
	require.NoError(t, err)
	exposed, err := attach.Exposed(ref)
	require.NoError(t, err)
	var inside struct{ Key []byte }
	require.NoError(t, json.Unmarshal(exposed, &inside))
	require.Greater(t, len(inside.Key), 32)
	secret := inside.Key[20:40]

	type row struct {
		File   attach.Ref
		hidden attach.Ref
		list   []attach.Ref
		sealed privacy.Value[attach.Ref]
	}
	holder := row{ref, ref, []attach.Ref{ref}, ref.Sealed()}
	var out strings.Builder
	for _, v := range []any{ref, &ref, holder, &holder, []attach.Ref{ref}, map[string]attach.Ref{"a": ref}, ref.Sealed()} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("text", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("json", "v", v)
		b, err := json.Marshal(v)
		out.Write(b)
		if err != nil {
			out.WriteString(err.Error())
		}
		var g bytes.Buffer
		if err := gob.NewEncoder(&g).Encode(v); err != nil {
			out.WriteString(err.Error())
		}
		out.Write(g.Bytes())
		require.NoError(t, template.Must(template.New("x").Parse("{{.}}")).Execute(&out, v))
	}
	for _, bad := range []string{string(secret), hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)), base64.StdEncoding.EncodeToString(inside.Key)[28:52], strings.Trim(fmt.Sprint(secret), "[]"), "SECRET", "王小明"} {
		require.NotContains(t, out.String(), bad)
	}
	require.Equal(t, fmt.Sprintf("attach.Ref(%s, 1 bytes)", ref.ID()), fmt.Sprint(ref))
	require.Equal(t, "attach.Ref()", fmt.Sprint(attach.Ref{}))
	require.Equal(t, "SECRET-王小明.pdf", ref.Name())
}

// A reference that is stored without its key would lose the file; so it is not stored at all.
func TestRefIsStoredThroughSealedOnly(t *testing.T) {
	files, _ := newFiles(t)
	ref := seal(t, files, []byte("x"))
	_, err := json.Marshal(ref)
	require.ErrorIs(t, err, attach.ErrRef)
	require.ErrorContains(t, err, "it holds the file's key and is not written out; store ref.Sealed()")

	db := testdb.New(t, testdb.SQLite)
	newVault(t, db, privacy.AllowAll, privacy.Discard)
	for _, v := range []privacy.Value[attach.Ref]{privacy.NewValue(ref), attach.Ref{}.Sealed()} {
		err = db.Create(&Document{ID: "1", CustomerID: "7", File: v}).Error
		require.ErrorIs(t, err, privacy.ErrUnreadable)
	}
	// Nor does one come in from outside: an API's JSON cannot point a row to a file.
	exposed, err := attach.Exposed(ref)
	require.NoError(t, err)
	var v privacy.Value[attach.Ref]
	require.NoError(t, json.Unmarshal(exposed, &v))
	require.ErrorIs(t, db.Create(&Document{ID: "1", CustomerID: "7", File: v}).Error, privacy.ErrUnreadable)
}

func TestRefBelongsToItsRowAndPerson(t *testing.T) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) {
			db := testdb.New(t, engine)
			g, log := &gate{}, &recorder{}
			vault := newVault(t, db, g, log)
			var sql strings.Builder
			db.DB = db.DB.Session(&gorm.Session{Logger: logger.New(writer{&sql}, logger.Config{LogLevel: logger.Info})})
			files, store := newFiles(t)
			data := random(t, 3*smallest)
			ref := seal(t, files, data)
			other := seal(t, files, []byte("of another person"))
			require.NoError(t, db.Create(&Document{ID: "1", CustomerID: "7", Object: ref.ID(), File: ref.Sealed()}).Error)
			require.NoError(t, db.Create(&Document{ID: "2", CustomerID: "8", Object: other.ID(), File: other.Sealed()}).Error)
			require.NotContains(t, sql.String(), "contract.pdf")

			reveal := func(id string) (attach.Ref, error) {
				var d Document
				require.NoError(t, db.Take(&d, "id = ?", id).Error)
				return d.File.Reveal(t.Context(), "check the signature")
			}
			got, err := reveal("1")
			require.NoError(t, err)
			require.Equal(t, ref.Name(), got.Name())
			require.Equal(t, ref.SHA256(), got.SHA256())
			content, err := readAll(files, got)
			require.NoError(t, err)
			require.True(t, bytes.Equal(data, content))
			require.Len(t, log.looks, 1)
			require.Contains(t, log.looks[0], "document.reveal")
			require.Contains(t, log.looks[0], "purpose=check the signature")
			_, err = json.Marshal(got)
			require.ErrorIs(t, err, attach.ErrRef, "what Reveal returned is as silent as what Seal returned")

			g.deny = true
			_, err = reveal("1")
			require.ErrorContains(t, err, "not allowed")
			g.deny = false

			// Somebody who can write the table moves the reference.
			pool, err := db.DB.DB()
			require.NoError(t, err)
			_, err = pool.Exec("UPDATE documents SET file = (SELECT f FROM (SELECT file AS f FROM documents WHERE id = '1') x) WHERE id = '2'")
			require.NoError(t, err)
			_, err = reveal("2")
			require.ErrorIs(t, err, privacy.ErrUnreadable)

			_, err = vault.Erase(t.Context(), db.DB, "customer:7")
			require.NoError(t, err)
			_, err = reveal("1")
			require.ErrorIs(t, err, privacy.ErrErased)
			require.NotEmpty(t, store.Bytes(ref.ID()), "the object waits for Sweep, and nobody has its key")
		})
	}
}

type writer struct{ *strings.Builder }

func (w writer) Printf(format string, args ...any) { fmt.Fprintf(w.Builder, format+"\n", args...) }

func FuzzRef(f *testing.F) {
	files, _ := newFiles(f)
	exposed, err := attach.Exposed(seal(f, files, []byte("x")))
	require.NoError(f, err)
	f.Add(exposed)
	for _, change := range [][2]string{{`"v":1`, `"v":2`}, {`"size":1`, `"size":-1`}, {`"segment":4096`, `"segment":0`}, {`"id":"`, `"id":"/`}, {`"key":"`, `"key":"AA`}, {`"size":1`, `"size":"secret"`}} {
		f.Add(bytes.Replace(exposed, []byte(change[0]), []byte(change[1]), 1))
	}
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ref attach.Ref
		if err := json.Unmarshal(b, &ref); err != nil {
			require.NotContains(t, err.Error(), "secret")
			return
		}
		if ref.IsZero() {
			return // null
		}
		_, err := readAll(files, ref)
		require.True(t, err == nil || bytes.Contains(b, []byte(ref.ID())))
	})
}
