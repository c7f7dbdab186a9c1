package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

const (
	idle     = 30 * time.Minute
	absolute = 12 * time.Hour
	// touch is how stale the time of the last request may become, so that not
	// every request is a write.
	touch = time.Minute

	keyLen   = 32
	tokenLen = 32
)

// A Session is one person at one browser.
type Session struct {
	UserID, Tenant, Name string
	Lang                 string    // the language the person reads; the web part fills it in
	Began                time.Time // when the person signed in
	Expires              time.Time
	CSRF                 string // goes into every form of this session
}

// session is the stored row. Times are Unix seconds: the same number on every
// database.
type session struct {
	ID      string `gorm:"primaryKey;size:64"` // HMAC of the token
	UserID  string `gorm:"size:64;index"`
	Tenant  string `gorm:"size:64"`
	Stamp   string `gorm:"size:64"` // of the password hash it was opened with
	Created int64
	Seen    int64
	Expires int64  `gorm:"index"`
	Seal    string `gorm:"size:64"` // HMAC of all of the above
}

// TableName keeps the example's tables apart from the library's.
func (session) TableName() string { return "crm_sessions" }

// begin stores a new session and returns its token.
func (d *Door) begin(ctx context.Context, acc Account) (string, error) {
	raw := make([]byte, tokenLen)
	rand.Read(raw)
	token := base64.RawURLEncoding.EncodeToString(raw)
	now := d.now()
	row := session{
		ID: d.mac("token", token), UserID: acc.ID, Tenant: acc.Tenant, Stamp: d.mac("stamp", acc.Hash),
		Created: now.Unix(), Seen: now.Unix(), Expires: now.Add(absolute).Unix(),
	}
	row.Seal = d.seal(row)
	db := d.db.WithContext(ctx)
	if err := db.Where("expires <= ?", now.Unix()).Delete(&session{}).Error; err != nil {
		return "", fmt.Errorf("signin: clear old sessions: %w", err)
	}
	if err := db.Create(&row).Error; err != nil {
		return "", fmt.Errorf("signin: store the session: %w", err)
	}
	return token, nil
}

// Session returns the session of a token, or ErrNoSession. It looks at the
// account each time: who is disabled is out with the next request.
func (d *Door) Session(ctx context.Context, token string) (Session, error) {
	row, err := d.load(ctx, token)
	if err != nil {
		return Session{}, err
	}
	now := d.now()
	if now.Unix() >= row.Expires || now.Sub(time.Unix(row.Seen, 0)) >= idle {
		return Session{}, d.end(ctx, row.ID, ErrNoSession)
	}
	acc, err := d.accounts.AccountByID(ctx, row.UserID)
	if errors.Is(err, ErrUnknown) {
		return Session{}, d.end(ctx, row.ID, ErrNoSession)
	}
	if err != nil {
		return Session{}, fmt.Errorf("signin: look up the account: %w", err)
	}
	if acc.Disabled || acc.Tenant != row.Tenant || d.mac("stamp", acc.Hash) != row.Stamp {
		return Session{}, d.end(ctx, row.ID, ErrNoSession)
	}
	if now.Sub(time.Unix(row.Seen, 0)) >= touch {
		if err := d.touch(ctx, row, now); err != nil {
			return Session{}, err
		}
	}
	return Session{
		UserID: acc.ID, Tenant: acc.Tenant, Name: acc.Name,
		Began: time.Unix(row.Created, 0), Expires: time.Unix(row.Expires, 0), CSRF: d.mac("form", token),
	}, nil
}

// SignOut ends the session of a token. A token without a session is no error:
// the person is out.
func (d *Door) SignOut(ctx context.Context, token string) error {
	row, err := d.load(ctx, token)
	if errors.Is(err, ErrNoSession) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := d.end(ctx, row.ID, nil); err != nil {
		return err
	}
	return d.note(ctx, "logout", "ok", Account{ID: row.UserID})
}

// load reads the row of a token and believes it only if the seal holds.
func (d *Door) load(ctx context.Context, token string) (session, error) {
	if len(token) != base64.RawURLEncoding.EncodedLen(tokenLen) {
		return session{}, ErrNoSession
	}
	var row session
	// Find, not Take: an old cookie is nothing that GORM should log as an error.
	found := d.db.WithContext(ctx).Where("id = ?", d.mac("token", token)).Limit(1).Find(&row)
	if found.Error != nil {
		return session{}, fmt.Errorf("signin: read the session: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return session{}, ErrNoSession
	}
	if !hmac.Equal([]byte(d.seal(row)), []byte(row.Seal)) {
		return session{}, ErrNoSession
	}
	return row, nil
}

// touch notes the request. Another request may have done so meanwhile; one of
// them is enough.
func (d *Door) touch(ctx context.Context, row session, now time.Time) error {
	was := row.Seen
	row.Seen = now.Unix()
	err := d.db.WithContext(ctx).Model(&session{}).Where("id = ? AND seen = ?", row.ID, was).
		Updates(map[string]any{"seen": row.Seen, "seal": d.seal(row)}).Error
	if err != nil {
		return fmt.Errorf("signin: note the request: %w", err)
	}
	return nil
}

// end deletes a session and returns why, unless even that fails.
func (d *Door) end(ctx context.Context, id string, why error) error {
	if err := d.db.WithContext(ctx).Where("id = ?", id).Delete(&session{}).Error; err != nil {
		return fmt.Errorf("signin: end the session: %w", err)
	}
	return why
}

// mac is HMAC-SHA-256 of the parts, each with its length before it, so that no
// two lists of parts meet. The first part names the use.
func (d *Door) mac(parts ...string) string {
	h := hmac.New(sha256.New, d.key)
	var n [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		h.Write(n[:])
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (d *Door) seal(s session) string {
	return d.mac("row", s.ID, s.UserID, s.Tenant, s.Stamp, fmt.Sprint(s.Created), fmt.Sprint(s.Seen), fmt.Sprint(s.Expires))
}
