package privacy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// forgetful has everything that was forgotten, and what only looks so.
type forgetful struct {
	ID            string         `gorm:"primaryKey;size:36"`
	Email         privacy.String `privacy:"mask=email"`
	EmailIndex    privacy.Index  `privacy:"of=Email,norm=email"`
	EmailVerified bool
	HasPhone      bool `gorm:"column:phone_flag"`
	Mobile        string
	Contact       string     `json:"phoneNumber"`
	Renamed       string     `gorm:"column:id_card"`
	Birthday      *time.Time `gorm:"column:bday"`
	Login         string     `gorm:"column:login_email" privacy:"open=the login of staff"`
	Shown         string     `gorm:"-" json:"phone"`
	Note          string
}

// plainForgetful has no sealed field at all.
type plainForgetful struct {
	ID       string `gorm:"primaryKey;size:36"`
	Passport string
	Password string `privacy:"open=argon2id hash"`
}

func TestMustCoverFindsWhatNobodySealed(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := openHouse(t, db, newKEK(t), func(c *privacy.Config) {
			c.Open = map[string]string{"Others.tel": "of companies"}
		})
		require.NoError(t, h.vault.MustCover(h.ctx, h.db.DB))

		// A table that nobody declared.
		quote := "`"
		if db.Engine == testdb.Postgres {
			quote = `"`
		}
		pool, err := h.db.DB.DB()
		require.NoError(t, err)
		_, err = pool.Exec("CREATE TABLE others (id varchar(36), tel varchar(36), phone bigint, " + quote + "身份证" + quote + " varchar(40), verified_email boolean, note text)")
		require.NoError(t, err)
		err = h.vault.MustCover(h.ctx, h.db.DB)
		require.ErrorIs(t, err, privacy.ErrRefused)
		var refusal *privacy.Refusal
		require.ErrorAs(t, err, &refusal)
		require.Equal(t, "others.phone (phone), others.身份证 (id)", refusal.Field)
		require.ErrorContains(t, err, `privacy:"open=reason"`)

		require.NoError(t, h.vault.Migrate(h.ctx, h.db.DB, &forgetful{}, &plainForgetful{}))
		_, err = pool.Exec("DROP TABLE others")
		require.NoError(t, err)
		require.ErrorAs(t, h.vault.MustCover(h.ctx, h.db.DB), &refusal)
		require.Equal(t, "forgetfuls.bday (birthdate), forgetfuls.contact (phone), forgetfuls.id_card (id), forgetfuls.mobile (phone), plain_forgetfuls.passport (passport)", refusal.Field)

		// A column that was left behind when its field was sealed.
		_, err = pool.Exec("ALTER TABLE customers ADD old_phone varchar(20)")
		require.NoError(t, err)
		require.ErrorContains(t, h.vault.MustCover(h.ctx, h.db.DB), "customers.old_phone (phone)")
	})
}

func TestOpenNeedsAReason(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	type silent struct {
		ID    string `gorm:"primaryKey"`
		Phone string `privacy:"open"`
	}
	require.ErrorContains(t, h.vault.Migrate(h.ctx, h.db.DB, &silent{}), "without a reason")
	type contradictory struct {
		ID    string         `gorm:"primaryKey"`
		Phone privacy.String `privacy:"open=why"`
	}
	require.ErrorIs(t, h.vault.Migrate(h.ctx, h.db.DB, &contradictory{}), privacy.ErrRefused)
	for _, open := range []map[string]string{{"a.b": " "}, {"a": "reason"}} {
		_, err := privacy.Open(h.ctx, privacy.Config{KEK: newKEK(t), Gate: privacy.AllowAll, Record: privacy.Discard, Open: open})
		require.ErrorContains(t, err, "Config.Open")
	}
	unused, err := privacy.Open(h.ctx, privacy.Config{KEK: newKEK(t), Gate: privacy.AllowAll, Record: privacy.Discard})
	require.NoError(t, err)
	require.ErrorContains(t, unused.MustCover(h.ctx, h.db.DB), "db.Use")
}
