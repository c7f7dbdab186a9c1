package privacytest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/privacy"
)

// TestKeyRotator checks the rules for a key store whose keys can be rotated. open returns an empty store and a
// database handle to give to it.
func TestKeyRotator(t *testing.T, open func(t *testing.T) (privacy.KeyRotator, *gorm.DB)) {
	ctx := context.Background()
	at := time.UnixMilli(1700000000123).UTC()
	person := privacy.StoredKey{KeyName: privacy.KeyName{Tenant: "t", Subject: "customer:1", Purpose: "data"}, Version: 1, Wrapped: []byte("old")}
	tenant := privacy.StoredKey{KeyName: privacy.KeyName{Tenant: "t", Purpose: "data"}, Version: 1, Wrapped: []byte("old")}
	wrapped := func(t *testing.T, s privacy.KeyStore, db *gorm.DB, name privacy.KeyName) string {
		list, err := s.Load(ctx, db, []privacy.KeyName{name}, false)
		require.NoError(t, err)
		require.Len(t, list, 1)
		return string(list[0].Wrapped)
	}
	t.Run("a key is replaced only where it is the one that was read", func(t *testing.T) {
		s, db := open(t)
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{person, tenant}))
		for _, k := range []privacy.StoredKey{person, tenant} {
			other := k
			other.Wrapped = []byte("another")
			ok, err := s.Replace(ctx, db, other, []byte("new"))
			require.NoError(t, err)
			require.False(t, ok)
			require.Equal(t, "old", wrapped(t, s, db, k.KeyName))
			ok, err = s.Replace(ctx, db, k, []byte("new"))
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "new", wrapped(t, s, db, k.KeyName))
		}
	})
	t.Run("what is not there is not replaced", func(t *testing.T) {
		s, db := open(t)
		ok, err := s.Replace(ctx, db, person, []byte("new"))
		require.NoError(t, err)
		require.False(t, ok)
		list, err := s.Load(ctx, db, []privacy.KeyName{person.KeyName}, false)
		require.NoError(t, err)
		require.Empty(t, list)
	})
	t.Run("a fence is never replaced", func(t *testing.T) {
		s, db := open(t)
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{person}))
		require.NoError(t, s.Erase(ctx, db, person.KeyName, at))
		for _, old := range [][]byte{person.Wrapped, nil, {}} {
			k := person
			k.Wrapped = old
			ok, err := s.Replace(ctx, db, k, []byte("back from the dead"))
			require.NoError(t, err)
			require.False(t, ok)
			require.Empty(t, wrapped(t, s, db, person.KeyName))
		}
	})
	t.Run("persons are listed in order, page by page, without fences and other tenants", func(t *testing.T) {
		s, db := open(t)
		var want []string
		for i := range 7 {
			k := person
			k.Subject = fmt.Sprintf("customer:%d", i)
			other := k
			other.Tenant = "u"
			require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{k, other}))
			want = append(want, k.Subject)
		}
		require.NoError(t, s.Erase(ctx, db, privacy.KeyName{Tenant: "t", Subject: "customer:3", Purpose: "data"}, at))
		want = append(want[:3], want[4:]...)
		var got []string
		for after := (privacy.KeyName{Tenant: "t"}); ; {
			page, err := s.Persons(ctx, db, after, 2)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			require.LessOrEqual(t, len(page), 2)
			for _, k := range page {
				require.Equal(t, "t", k.Tenant)
				require.Equal(t, "old", string(k.Wrapped))
				got = append(got, k.Subject)
				after = k.KeyName
			}
		}
		require.Equal(t, want, got)
	})
	t.Run("tenants are listed in order, page by page", func(t *testing.T) {
		s, db := open(t)
		for _, name := range []string{"b", "a", "c"} {
			k := tenant
			k.Tenant = name
			require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{k, {KeyName: privacy.KeyName{Tenant: name, Purpose: "index"}, Version: 1, Wrapped: []byte("i")}}))
		}
		first, err := s.Tenants(ctx, db, "", 2)
		require.NoError(t, err)
		require.Equal(t, []string{"a", "b"}, first)
		rest, err := s.Tenants(ctx, db, "b", 2)
		require.NoError(t, err)
		require.Equal(t, []string{"c"}, rest)
	})
	t.Run("of several that replace the same key one succeeds", func(t *testing.T) {
		s, db := open(t)
		require.NoError(t, s.Add(ctx, db, []privacy.StoredKey{person}))
		won, errs := make([]bool, 8), make([]error, 8)
		var wg sync.WaitGroup
		for i := range won {
			wg.Go(func() { won[i], errs[i] = s.Replace(ctx, db, person, []byte(fmt.Sprint("new ", i))) })
		}
		wg.Wait()
		n := 0
		for i := range won {
			require.NoError(t, errs[i])
			if won[i] {
				n++
				require.Equal(t, fmt.Sprint("new ", i), wrapped(t, s, db, person.KeyName))
			}
		}
		require.Equal(t, 1, n)
	})
}
