package audit_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// An export taken apart, to be put together wrongly.
type exported struct {
	magic  string
	frames [][]byte // without the last
}

func (b *bench) takenApart(t *testing.T) exported {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, b.log.Export(b.ctx, &out))
	return takeApart(t, out.Bytes())
}

func takeApart(t *testing.T, data []byte) exported {
	t.Helper()
	magic, rest, ok := bytes.Cut(data, []byte("\n"))
	require.True(t, ok)
	x := exported{magic: string(magic) + "\n"}
	for len(rest) > 0 {
		n := 5 + binary.BigEndian.Uint32(rest[1:])
		x.frames = append(x.frames, rest[:n:n])
		rest = rest[n:]
	}
	last := x.frames[len(x.frames)-1]
	require.EqualValues(t, 'Z', last[0])
	x.frames = x.frames[:len(x.frames)-1]
	return x
}

// bytes puts the export together again, with a last frame that fits.
func (x exported) bytes() []byte {
	b := append([]byte(x.magic), bytes.Join(x.frames, nil)...)
	b = append(b, 'Z', 0, 0, 0, 8)
	return binary.BigEndian.AppendUint64(b, uint64(len(x.frames)))
}

// entry is the frame of an entry of a log.
func (x exported) entry(t *testing.T, log string, seq int64) int {
	t.Helper()
	inside := false
	for i, f := range x.frames {
		if f[0] == 'H' {
			inside = bytes.HasPrefix(f[5:], append(binary.BigEndian.AppendUint32(nil, uint32(len(log))), log...))
		}
		if inside && f[0] == 'E' && int64(binary.BigEndian.Uint64(f[5:])) == seq {
			return i
		}
	}
	t.Fatalf("the export has no entry %d of log %q", seq, log)
	return 0
}

func (x exported) without(i ...int) exported {
	slices.Sort(i)
	frames := slices.Clone(x.frames)
	for _, at := range slices.Backward(i) {
		frames = slices.Delete(frames, at, at+1)
	}
	return exported{x.magic, frames}
}

func (x exported) changed(i int, f func(frame []byte)) exported {
	frames := slices.Clone(x.frames)
	frames[i] = bytes.Clone(frames[i])
	f(frames[i])
	return exported{x.magic, frames}
}

func (b *bench) verifyExport(t *testing.T, data []byte, opts audit.VerifyOptions) (audit.Report, error) {
	t.Helper()
	return audit.VerifyExport(b.ctx, bytes.NewReader(data), b.cfg.Verifier, opts)
}

func TestExportVerifiesWithoutTheDatabase(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		x := b.takenApart(t)
		r, err := b.verifyExport(t, x.bytes(), audit.VerifyOptions{Checkpoints: b.anchor.notes})
		require.NoError(t, err)
		require.True(t, r.OK && r.Anchored, "%s", r)
		require.EqualValues(t, 15, r.Size)
		require.EqualValues(t, 3, r.AnchoredTo)
		direct := b.verify(t)
		require.Equal(t, direct.Verified, r.Verified, "the state is the same as from the database")
		r, err = b.verifyExport(t, x.bytes(), audit.VerifyOptions{})
		require.NoError(t, err)
		require.Contains(t, r.String(), "UNANCHORED: 15 events in 2 logs")
		r, err = b.verifyExport(t, exportLines(t, b.cfg), audit.VerifyOptions{Checkpoints: b.anchor.notes})
		require.NoError(t, err)
		require.True(t, r.OK && r.Anchored && r.Size == 15, "version 1: %s", r)
	})
}

// What is done to an export is found and named as in the database.
func TestTamperExport(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	x := b.takenApart(t)
	main4, acme0 := x.entry(t, "main", 4), x.entry(t, "acme", 0)
	for name, c := range map[string]struct {
		export exported
		want   []string
	}{
		"nothing":              {x, nil},
		"drop one":             {x.without(main4), []string{"deleted main#4"}},
		"drop the tail":        {x.without(x.entry(t, "main", 8), x.entry(t, "main", 9)), []string{"truncated main#8-9"}},
		"drop a log's entries": {x.without(acme0, acme0+1, acme0+2, acme0+3, acme0+4), []string{"log-deleted acme#0-4"}},
		"drop a log":           {x.without(acme0-1, acme0, acme0+1, acme0+2, acme0+3, acme0+4), []string{"head-edited acme", "log-deleted acme#0-4"}},
		"drop the top log":     {x.without(1, 2, 3, 4), []string{"head-edited (top)", "head-edited acme", "head-edited main", "log-deleted (top)#0-2"}},
		"double one":           {exported{x.magic, slices.Insert(slices.Clone(x.frames), main4, x.frames[main4])}, []string{"inserted main#4"}},
		"edit one":             {x.changed(main4, func(f []byte) { copy(f, bytes.Replace(f, []byte("u3"), []byte("u4"), 1)) }), []string{"edited main#4"}},
		"edit the head":        {x.changed(acme0-1, func(f []byte) { f[5+4+4+7]-- }), []string{"head-edited acme"}},
		"edit a checkpoint":    {x.changed(2, func(f []byte) { f[len(f)-2] ^= 1 }), []string{"edited (top)#0"}},
		"swap two": {x.changed(main4, func(f []byte) {
			copy(f[13:], x.frames[main4+1][13:])
		}).changed(main4+1, func(f []byte) { copy(f[13:], x.frames[main4][13:]) }), []string{"reordered main#4", "reordered main#5"}},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			r, err := b.verifyExport(t, c.export.bytes(), audit.VerifyOptions{Checkpoints: b.anchor.notes})
			require.NoError(t, err)
			require.Equal(t, unique(c.want), unique(found(r, c.want)), "%s", r)
			require.True(t, r.Anchored)
			require.Equal(t, len(c.want) == 0, r.OK)
			require.Equal(t, r.OK, len(r.Verified.Heads) > 0, "a broken log gives no state to go on from")
		})
	}
}

// Every byte of an export matters: flipped, it is found, or refused.
func TestEveryByteOfAnExportCounts(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	require.NoError(t, b.WithContext(b.ctx).Create(&customer{ID: "1"}).Error)
	b.seal(t)
	data := b.export(t)
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 0x11
		r, err := b.verifyExport(t, changed, audit.VerifyOptions{Checkpoints: b.anchor.notes})
		if err != nil {
			require.ErrorIs(t, err, audit.ErrInvalid, "byte %d", i)
			continue
		}
		require.False(t, r.OK, "byte %d: %s", i, r)
	}
	for i := range data {
		_, err := b.verifyExport(t, data[:i], audit.VerifyOptions{})
		require.ErrorIs(t, err, audit.ErrInvalid, "cut at %d", i)
	}
}

func TestWhatIsNoExportIsRefused(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	x := b.takenApart(t)
	whole := x.bytes()
	lines := exportLines(t, b.cfg)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "is not an export"},
		"something else": {[]byte("PK\x03"), "is not an export"},
		"no frames":      {[]byte(x.magic), "ends after 0 frames"},
		"cut off":        {whole[:len(whole)-13], fmt.Sprintf("ends after %d frames without its last one", len(x.frames))},
		"more behind":    {append(bytes.Clone(whole), x.frames[1]...), "is not what an export has there"},
		"no key":         {x.without(0).bytes(), "frame 1 of the export is not what an export has there"},
		"a wrong number": {append(whole[:len(whole)-1:len(whole)-1], 99), "is not what an export has there"},
		"another key":    {x.changed(0, func(f []byte) { f[10] = 'x' }).bytes(), "made with the key of another log"},
		"no head":        {x.without(1).bytes(), "is an entry without its head"},
		"out of order":   {exported{x.magic, append(slices.Clone(x.frames[:2]), x.frames[3], x.frames[2])}.bytes(), "are not in order"},
		"logs reversed":  {exported{x.magic, append(slices.Clone(x.frames[:5]), x.frames[11], x.frames[5])}.bytes(), "logs are not in order"},
		"a giant":        {append([]byte(x.magic), 'K', 0xff, 0xff, 0xff, 0xff), "frame 1 of the export"},
		"no lines":       {[]byte(`{"format":"confide-audit-export/9","key":"x"}`), "frame 1 of the export"},
		"a line cut off": {lines[:len(lines)-30], "was cut off"},
		"a foreign line": {bytes.Replace(lines, []byte(`{"log"`), []byte(`{"bog"`), 1), "is not what an export has there"},
	} {
		_, err := b.verifyExport(t, c.data, audit.VerifyOptions{})
		require.ErrorIs(t, err, audit.ErrInvalid, name)
		require.ErrorContains(t, err, c.want, name)
	}
	_, err := audit.VerifyExport(b.ctx, bytes.NewReader(whole), nil, audit.VerifyOptions{})
	require.ErrorIs(t, err, audit.ErrInvalid)
}

// exportLines writes an export of version 1 as it was specified.
func exportLines(t *testing.T, cfg audit.Config) []byte {
	t.Helper()
	var b bytes.Buffer
	enc, n := json.NewEncoder(&b), 0
	put := func(v any) {
		require.NoError(t, enc.Encode(v))
		n++
	}
	put(map[string]any{"format": "confide-audit-export/1", "key": cfg.Verifier.Name()})
	heads, err := cfg.Store.Heads(t.Context())
	require.NoError(t, err)
	for _, h := range heads {
		put(struct {
			Log             string `json:"log"`
			Size            int64  `json:"size"`
			Tip, Edge, Note []byte
		}{h.Log, h.Size, h.Tip, h.Edge, h.Note})
		entries, err := cfg.Store.Entries(t.Context(), audit.Selection{Log: h.Log, MaxSeq: h.Size - 1, Limit: 1 << 20})
		require.NoError(t, err)
		for _, e := range entries {
			put(struct {
				Log  string `json:"log"`
				Seq  int64  `json:"seq,omitempty"`
				Data []byte `json:"data"`
			}{h.Log, e.Seq, e.Data})
		}
	}
	put(map[string]any{"end": n})
	return bytes.Replace(b.Bytes(), []byte(`{"format":"confide-audit-export/1"`), []byte(`{"format":"confide-audit-export/1"`), 1)
}

func TestExportFile(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "export")
	require.NoError(t, b.log.ExportFile(b.ctx, path))
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	r, err := audit.VerifyExport(b.ctx, f, b.cfg.Verifier, audit.VerifyOptions{})
	require.NoError(t, err)
	require.True(t, r.OK)
	require.ErrorContains(t, b.log.ExportFile(b.ctx, path), "exist", "an export replaces no other")
	require.ErrorIs(t, b.log.ExportFile(b.ctx, filepath.Join(dir, "no", "export")), audit.ErrInvalid)
	pool, err := b.DB.DB.DB()
	require.NoError(t, err)
	require.NoError(t, pool.Close())
	require.Error(t, b.log.ExportFile(b.ctx, filepath.Join(dir, "other")), "the database is away")
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 1, "a failed export leaves nothing")
}
