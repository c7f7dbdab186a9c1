package attach

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/privacy"
)

// A Ref refers to a sealed file and holds its key. It is kept in a row as a privacy.Value[Ref], which Sealed
// makes and Reveal opens. Whatever prints a Ref shows id and size only; JSON and text refuse it.
type Ref struct {
	// It all hides in a closure: dumpers that walk unexported fields by reflection stop at functions.
	hold func() held
	// sealing is set for the one moment in which Sealed makes the JSON that is sealed.
	sealing bool
}

// held is the sealed form of a Ref, see FORMAT.md.
type held struct {
	Format  int    `json:"v"`
	ID      string `json:"id"`
	Key     []byte `json:"key"` // binary Tink keyset
	Size    int64  `json:"size"`
	Segment int64  `json:"segment"`
	SHA256  []byte `json:"sha256"`
	Name    string `json:"name"`
	Type    string `json:"type"`
}

const refFormat = 1

func newRef(h held) Ref { return Ref{hold: func() held { return h }} }

func (r Ref) held() held {
	if r.hold == nil {
		return held{}
	}
	return r.hold()
}

// IsZero reports whether r refers to nothing.
func (r Ref) IsZero() bool { return r.hold == nil }

// ID names the object in the store. It is random and may be stored in clear.
func (r Ref) ID() string { return r.held().ID }

// Size is the length of the file in bytes.
func (r Ref) Size() int64 { return r.held().Size }

// Name is the file's name as cleaned by CleanName. It is personal data as the file is.
func (r Ref) Name() string { return r.held().Name }

// ContentType is what the first bytes look like, never what somebody claimed. It is never a type that a
// browser would run.
func (r Ref) ContentType() string { return r.held().Type }

// SHA256 is the hash of the file's content.
func (r Ref) SHA256() []byte { return append([]byte(nil), r.held().SHA256...) }

// Sealed returns the value to assign to a field of the row.
func (r Ref) Sealed() privacy.Value[Ref] {
	r.sealing = true
	return privacy.NewValue(r)
}

// String names the object and its size.
func (r Ref) String() string {
	if r.IsZero() {
		return "attach.Ref()"
	}
	return fmt.Sprintf("attach.Ref(%s, %d bytes)", r.ID(), r.Size())
}

// GoString is String.
func (r Ref) GoString() string { return r.String() }

// Format writes String for every verb.
func (r Ref) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// LogValue is String.
func (r Ref) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalText writes String.
func (r Ref) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// GobEncode fails.
func (r Ref) GobEncode() ([]byte, error) { return nil, errShown }

// GobDecode fails.
func (r *Ref) GobDecode([]byte) error { return errShown }

var errShown = fmt.Errorf("%w: it holds the file's key and is not written out; store ref.Sealed() and show ref.Name() and ref.Size()", ErrRef)

// MarshalJSON fails everywhere but inside of Sealed, so that a key is neither shown nor stored in clear, and
// so that no reference is stored without its key.
func (r Ref) MarshalJSON() ([]byte, error) {
	if !r.sealing {
		return nil, errShown
	}
	if r.IsZero() {
		return nil, fmt.Errorf("%w: it refers to no file; use privacy.NullValue", ErrRef)
	}
	return json.Marshal(r.held())
}

// UnmarshalJSON reads what a privacy.Value opened.
func (r *Ref) UnmarshalJSON(data []byte) error {
	var h held
	if err := json.Unmarshal(data, &h); err != nil {
		return fmt.Errorf("%w: this is no reference to a file", ErrRef) // the cause may quote the key
	}
	if err := h.check(); err != nil {
		return err
	}
	*r = newRef(h)
	return nil
}

func (h held) check() error {
	switch {
	case h.Format != refFormat:
		return fmt.Errorf("%w: format version %d is none that this program knows", ErrRef, h.Format)
	case !validID(h.ID):
		return fmt.Errorf("%w: its object id is not 32 hexadecimal digits", ErrRef)
	case h.Size < 0 || h.Size > largest:
		return fmt.Errorf("%w: a file of %d bytes is not possible", ErrRef, h.Size)
	case len(h.SHA256) != sha256.Size:
		return fmt.Errorf("%w: its hash is not a SHA-256", ErrRef)
	}
	if err := checkSegment(h.Segment); err != nil {
		return fmt.Errorf("%w: %w", ErrRef, err)
	}
	_, err := h.aead()
	return err
}

func (h held) aead() (tink.AEAD, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(strings.NewReader(string(h.Key))))
	if err != nil {
		return nil, fmt.Errorf("%w: its key cannot be read", ErrRef)
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: its key is of another kind", ErrRef)
	}
	return a, nil
}

func (h held) shape() shape { return shape{id: h.ID, segment: h.Segment} }

// maxName is in bytes; no file system and no mail program takes longer ones.
const maxName = 200

// CleanName makes a name harmless that somebody sent with a file: the part behind the last slash or backslash,
// without control characters and characters that change the direction of writing ("invoice\u202Efdp.exe"),
// without leading dots, at most 200 bytes, valid UTF-8, never empty.
func CleanName(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	var b strings.Builder
	for _, c := range name {
		if c == utf8.RuneError || unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp) {
			continue
		}
		if strings.ContainsRune(`<>:"|?*`, c) {
			c = '_'
		}
		b.WriteRune(c)
	}
	name = strings.TrimRight(strings.TrimLeft(b.String(), ". \u00a0"), ". \u00a0")
	if len(name) > maxName {
		name = cutName(name)
	}
	if name == "" {
		return "file"
	}
	return name
}

// cutName shortens the stem and keeps a short extension.
func cutName(name string) string {
	ext := ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && len(name)-i <= 16 {
		name, ext = name[:i], name[i:]
	}
	n := maxName - len(ext)
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n] + ext
}
