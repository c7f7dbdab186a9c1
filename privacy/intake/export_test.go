package intake

import (
	"github.com/tink-crypto/tink-go/v2/hybrid/hpke"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"
)

// For the tests of the stored formats.

const Overhead = overhead

// KeysFrom makes keys of one raw private key.
func KeysFrom(id uint32, raw []byte) (*Keys, error) {
	params, err := parameters()
	if err != nil {
		return nil, err
	}
	key, err := hpke.NewPrivateKey(secretdata.NewBytesFromData(raw, insecuresecretdataaccess.Token{}), id, params)
	if err != nil {
		return nil, err
	}
	m := keyset.NewManager()
	if _, err := m.AddKey(key); err != nil {
		return nil, err
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, err
	}
	return fromManager(m)
}

// Raw is the newest private key.
func (k *Keys) Raw() []byte {
	primary, err := k.handle.Primary()
	if err != nil {
		return nil
	}
	return primary.Key().(*hpke.PrivateKey).PrivateKeyBytes().Data(insecuresecretdataaccess.Token{})
}

func (k *Keys) OpenAt(at Place, b Box) ([]byte, error) { return k.open(at, b) }

func (p Place) Info(keyID string) []byte { return p.info(keyID) }
