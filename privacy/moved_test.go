package privacy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/insecurekey"
	"github.com/confide-go/confide/privacy/privacytest"
)

// hostileIDs are chosen to run together if lengths were not part of the associated data.
var hostileIDs = []string{"1", "11", "", "a", "a:b", "b", "customer:1", "customer", ":", "\x00", "\x00\x00\x00\x01a", "王", "1 ", "A"}

type spot struct{ tenant, field, row, subject string }

func randomSpot(r *rand.Rand) spot {
	pick := func() string { return hostileIDs[r.IntN(len(hostileIDs))] }
	return spot{"t" + pick(), pick(), pick(), "c:" + pick()}
}

func newStack(t testing.TB) *privacy.Stack {
	t.Helper()
	kek, err := insecurekey.New()
	require.NoError(t, err)
	return privacy.NewStack(kek, privacytest.NewMemory())
}

// Of any two ciphertexts in different places, neither opens in the place of the other.
func TestNoTwoCiphertextsSwap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	stack := newStack(t)
	boxes := map[spot][]byte{}
	for range 60 {
		at := randomSpot(r)
		box, err := stack.Seal(t.Context(), at.tenant, at.field, at.row, at.subject, []byte("the same text"))
		require.NoError(t, err)
		boxes[at] = box
	}
	require.Greater(t, len(boxes), 40)
	for from, box := range boxes {
		for to := range boxes {
			got, err := stack.Open(t.Context(), to.tenant, to.field, to.row, to.subject, box)
			if from == to {
				require.NoError(t, err)
				require.Equal(t, "the same text", string(got))
				continue
			}
			require.ErrorIs(t, err, privacy.ErrUnreadable, "from %q to %q", from, to)
			require.Nil(t, got)
		}
	}
}

// A wrapped key is bound to its tenant, person, purpose and version as well.
func TestNoTwoKeysSwap(t *testing.T) {
	kek, err := insecurekey.New()
	require.NoError(t, err)
	store := privacytest.NewMemory()
	stack := privacy.NewStack(kek, store)
	names := []privacy.KeyName{}
	for _, tenant := range []string{"a", "b"} {
		for _, subject := range []string{"c:1", "c:2"} {
			_, err := stack.Seal(t.Context(), tenant, "f", "1", subject, []byte("x"))
			require.NoError(t, err)
			names = append(names, privacy.KeyName{Tenant: tenant, Subject: subject, Purpose: "data"})
		}
		names = append(names, privacy.KeyName{Tenant: tenant, Purpose: "data"}, privacy.KeyName{Tenant: tenant, Purpose: "index"})
	}
	stored, err := store.Load(t.Context(), nil, names, false)
	require.NoError(t, err)
	require.Len(t, stored, len(names))
	swaps := 0
	for i := range stored {
		for j := range stored {
			if i == j {
				continue
			}
			swapped := privacytest.NewMemory()
			keys := append([]privacy.StoredKey(nil), stored...)
			keys[i].Wrapped = stored[j].Wrapped
			require.NoError(t, swapped.Add(t.Context(), nil, keys))
			other := privacy.NewStack(kek, swapped)
			subject := keys[i].Subject
			if subject == "" {
				subject = "c:1"
			}
			_, err := other.Seal(t.Context(), keys[i].Tenant, "f", "1", subject, []byte("x"))
			assert.Error(t, err, "%v in the place of %v", stored[j].KeyName, stored[i].KeyName)
			swaps++
		}
	}
	require.Equal(t, 56, swaps)
}

// FuzzCell feeds arbitrary stored bytes: nothing but the ciphertext that was stored there opens, and no
// error shows the bytes.
func FuzzCell(f *testing.F) {
	stack := newStack(f)
	good, err := stack.Seal(f.Context(), "main", "customer.name", "1", "customer:1", []byte("王小明"))
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add([]byte{})
	f.Add([]byte("plain text"))
	f.Add([]byte{0xC0, 0xDE})
	f.Add([]byte{0xC0, 0xDE, 2})
	f.Add(append([]byte{0xC0, 0xDE, 1}, make([]byte, 33)...))
	f.Fuzz(func(t *testing.T, box []byte) {
		got, err := stack.Open(t.Context(), "main", "customer.name", "1", "customer:1", box)
		if err == nil {
			require.Equal(t, good, box)
			require.Equal(t, "王小明", string(got))
			return
		}
		require.ErrorIs(t, err, privacy.ErrUnreadable)
		if len(box) > 8 {
			require.NotContains(t, err.Error(), string(box))
			require.NotContains(t, err.Error(), fmt.Sprintf("%x", box))
		}
	})
}

// FuzzAssociatedData: places that differ in anything have different associated data, and every encoding
// can be read back by the rule of FORMAT.md.
func FuzzAssociatedData(f *testing.F) {
	f.Add("main", "customer.name", "1", "customer:1", "main", "customer.name", "1", "customer:2")
	f.Add("a", "b", "", "", "ab", "", "", "")
	f.Add("", "\x00\x00\x00\x01a", "", "", "", "", "a", "")
	f.Fuzz(func(t *testing.T, t1, f1, r1, s1, t2, f2, r2, s2 string) {
		a, b := spot{t1, f1, r1, s1}, spot{t2, f2, r2, s2}
		x, y := privacy.CellAAD(t1, f1, r1, s1), privacy.CellAAD(t2, f2, r2, s2)
		require.Equal(t, a == b, string(x) == string(y))
		require.Equal(t, []string{"confide.cell", t1, f1, r1, s1}, decodeStrings(t, x))
	})
}

func decodeStrings(t *testing.T, b []byte) []string {
	t.Helper()
	require.Equal(t, byte(1), b[0])
	var out []string
	for b = b[1:]; len(b) > 0; {
		n := int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3])
		out = append(out, string(b[4:4+n]))
		b = b[4+n:]
	}
	return out
}
