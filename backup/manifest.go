package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

const manifestVersion = 2 // version 1 knew full snapshots only

// manifestHead is the part of a manifest that is not sealed.
type manifestHead struct {
	id    ID
	prev  chunkID // hash of the manifest before, zero for the first
	epoch uint32
}

// manifest is the sealed part. Its JSON names are part of the format.
type manifest struct {
	DataSet    string          `json:"data_set"`
	Time       time.Time       `json:"time"`
	Kind       Kind            `json:"kind,omitempty"`
	Generation ID              `json:"generation"` // the full snapshot that began it
	Schema     Schema          `json:"schema"`
	Tables     []manifestTable `json:"tables"`              // in the order of Schema.Tables
	DataKeys   []dataKeyName   `json:"data_keys,omitempty"` // what seals the chunks
	Own        dataKeyName     `json:"own,omitzero"`        // the one that this run made
	Missed     []Missed        `json:"missed,omitempty"`
}

type manifestTable struct {
	Rows   int64       `json:"rows"`
	Bytes  int64       `json:"bytes"`
	Sum    chunkID     `json:"sum"`            // rowSet of all rows
	Mark   string      `json:"mark,omitempty"` // what this run leaves in the source's change tracking
	Chunks []*chunkRef `json:"chunks,omitempty"`
}

type chunkRef struct {
	ID     chunkID `json:"id"`
	Run    ID      `json:"generation"` // whose run stored it; named so since version 1
	Rows   int64   `json:"rows"`
	Stored int64   `json:"stored"` // size of the object

	// Since version 2; an incremental run shares a chunk without reading it.
	Bytes int64   `json:"bytes,omitempty"` // of the rows
	Sum   chunkID `json:"sum,omitzero"`    // rowSet of its rows
	Last  []byte  `json:"last,omitempty"`  // cells of the primary key of its last row
	Key   int     `json:"key,omitempty"`   // in DataKeys
	Try   int     `json:"try,omitempty"`   // how many objects of this name could not be used

	dataKey dataKeyName // DataKeys[Key]
}

func (c *chunkRef) key() string { return chunkKey(c.Run, c.ID, c.Try) }

// manifestHash chains manifests: SHA-256 of the whole object.
func manifestHash(object []byte) chunkID { return sha256.Sum256(object) }

func (k *keyring) manifestBinding(version byte, head manifestHead) []byte {
	return bind(fmt.Sprintf("confide/backup/manifest/v%d", version), k.repo, number64(uint64(head.id)), head.prev[:], number32(head.epoch))
}

// sealManifest turns a manifest into a signed object.
func (c *codec) sealManifest(head manifestHead, m manifest) ([]byte, error) {
	body, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("backup: encode manifest: %w", err)
	}
	sealed, err := c.ring.aead.Encrypt(c.pack.EncodeAll(body, nil), c.ring.manifestBinding(manifestVersion, head))
	if err != nil {
		return nil, fmt.Errorf("backup: seal manifest: %w", err)
	}
	object := append([]byte{manifestVersion}, c.ring.repo...)
	object = append(object, number64(uint64(head.id))...)
	object = append(object, head.prev[:]...)
	object = append(object, number32(head.epoch)...)
	object = append(object, number32(uint32(len(sealed)))...)
	object = append(object, sealed...)
	return c.ring.sign(manifestLabel(manifestVersion), object)
}

func manifestLabel(version byte) string {
	return fmt.Sprintf("confide/backup/manifest-signature/v%d", version)
}

// openManifest checks the signature and opens a manifest.
func (c *codec) openManifest(object []byte) (manifestHead, manifest, error) {
	const fixed = 1 + 16 + 8 + 32 + 4
	version := byte(manifestVersion)
	if len(object) > 0 && object[0] == 1 {
		version = 1
	}
	signed, err := c.ring.checkSigned(manifestLabel(version), version, fixed, object)
	if err != nil {
		return manifestHead{}, manifest{}, err
	}
	head := manifestHead{
		id:    ID(binary.BigEndian.Uint64(signed[17:])),
		prev:  chunkID(signed[25:57]),
		epoch: binary.BigEndian.Uint32(signed[57:]),
	}
	sealed, _, _ := cutSized(signed[fixed:])
	packed, err := c.ring.aead.Decrypt(sealed, c.ring.manifestBinding(version, head))
	if err != nil {
		return manifestHead{}, manifest{}, errors.New("does not open: it was changed or belongs elsewhere")
	}
	body, err := c.open.DecodeAll(packed, nil)
	if err != nil {
		return manifestHead{}, manifest{}, fmt.Errorf("does not decompress: %w", err)
	}
	var m manifest
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		return manifestHead{}, manifest{}, fmt.Errorf("is not understood: %w", err)
	}
	if err := m.check(); err != nil {
		return manifestHead{}, manifest{}, err
	}
	for _, t := range m.Tables {
		for _, ref := range t.Chunks {
			if len(m.DataKeys) > 0 {
				ref.dataKey = m.DataKeys[ref.Key]
			}
		}
	}
	return head, m, nil
}

func (m manifest) check() error {
	if len(m.Tables) != len(m.Schema.Tables) {
		return fmt.Errorf("lists %d tables and describes %d", len(m.Tables), len(m.Schema.Tables))
	}
	for i, t := range m.Tables {
		var rows int64
		for _, c := range t.Chunks {
			if c == nil {
				return errors.New("has an empty chunk entry")
			}
			if len(m.DataKeys) > 0 && (c.Key < 0 || c.Key >= len(m.DataKeys) || m.DataKeys[c.Key].run != c.Run) {
				return errors.New("has a chunk without a data key")
			}
			rows += c.Rows
		}
		if rows != t.Rows {
			return fmt.Errorf("counts %d rows of table %q in chunks and %d in all", rows, m.Schema.Tables[i].Name, t.Rows)
		}
	}
	return nil
}

// sign appends a signature to an object that ends with a sized field.
func (k *keyring) sign(label string, object []byte) ([]byte, error) {
	signature, err := k.signer.Sign(bind(label, object))
	if err != nil {
		return nil, fmt.Errorf("backup: sign: %w", err)
	}
	return append(object, signature...), nil
}

// checkSigned returns the signed part of an object: a version byte, the
// repository's name, fixed bytes in all, and a sized field.
func (k *keyring) checkSigned(label string, version byte, fixed int, object []byte) ([]byte, error) {
	if len(object) < fixed {
		return nil, errors.New("is truncated")
	}
	if object[0] != version {
		return nil, fmt.Errorf("has unknown version %d", object[0])
	}
	_, signature, ok := cutSized(object[fixed:])
	if !ok {
		return nil, errors.New("is truncated")
	}
	signed := object[:len(object)-len(signature)]
	if err := k.verifier.Verify(signature, bind(label, signed)); err != nil {
		return nil, errors.New("has a wrong signature: it was changed, truncated, or is not of this repository")
	}
	if !bytes.Equal(signed[1:17], k.repo) {
		return nil, errors.New("belongs to another repository")
	}
	return signed, nil
}

// An openedManifest is a manifest with its place in the chain.
type openedManifest struct {
	manifestHead
	manifest
	hash    chunkID
	version byte
}

// readManifest reads and checks one manifest. A damaged one is ErrDamaged.
func (c *codec) readManifest(ctx context.Context, store Store, id ID) (*openedManifest, error) {
	key := manifestKey(id)
	object, err := required(ctx, store, key)
	if err != nil {
		return nil, err
	}
	head, m, err := c.openManifest(object)
	if err == nil && head.id != id {
		err = fmt.Errorf("is the manifest of snapshot %d", head.id)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s %w", ErrDamaged, key, err)
	}
	return &openedManifest{manifestHead: head, manifest: m, hash: manifestHash(object), version: object[0]}, nil
}
