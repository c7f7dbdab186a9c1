package privacy

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// A rotationRow is what a rotation has to remember because nothing that it changes tells it.
type rotationRow struct {
	Tenant      keyText `gorm:"primaryKey"`
	Kind        keyText `gorm:"primaryKey"`
	KeyID       int64   `gorm:"not null"` // the key that AnnouncedAt and PromotedAt are about
	AnnouncedAt int64   `gorm:"not null"` // Unix milliseconds, 0: not yet
	PromotedAt  int64   `gorm:"not null"`
	Position    []byte  // encoding of where the next run goes on, NULL: from the start
}

func (rotationRow) TableName() string { return "confide_rotations" }

func (r *rotator) now() int64 { return r.v.cfg.Now().UnixMilli() }

// after returns when something that was announced at that time has reached every process, or zero if it has.
func (r *rotator) after(at int64) time.Time {
	t := time.UnixMilli(at).Add(r.v.ring.limits.spread() + time.Millisecond)
	if r.v.cfg.Now().Before(t) {
		return t
	}
	return time.Time{}
}

func (r *rotator) load(ctx context.Context) (rotationRow, error) {
	var s rotationRow
	err := conn{r.db}.query(ctx, func(rows *sql.Rows) error {
		return rows.Scan(&s.KeyID, &s.AnnouncedAt, &s.PromotedAt, &s.Position)
	}, "SELECT key_id, announced_at, promoted_at, position FROM confide_rotations WHERE tenant = ? AND kind = ?", r.tenant, string(r.kind))
	if err != nil {
		return s, fmt.Errorf("read table confide_rotations (was Migrate called?): %w", err)
	}
	return s, nil
}

func (r *rotator) save(ctx context.Context, s rotationRow) error {
	c := conn{r.db}
	row := []any{r.tenant, string(r.kind), s.KeyID, s.AnnouncedAt, s.PromotedAt, s.Position}
	tail := " ON CONFLICT (tenant, kind) DO UPDATE SET key_id = excluded.key_id, announced_at = excluded.announced_at, promoted_at = excluded.promoted_at, position = excluded.position"
	if c.dialect() == "mysql" {
		tail = " ON DUPLICATE KEY UPDATE key_id = VALUES(key_id), announced_at = VALUES(announced_at), promoted_at = VALUES(promoted_at), position = VALUES(position)"
	}
	return r.write(ctx, "INSERT INTO confide_rotations (tenant, kind, key_id, announced_at, promoted_at, position) VALUES ?"+tail, row)
}

func (r *rotator) savePosition(ctx context.Context, position []byte) error {
	return r.write(ctx, "UPDATE confide_rotations SET position = ? WHERE tenant = ? AND kind = ?", position, r.tenant, string(r.kind))
}

func (r *rotator) drop(ctx context.Context) error {
	return r.write(ctx, "DELETE FROM confide_rotations WHERE tenant = ? AND kind = ?", r.tenant, string(r.kind))
}

func (r *rotator) write(ctx context.Context, text string, vars ...any) error {
	err := retrying(ctx, func() error {
		_, err := conn{r.db}.exec(ctx, text, vars...)
		return err
	})
	if err != nil {
		return fmt.Errorf("write table confide_rotations: %w", err)
	}
	return nil
}

// retrying calls f again if the database made it the victim of a dead-lock or of a conflict between
// transactions, which for the single statements of a job means that nothing happened.
func retrying(ctx context.Context, f func() error) error {
	for i := 0; ; i++ {
		err := f()
		if err == nil || i == 20 || ctx.Err() != nil || !transient(err) {
			return err
		}
		t := time.NewTimer(time.Duration(i+1) * 5 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
	}
}

func transient(err error) bool {
	text := err.Error()
	for _, sign := range []string{"40P01", "40001", "Error 1213", "Error 1205", "SQLITE_BUSY", "database is locked"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// kekBox returns what the KEK itself encrypted.
func kekBox(k StoredKey) []byte {
	if k.Purpose == purposeCheck {
		return k.Wrapped
	}
	e, err := keyset.NewBinaryReader(bytes.NewReader(k.Wrapped)).ReadEncrypted()
	if err != nil {
		return nil
	}
	return e.GetEncryptedKeyset()
}

// kekWrapped is the reverse of kekBox.
func kekWrapped(k StoredKey, box []byte) []byte {
	if k.Purpose == purposeCheck {
		return box
	}
	var buf bytes.Buffer
	_ = keyset.NewBinaryWriter(&buf).WriteEncrypted(&tinkpb.EncryptedKeyset{EncryptedKeyset: box}) // a buffer takes everything
	return buf.Bytes()
}
