//go:build cgo

package pkcs11kms

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/pkcs11"
)

const (
	version      = 0x01
	ivSize       = 12
	tagBits      = 128
	maxPlaintext = 4096 // bytes; what every module takes in one call
	maxContext   = 4096 // bytes of associated data
)

// Config names the module, the token and the key.
type Config struct {
	Module string // path of the PKCS #11 library
	Token  string // label of the token
	Key    string // label of the AES key on it
	PIN    string // of the token's user; read it from a file or a secret store, never from a flag
	// Sessions is how many calls may run at a time. 0: 4.
	Sessions int
	// Timeout bounds one call, the wait for a session included. 0: 10 s.
	Timeout time.Duration
}

// KEK is a tink.AEADWithContext. It is safe for concurrent use. Close it when the program ends.
type KEK struct {
	cfg      Config
	lib      *pkcs11.Ctx
	key      pkcs11.ObjectHandle
	slot     uint
	sessions chan pkcs11.SessionHandle
}

// Open loads the library, logs in and finds the key, which must be secret, not extractable and only one.
//
// A library can be initialised once in a process: have one KEK per module, and Close it before the next.
func Open(cfg Config) (_ *KEK, err error) {
	if cfg.Module == "" || cfg.Token == "" || cfg.Key == "" || cfg.PIN == "" {
		return nil, errors.New("pkcs11kms: Module, Token, Key and PIN are all needed")
	}
	if cfg.Sessions == 0 {
		cfg.Sessions = 4
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	k := &KEK{cfg: cfg, lib: pkcs11.New(cfg.Module), sessions: make(chan pkcs11.SessionHandle, cfg.Sessions)}
	if k.lib == nil {
		return nil, fmt.Errorf("pkcs11kms: %s cannot be loaded; is the module's software installed, for this architecture?", cfg.Module)
	}
	if err := k.lib.Initialize(); err != nil {
		k.lib.Destroy()
		return nil, k.explain("initialise the module", err)
	}
	defer func() {
		if err != nil {
			k.Close()
		}
	}()
	if k.slot, err = k.findToken(); err != nil {
		return nil, err
	}
	for range cfg.Sessions {
		s, err := k.lib.OpenSession(k.slot, pkcs11.CKF_SERIAL_SESSION)
		if err != nil {
			return nil, k.explain("open a session", err)
		}
		k.sessions <- s
	}
	s := <-k.sessions
	defer func() { k.sessions <- s }()
	if err := k.lib.Login(s, pkcs11.CKU_USER, cfg.PIN); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return nil, k.explain("log in", err)
	}
	k.key, err = k.findKey(s)
	return k, err
}

// Close logs out and unloads the library. No call may be running.
func (k *KEK) Close() {
	_ = k.lib.CloseAllSessions(k.slot)
	_ = k.lib.Finalize()
	k.lib.Destroy()
}

// EncryptWithContext returns 0x01 ‖ IV (12) ‖ ciphertext and tag (16).
func (k *KEK) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if len(plaintext) > maxPlaintext {
		return nil, fmt.Errorf("pkcs11kms: encrypt: %d bytes are more than %d; it wraps keys, not data", len(plaintext), maxPlaintext)
	}
	iv := make([]byte, ivSize)
	if _, err := rand.Read(iv); err != nil {
		return nil, fmt.Errorf("pkcs11kms: encrypt: random source: %w", err)
	}
	return k.do(ctx, "encrypt", iv, associatedData, func(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, p *pkcs11.GCMParams) ([]byte, error) {
		if err := k.lib.EncryptInit(s, m, k.key); err != nil {
			return nil, err
		}
		box, err := k.lib.Encrypt(s, plaintext)
		// Some modules, CloudHSM for one, take no IV but write their own.
		return append(append([]byte{version}, p.IV()...), box...), err
	})
}

// DecryptWithContext unwraps what EncryptWithContext made with the same associated data.
func (k *KEK) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < 1+ivSize+tagBits/8 || len(ciphertext) > 1+ivSize+maxPlaintext+tagBits/8 || ciphertext[0] != version {
		return nil, errors.New("pkcs11kms: decrypt: the stored bytes are damaged or not this package's")
	}
	return k.do(ctx, "decrypt", ciphertext[1:1+ivSize], associatedData, func(s pkcs11.SessionHandle, m []*pkcs11.Mechanism, _ *pkcs11.GCMParams) ([]byte, error) {
		if err := k.lib.DecryptInit(s, m, k.key); err != nil {
			return nil, err
		}
		return k.lib.Decrypt(s, ciphertext[1+ivSize:])
	})
}

type operation func(pkcs11.SessionHandle, []*pkcs11.Mechanism, *pkcs11.GCMParams) ([]byte, error)

// do runs op in a session of its own. A call into the module cannot be cancelled: when ctx ends first, do
// returns and the session comes back when the module has answered. There are no retries: a module that
// fails will fail again.
func (k *KEK) do(ctx context.Context, what string, iv, associatedData []byte, op operation) ([]byte, error) {
	if n := len(associatedData); n == 0 || n > maxContext {
		return nil, fmt.Errorf("pkcs11kms: %s: %d bytes of associated data; there must be 1 to %d", what, n, maxContext)
	}
	ctx, cancel := context.WithTimeout(ctx, k.cfg.Timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, k.explain(what, err)
	}
	var session pkcs11.SessionHandle
	select {
	case session = <-k.sessions:
	case <-ctx.Done():
		return nil, k.explain(what+": wait for a session", ctx.Err())
	}
	type result struct {
		out []byte
		err error
	}
	done := make(chan result, 1)
	go func() {
		params := pkcs11.NewGCMParams(iv, associatedData, tagBits)
		out, err := op(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_GCM, params)}, params)
		params.Free()
		k.sessions <- session
		done <- result{out, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, k.explain(what, r.err)
		}
		return r.out, nil
	case <-ctx.Done():
		return nil, k.explain(what, ctx.Err())
	}
}

func (k *KEK) findToken() (uint, error) {
	slots, err := k.lib.GetSlotList(true)
	if err != nil {
		return 0, k.explain("list the tokens", err)
	}
	var found []uint
	for _, slot := range slots {
		// Labels are padded with blanks.
		if info, err := k.lib.GetTokenInfo(slot); err == nil && strings.TrimRight(info.Label, " \x00") == k.cfg.Token {
			found = append(found, slot)
		}
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("pkcs11kms: %d tokens of %s are labelled %q; there must be one", len(found), k.cfg.Module, k.cfg.Token)
	}
	return found[0], nil
}

func (k *KEK) findKey(s pkcs11.SessionHandle) (pkcs11.ObjectHandle, error) {
	if err := k.lib.FindObjectsInit(s, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY),
		pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, k.cfg.Key),
	}); err != nil {
		return 0, k.explain("find the key", err)
	}
	found, _, err := k.lib.FindObjects(s, 2)
	if err := errors.Join(err, k.lib.FindObjectsFinal(s)); err != nil {
		return 0, k.explain("find the key", err)
	}
	if len(found) != 1 {
		return 0, fmt.Errorf("pkcs11kms: token %q has %d AES keys labelled %q; there must be one", k.cfg.Token, len(found), k.cfg.Key)
	}
	values, err := k.lib.GetAttributeValue(s, found[0], []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, nil), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, nil),
	})
	if err != nil {
		return 0, k.explain("look at the key", err)
	}
	if sensitive, extractable := isTrue(values[0]), isTrue(values[1]); !sensitive || extractable {
		return 0, fmt.Errorf("pkcs11kms: key %q can be taken out of token %q; make one with CKA_SENSITIVE true and CKA_EXTRACTABLE false", k.cfg.Key, k.cfg.Token)
	}
	return found[0], nil
}

func isTrue(a *pkcs11.Attribute) bool { return len(a.Value) == 1 && a.Value[0] != 0 }

func (k *KEK) explain(what string, err error) error {
	remedy := "look at the module's log"
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		remedy = "the module did not answer in time"
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_PIN_INCORRECT)), errors.Is(err, pkcs11.Error(pkcs11.CKR_PIN_LEN_RANGE)):
		remedy = "the PIN is wrong; each attempt counts towards locking the token"
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_PIN_LOCKED)):
		remedy = "the PIN is locked; the security officer must set a new one"
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)):
		remedy = "this process has loaded the module already; share that KEK"
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_MECHANISM_INVALID)):
		remedy = "the module knows no AES-GCM"
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_ENCRYPTED_DATA_INVALID)), errors.Is(err, pkcs11.Error(pkcs11.CKR_GENERAL_ERROR)) && what == "decrypt":
		remedy = "it was made under another key or with other associated data, or was damaged"
	case errors.Is(err, pkcs11.Error(pkcs11.CKR_SESSION_HANDLE_INVALID)), errors.Is(err, pkcs11.Error(pkcs11.CKR_DEVICE_REMOVED)), errors.Is(err, pkcs11.Error(pkcs11.CKR_TOKEN_NOT_PRESENT)):
		remedy = "the token is gone; connect it and restart the program"
	}
	return fmt.Errorf("pkcs11kms: %s (token %q, key %q): %s: %w", what, k.cfg.Token, k.cfg.Key, remedy, err)
}
