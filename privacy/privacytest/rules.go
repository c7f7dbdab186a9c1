package privacytest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"
	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
)

// TestKEK checks the rules for a key-encryption key.
func TestKEK(t *testing.T, kek tink.AEADWithContext) {
	ctx := t.Context()
	plain, ad := []byte("a keyset of about a hundred bytes"), []byte("tenant, purpose, version")
	seal := func(t *testing.T) []byte {
		box, err := kek.EncryptWithContext(ctx, plain, ad)
		require.NoError(t, err)
		return box
	}
	t.Run("what was encrypted is decrypted", func(t *testing.T) {
		got, err := kek.DecryptWithContext(ctx, seal(t), ad)
		require.NoError(t, err)
		require.Equal(t, plain, got)
	})
	t.Run("other associated data is an error", func(t *testing.T) {
		box := seal(t)
		for _, other := range [][]byte{nil, {}, []byte("tenant, purpose, versioN"), append([]byte{0}, ad...)} {
			_, err := kek.DecryptWithContext(ctx, box, other)
			require.Error(t, err, "the KEK ignores associated data")
		}
	})
	t.Run("every changed byte is an error", func(t *testing.T) {
		box := seal(t)
		for i := range box {
			changed := append([]byte(nil), box...)
			changed[i] ^= 0x40
			_, err := kek.DecryptWithContext(ctx, changed, ad)
			require.Error(t, err, "byte %d", i)
		}
	})
	t.Run("associated data of every size is bound", func(t *testing.T) {
		for _, n := range []int{0, 1, 2048} {
			ad := bytes.Repeat([]byte{'a'}, n)
			box, err := kek.EncryptWithContext(ctx, plain, ad)
			if n == 0 && err != nil {
				continue // a KEK may insist on there being some
			}
			require.NoError(t, err, "%d bytes", n)
			got, err := kek.DecryptWithContext(ctx, box, ad)
			require.NoError(t, err, "%d bytes", n)
			require.Equal(t, plain, got)
			_, err = kek.DecryptWithContext(ctx, box, append(bytes.Clone(ad), 'a'))
			require.Error(t, err, "%d bytes and one more", n)
		}
	})
	t.Run("what is no box is an error", func(t *testing.T) {
		box := seal(t)
		for _, bad := range [][]byte{nil, {}, {0}, plain, box[:len(box)/2], box[:len(box)-1], append(bytes.Clone(box), 0), append([]byte{0}, box...)} {
			_, err := kek.DecryptWithContext(ctx, bad, ad)
			require.Error(t, err)
		}
	})
	t.Run("its errors do not show the text", func(t *testing.T) {
		_, err := kek.DecryptWithContext(ctx, seal(t), []byte("other"))
		require.Error(t, err)
		require.NotContains(t, err.Error(), string(plain))
	})
	t.Run("a context that was cancelled is an error or does no harm", func(t *testing.T) {
		box := seal(t)
		done, cancel := context.WithCancel(ctx)
		cancel()
		if got, err := kek.DecryptWithContext(done, box, ad); err == nil {
			require.Equal(t, plain, got)
		}
		if sealed, err := kek.EncryptWithContext(done, plain, ad); err == nil {
			got, err := kek.DecryptWithContext(ctx, sealed, ad)
			require.NoError(t, err)
			require.Equal(t, plain, got)
		}
		got, err := kek.DecryptWithContext(ctx, box, ad)
		require.NoError(t, err, "a cancelled call must not spoil the next one")
		require.Equal(t, plain, got)
	})
	t.Run("the same text never has the same ciphertext", func(t *testing.T) {
		require.NotEqual(t, seal(t), seal(t))
	})
	t.Run("it is safe for concurrent use", func(t *testing.T) {
		var wg sync.WaitGroup
		errs := make([]error, 16)
		for i := range errs {
			wg.Go(func() {
				box, err := kek.EncryptWithContext(ctx, plain, ad)
				if err == nil {
					_, err = kek.DecryptWithContext(ctx, box, ad)
				}
				errs[i] = err
			})
		}
		wg.Wait()
		for _, err := range errs {
			require.NoError(t, err)
		}
	})
}

// TestKeyStore checks the rules for a key store. open returns an empty store and a database handle to give
// to it.
func TestKeyStore(t *testing.T, open func(t *testing.T) (privacy.KeyStore, *gorm.DB)) {
	ctx := context.Background()
	person := privacy.KeyName{Tenant: "t", Subject: "customer:1", Purpose: "data"}
	tenant := privacy.KeyName{Tenant: "t", Purpose: "data"}
	index := privacy.KeyName{Tenant: "t", Purpose: "index"}
	at := time.UnixMilli(1700000000123).UTC()
	load := func(t *testing.T, s privacy.KeyStore, db *gorm.DB, names ...privacy.KeyName) map[privacy.KeyName]privacy.StoredKey {
		list, err := s.Load(ctx, db, names, false)
		require.NoError(t, err)
		out := map[privacy.KeyName]privacy.StoredKey{}
		for _, k := range list {
			require.NotContains(t, out, k.KeyName, "one record per name")
			out[k.KeyName] = k
		}
		return out
	}
	t.Run("what is not there is left out", func(t *testing.T) {
		s, db := open(t)
		require.Empty(t, load(t, s, db, person, tenant))
	})
	t.Run("keys come back as they were, tenants' and persons' apart", func(t *testing.T) {
		s, db := open(t)
		keys := []privacy.StoredKey{{KeyName: person, Version: 1, Wrapped: []byte{0, 1, 255}}, {KeyName: tenant, Version: 2, Wrapped: []byte("d")}, {KeyName: index, Version: 3, Wrapped: []byte("i")}}
		require.NoError(t, s.Add(ctx, db, keys))
		got := load(t, s, db, person, tenant, index)
		for _, k := range keys {
			require.Equal(t, k, got[k.KeyName])
		}
	})
	t.Run("a key that exists is never replaced", func(t *testing.T) {
		s, db := open(t)
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{{KeyName: person, Version: 1, Wrapped: []byte("first")}}))
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{{KeyName: person, Version: 1, Wrapped: []byte("second")}}))
		require.Equal(t, "first", string(load(t, s, db, person)[person].Wrapped))
	})
	t.Run("names are compared byte by byte", func(t *testing.T) {
		s, db := open(t)
		var keys []privacy.StoredKey
		for _, id := range []string{"customer:a", "customer:A", "customer:á", "customer:a ", "customer: a", `customer:"a"`, `customer:\a`, "customer:{a,b}", "customer:'a'"} {
			keys = append(keys, privacy.StoredKey{KeyName: privacy.KeyName{Tenant: "t", Subject: id, Purpose: "data"}, Version: 1, Wrapped: []byte(id)})
		}
		require.NoError(t, s.Add(ctx, db, keys))
		for _, k := range keys {
			require.Equal(t, string(k.Wrapped), string(load(t, s, db, k.KeyName)[k.KeyName].Wrapped))
		}
	})
	t.Run("an erased key is gone for good and leaves a fence", func(t *testing.T) {
		s, db := open(t)
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{{KeyName: person, Version: 1, Wrapped: []byte("key")}}))
		require.NoError(t, s.Erase(ctx, db, person, at))
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{{KeyName: person, Version: 1, Wrapped: []byte("new")}}))
		require.NoError(t, s.Erase(ctx, db, person, at.Add(time.Hour)))
		got := load(t, s, db, person)[person]
		require.Empty(t, got.Wrapped)
		require.Equal(t, at, got.Erased.UTC(), "the first erasure's time stays")
	})
	t.Run("who was never seen can be fenced", func(t *testing.T) {
		s, db := open(t)
		require.NoError(t, s.Erase(ctx, db, person, at))
		require.Equal(t, at, load(t, s, db, person)[person].Erased.UTC())
	})
	t.Run("fences are listed in order, page by page", func(t *testing.T) {
		s, db := open(t)
		want := map[privacy.KeyName]bool{}
		for i := range 7 {
			n := privacy.KeyName{Tenant: fmt.Sprintf("t%d", i%2), Subject: fmt.Sprintf("customer:%d", i), Purpose: "data"}
			want[n] = true
			require.NoError(t, s.Erase(ctx, db, n, at))
		}
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{{KeyName: person, Version: 1, Wrapped: []byte("live")}}))
		got := map[privacy.KeyName]bool{}
		for after := (privacy.KeyName{}); ; {
			page, err := s.Erased(ctx, db, after, 3)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			require.LessOrEqual(t, len(page), 3)
			for _, k := range page {
				require.False(t, got[k.KeyName], "listed twice")
				got[k.KeyName] = true
				after = k.KeyName
			}
		}
		require.Equal(t, want, got)
	})
	t.Run("many names at once", func(t *testing.T) {
		s, db := open(t)
		var keys []privacy.StoredKey
		var names []privacy.KeyName
		for i := range 2500 {
			n := privacy.KeyName{Tenant: "t", Subject: fmt.Sprintf("customer:%d", i), Purpose: "data"}
			names = append(names, n)
			keys = append(keys, privacy.StoredKey{KeyName: n, Version: 1, Wrapped: []byte("k")})
		}
		require.NoError(t, s.Add(ctx, db, keys))
		require.Len(t, load(t, s, db, names...), len(names))
	})
}
