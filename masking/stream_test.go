package masking_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// written passes the parts through a writer with chunks of the given size.
func written(t testing.TB, size int, parts ...string) string {
	t.Helper()
	var out bytes.Buffer
	w := masking.Policy{}.NewWriterSize(context.Background(), &out, size)
	for _, part := range parts {
		n, err := io.WriteString(w, part)
		require.NoError(t, err)
		require.Equal(t, len(part), n)
	}
	require.NoError(t, w.Close())
	return out.String()
}

// streamText has every kind of find, invalid UTF-8, a number and a secret longer than any window.
func streamText(t testing.TB) string {
	var b strings.Builder
	for i, d := range ownCorpus(t) {
		if i%60 == 0 {
			b.WriteString(d.text + "，")
		}
	}
	b.WriteString("\xff\xe4\xb8" + strings.Repeat("7", 900) + " 13800138000 password=" + strings.Repeat("aZ9", 700) + " 13800138000 ")
	b.WriteString(strings.Repeat("1 2 3 4 ", 60) + "13800138000" + strings.Repeat("\x80", 900) + "电话13800138000")
	return b.String()
}

func TestStreamIsTheSameForEveryCut(t *testing.T) {
	s := streamText(t)
	want := masking.Policy{}.Text(context.Background(), s)
	require.NotContains(t, want, "0013800")
	for at := 0; at <= len(s); at++ {
		if size := 200 + at%711; written(t, size, s[:at], s[at:]) != want {
			t.Fatalf("cut at %d with chunks of %d differs", at, size)
		}
	}
	read, err := io.ReadAll(masking.Policy{}.NewReader(context.Background(), iotest.OneByteReader(strings.NewReader(s))))
	require.NoError(t, err)
	assert.Equal(t, want, string(read))
}

func TestStreamMemoryIsBounded(t *testing.T) {
	w := masking.Policy{}.NewWriter(context.Background(), io.Discard)
	_, err := io.WriteString(w, "password=")
	require.NoError(t, err)
	for range 2000 { // two megabytes of one secret
		_, err := io.WriteString(w, strings.Repeat("x9", 512))
		require.NoError(t, err)
		require.Less(t, w.Buffered(), 64<<10)
	}
	require.NoError(t, w.Close())
}

func TestStreamReportsErrors(t *testing.T) {
	broken := errors.New("disk full")
	w := masking.Policy{}.NewWriterSize(context.Background(), failing{broken}, 1)
	_, err := io.WriteString(w, strings.Repeat("text ", 1000))
	require.ErrorIs(t, err, broken)
	_, err = w.Write([]byte("more"))
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, w.Close(), broken)

	var out bytes.Buffer
	w = masking.Policy{}.NewWriter(context.Background(), &out)
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	_, err = w.Write([]byte("late"))
	require.ErrorIs(t, err, io.ErrClosedPipe)

	r := masking.Policy{}.NewReader(context.Background(), io.MultiReader(strings.NewReader("tel 13800138000"), iotest.ErrReader(broken)))
	got, err := io.ReadAll(r)
	require.ErrorIs(t, err, broken)
	assert.Equal(t, "tel 138****8000", string(got))
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestStreamAtFullOnlyRepairsUTF8(t *testing.T) {
	p := masking.Policy{Level: func(context.Context) masking.Level { return masking.Full }}
	got, err := io.ReadAll(p.NewReader(context.Background(), strings.NewReader("13800138000\xff")))
	require.NoError(t, err)
	assert.Equal(t, "13800138000\uFFFD", string(got))
}

// A secret can be longer than the window a recogniser sees. Nothing of its tail may come out.
func TestLongSecretsAreHiddenToTheirEnd(t *testing.T) {
	long := strings.Repeat("aZ9", 9000)
	for _, s := range []string{"password=" + long, "token: " + long, "Bearer " + long, "eyJ" + long + "." + long, "key sk-" + long, "Cookie: " + long, "密码：" + long, "{\"password\":\"" + long + "\"}"} {
		masked := masking.Text(s + " 13800138000 end")
		assert.False(t, strings.Contains(masked, "aZ9"), s[:12])
		assert.True(t, strings.HasSuffix(masked, "138****8000 end"), s[:12])
		assert.Less(t, len(masked), 200)
		assert.True(t, masked == written(t, 300, s+" 13800138000 end"), s[:12])
	}
}
