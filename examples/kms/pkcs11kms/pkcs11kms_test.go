//go:build cgo

package pkcs11kms_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/miekg/pkcs11"
	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/tink"

	"github.com/confide-go/confide/examples/kms/internal/kmstest"
	"github.com/confide-go/confide/examples/kms/pkcs11kms"
)

const pin = "987654"

// module finds the library of Debian's package softhsm2.
func module(t *testing.T) string {
	for _, pattern := range []string{"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/*/softhsm/libsofthsm2.so"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	t.Fatal("SoftHSM is missing: apt-get install softhsm2")
	return ""
}

// newToken makes a SoftHSM token of its own with two AES keys, one that can be taken out, and two of one name.
func newToken(t *testing.T) string {
	lib := module(t)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tokens"), 0o700))
	conf := filepath.Join(dir, "softhsm2.conf")
	require.NoError(t, os.WriteFile(conf, []byte("directories.tokendir = "+filepath.Join(dir, "tokens")+"\nobjectstore.backend = file\nlog.level = ERROR\n"), 0o600))
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "crm", "--so-pin", "12345678", "--pin", pin).CombinedOutput()
	require.NoError(t, err, string(out))

	ctx := pkcs11.New(lib)
	require.NotNil(t, ctx)
	defer ctx.Destroy()
	require.NoError(t, ctx.Initialize())
	defer func() { require.NoError(t, ctx.Finalize()) }()
	slots, err := ctx.GetSlotList(true)
	require.NoError(t, err)
	s, err := ctx.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	require.NoError(t, err)
	require.NoError(t, ctx.Login(s, pkcs11.CKU_USER, pin))
	for _, k := range []struct {
		label       string
		extractable bool
	}{{"kek", false}, {"other", false}, {"loose", true}, {"twice", false}, {"twice", false}} {
		_, err := ctx.GenerateKey(s, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.label), pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, 32),
			pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
			pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, k.extractable),
		})
		require.NoError(t, err)
	}
	return lib
}

func config(lib, key string) pkcs11kms.Config {
	return pkcs11kms.Config{Module: lib, Token: "crm", Key: key, PIN: pin, Timeout: time.Minute}
}

// oneAtATime opens the module anew for each key: a process may have it once only.
type oneAtATime struct {
	lib string
	mu  sync.Mutex
	key string
	kek *pkcs11kms.KEK
}

func (o *oneAtATime) with(t *testing.T, key string) *pkcs11kms.KEK {
	if o.key == key {
		return o.kek
	}
	if o.kek != nil {
		o.kek.Close()
	}
	var err error
	o.kek, err = pkcs11kms.Open(config(o.lib, key))
	require.NoError(t, err)
	o.key = key
	return o.kek
}

type client struct {
	t     *testing.T
	house *oneAtATime
	key   string
}

func (c client) EncryptWithContext(ctx context.Context, p, ad []byte) ([]byte, error) {
	c.house.mu.Lock()
	defer c.house.mu.Unlock()
	return c.house.with(c.t, c.key).EncryptWithContext(ctx, p, ad)
}

func (c client) DecryptWithContext(ctx context.Context, p, ad []byte) ([]byte, error) {
	c.house.mu.Lock()
	defer c.house.mu.Unlock()
	return c.house.with(c.t, c.key).DecryptWithContext(ctx, p, ad)
}

func TestSoftHSM(t *testing.T) {
	house := &oneAtATime{lib: newToken(t)}
	kmstest.Run(t, kmstest.Service{Client: func(t *testing.T, other bool, _ time.Duration) tink.AEADWithContext {
		if other {
			return client{t, house, "other"}
		}
		return client{t, house, "kek"}
	}})
	house.kek.Close()
}

// The calls of many goroutines go through few sessions, without a lock around them.
func TestSessionsAreShared(t *testing.T) {
	cfg := config(newToken(t), "kek")
	cfg.Sessions = 2
	kek, err := pkcs11kms.Open(cfg)
	require.NoError(t, err)
	defer kek.Close()
	var wg sync.WaitGroup
	errs := make([]error, 64)
	for i := range errs {
		wg.Go(func() {
			ad := []byte{byte(i), 1}
			box, err := kek.EncryptWithContext(context.Background(), []byte("k"), ad)
			if err == nil {
				_, err = kek.DecryptWithContext(context.Background(), box, ad)
			}
			errs[i] = err
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	lib := newToken(t)
	change := func(f func(*pkcs11kms.Config)) error {
		cfg := config(lib, "kek")
		f(&cfg)
		kek, err := pkcs11kms.Open(cfg)
		if err == nil {
			kek.Close()
		}
		require.NotContains(t, err.Error(), pin)
		return err
	}
	require.ErrorContains(t, change(func(c *pkcs11kms.Config) { c.PIN = "" }), "all needed")
	require.ErrorContains(t, change(func(c *pkcs11kms.Config) { c.Module = "/nowhere.so" }), "cannot be loaded")
	require.ErrorContains(t, change(func(c *pkcs11kms.Config) { c.Token = "another" }), `0 tokens`)
	require.ErrorContains(t, change(func(c *pkcs11kms.Config) { c.PIN = "111111" }), "the PIN is wrong")
	require.ErrorContains(t, change(func(c *pkcs11kms.Config) { c.Key = "nobody" }), `has 0 AES keys labelled "nobody"`)
	require.ErrorContains(t, change(func(c *pkcs11kms.Config) { c.Key = "twice" }), `has 2 AES keys labelled "twice"`)
	require.ErrorContains(t, change(func(c *pkcs11kms.Config) { c.Key = "loose" }), "can be taken out of token")

	kek, err := pkcs11kms.Open(config(lib, "kek"))
	require.NoError(t, err)
	defer kek.Close()
	require.ErrorContains(t, change(func(*pkcs11kms.Config) {}), "has loaded the module already")
	_, err = kek.EncryptWithContext(t.Context(), []byte("k"), []byte("ad"))
	require.NoError(t, err, "the second Open took nothing from the first")
}
