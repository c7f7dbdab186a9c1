package web

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMoney(t *testing.T) {
	for cents, want := range map[int64]string{
		0: "$0.00", 5: "$0.05", 198: "$1.98", 123456: "$1,234.56", -5: "-$0.05", -123456789: "-$1,234,567.89",
		math.MaxInt64: "$92,233,720,368,547,758.07", math.MinInt64: "-$92,233,720,368,547,758.08",
	} {
		require.Equal(t, want, money(english, cents))
	}
	require.Equal(t, "US$1.98", money(chinese, 198))
	require.Equal(t, "-999", number(-999))
	require.Equal(t, "1,000", number(1000))
}

func TestDates(t *testing.T) {
	at := time.Date(2021, 1, 2, 23, 30, 5, 0, time.UTC)
	shanghai := time.FixedZone("CST", 8*3600)
	require.Equal(t, "2 Jan 2021", date(english, at.In(shanghai)), "a day is a day")
	require.Equal(t, "2021年1月2日", date(chinese, at))
	require.Equal(t, "3 Jan 2021, 07:30:05", moment(english, shanghai, at))
	require.Equal(t, "2021年1月3日 07:30:05", moment(chinese, shanghai, at))
	require.Empty(t, date(english, time.Time{}))
	require.Empty(t, moment(english, time.UTC, time.Time{}))
}

func TestLocalPath(t *testing.T) {
	for _, ok := range []string{"/", "/customers", "/customers/1?done=saved", "/%2e", "/a//b"} {
		require.Equal(t, ok, localPath(ok, "no"))
	}
	for _, bad := range []string{
		"", "customers", "//evil.example", "///evil.example", `/\evil.example`, `\/evil.example`, "https://evil.example", "https:/evil.example",
		"javascript:alert(1)", "/\t/evil.example", "/a\r\nSet-Cookie: x=y", "/%zz", "/\x00", "//user@evil.example", "/a\xff",
		"/" + string(make([]byte, 3000)),
	} {
		require.Equal(t, "no", localPath(bad, "no"), "%q", bad)
	}
}

func TestLoopback(t *testing.T) {
	for _, host := range []string{"localhost", "LOCALHOST:8080", "127.0.0.1:8080", "127.0.0.1", "[::1]:8080", "[::1]", "127.8.8.8:1"} {
		require.True(t, loopback(host), host)
	}
	for _, host := range []string{"", "evil.example", "evil.example:8080", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:8080", "0.0.0.0", "[::]:80"} {
		require.False(t, loopback(host), host)
	}
}

func TestInitial(t *testing.T) {
	for text, want := range map[string]string{"luís": "L", "王*": "王", "": "·", "***": "·", "•••": "·", "école": "É"} {
		require.Equal(t, want, initial(text))
	}
}
