package signin

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestHashPassword(t *testing.T) {
	one, err := HashPassword("correct horse")
	require.NoError(t, err)
	two, err := HashPassword("correct horse")
	require.NoError(t, err)
	require.NotEqual(t, one, two)
	require.Regexp(t, `^\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, one)
	for guess, want := range map[string]bool{"correct horse": true, "correct hors": false, "Correct horse": false, "": false, "correct horse\x00": false, strings.Repeat("a", 2000): false} {
		ok, err := verify(one, guess)
		require.NoError(t, err)
		require.Equal(t, want, ok, guess)
	}
	_, err = HashPassword("seven77")
	require.ErrorContains(t, err, "fewer than 8 characters; choose a longer one")
	_, err = HashPassword("密码密码密码密码")
	require.NoError(t, err, "eight characters, in any script")
	_, err = HashPassword(strings.Repeat("a", 1025))
	require.ErrorContains(t, err, "more than 1024 bytes")
}

// The reference implementation's own vector (argon2 -id, RFC 9106's author, test
// suite: m=65536, t=2, p=1).
func TestReferenceVector(t *testing.T) {
	const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, err := verify(hash, "password")
	require.NoError(t, err)
	require.True(t, ok)
}

func TestHostileHashes(t *testing.T) {
	good, err := HashPassword("correct horse")
	require.NoError(t, err)
	for name, bad := range map[string]string{
		"empty":        "",
		"plain":        "correct horse",
		"bcrypt":       "$2a$10$abcdefghijklmnopqrstuv",
		"argon2i":      strings.Replace(good, "argon2id", "argon2i", 1),
		"old version":  strings.Replace(good, "v=19", "v=16", 1),
		"4 TiB":        strings.Replace(good, "m=65536", "m=4294967295", 1),
		"2 GiB":        strings.Replace(good, "m=65536", "m=2097152", 1),
		"for ever":     strings.Replace(good, "t=3", "t=4294967295", 1),
		"no pass":      strings.Replace(good, "t=3", "t=0", 1),
		"no lane":      strings.Replace(good, "p=4", "p=0", 1),
		"lanes":        strings.Replace(good, "p=4", "p=256", 1),
		"signs":        strings.Replace(good, "t=3", "t=+3", 1),
		"leading zero": strings.Replace(good, "t=3", "t=03", 1),
		"more":         good + "$",
		"short tag":    good[:len(good)-40],
		"no salt":      "$argon2id$v=19$m=65536,t=3,p=4$$" + strings.Split(good, "$")[5],
		"padding":      good + "=",
		"newline":      strings.Replace(good, "p=4", "p=4\n", 1),
	} {
		_, err := verify(bad, "correct horse")
		require.ErrorIs(t, err, errHash, name)
	}
}

func TestAddressKey(t *testing.T) {
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7", "::ffff:192.0.2.7": "192.0.2.7", "2001:db8:1:2::9": "2001:db8:1:2::/64",
		"fe80::1%eth0": "fe80::/64", "": "", "pipe": "pipe",
	} {
		require.Equal(t, want, addressKey(ip))
	}
}

func TestThrottleForgets(t *testing.T) {
	th := newThrottle(2, time.Minute)
	at := time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)
	for i := range mostBuckets + 500 {
		th.take(strconv.Itoa(i), at)
	}
	require.Len(t, th.by, mostBuckets, "strangers cannot fill the memory")
	th.take("late", at.Add(time.Hour))
	require.Len(t, th.by, 1, "who is full again need not be remembered")

	// Time that runs backwards gives nothing.
	th.take("back", at)
	th.take("back", at)
	wait, _ := th.take("back", at.Add(-time.Hour))
	require.NotZero(t, wait)
}
