package kmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"sync"
	"time"
)

// A Key really encrypts, for the services that are played. Its ciphertext starts with its name's length and
// name.
type Key struct {
	Name string
	aead cipher.AEAD
}

// NewKey returns a random key.
func NewKey(name string) *Key {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	return KeyFrom(name, raw)
}

// KeyFrom returns the key of 32 bytes.
func KeyFrom(name string, raw []byte) *Key {
	block, err := aes.NewCipher(raw)
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return &Key{name, aead}
}

// Seal encrypts.
func (k *Key) Seal(plain, ad []byte) []byte {
	nonce := make([]byte, k.aead.NonceSize())
	_, _ = rand.Read(nonce)
	return append(append([]byte{byte(len(k.Name))}, k.Name...), k.aead.Seal(nonce, nonce, plain, ad)...)
}

// Open decrypts.
func (k *Key) Open(box, ad []byte) ([]byte, error) {
	head := 1 + len(k.Name)
	if len(box) < head+k.aead.NonceSize() || string(box[1:head]) != k.Name || int(box[0]) != len(k.Name) {
		return nil, errors.New("another key's")
	}
	box = box[head:]
	return k.aead.Open(nil, box[:k.aead.NonceSize()], box[k.aead.NonceSize():], ad)
}

// Troubles is Faults as a state to look at.
type Troubles struct {
	mu       sync.Mutex
	down     bool
	throttle int
	hang     chan struct{}
}

// Down implements Faults.
func (f *Troubles) Down(on bool) { f.mu.Lock(); f.down = on; f.mu.Unlock() }

// Throttle implements Faults.
func (f *Troubles) Throttle(n int) { f.mu.Lock(); f.throttle = n; f.mu.Unlock() }

// Hang implements Faults.
func (f *Troubles) Hang(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case on && f.hang == nil:
		f.hang = make(chan struct{})
	case !on && f.hang != nil:
		close(f.hang)
		f.hang = nil
	}
}

// A Trouble is what befalls one request.
type Trouble int

// The troubles.
const (
	Fine Trouble = iota
	IsDown
	IsThrottled
)

// Next says what befalls a request, after hanging if it must. gone ends when the client has left.
func (f *Troubles) Next(gone <-chan struct{}) Trouble {
	f.mu.Lock()
	hang := f.hang
	f.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-gone:
		case <-time.After(time.Minute):
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return IsDown
	}
	if f.throttle > 0 {
		f.throttle--
		return IsThrottled
	}
	return Fine
}
