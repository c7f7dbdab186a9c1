package audit_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// visited has three events with secrets, of p1, p2 and p3, and forgot p1; the third waits.
func visited(t *testing.T, db testdb.DB) *bench {
	b := setUp(t, db, diffed)
	require.NoError(t, b.AutoMigrate(&visit{}))
	tx := b.WithContext(b.ctx)
	require.NoError(t, tx.Create(&[]visit{{"p1", 1, "ann"}, {"p2", 1, "bob"}}).Error)
	require.NoError(t, tx.Model(&visit{Person: "p1", Day: 1}).Update("note", "cy").Error)
	b.exec(t, "CREATE TABLE saved_secrets AS SELECT * FROM confide_audit_secrets")
	b.forget(t, "person:p1")
	b.seal(t)
	require.NoError(t, tx.Create(&visit{"p3", 1, "waits"}).Error)
	return b
}

func (b *bench) forget(t *testing.T, subject string) {
	t.Helper()
	require.NoError(t, b.Transaction(func(tx *gorm.DB) error { return b.log.Forget(audit.WithTx(b.ctx, tx), subject) }))
}

const (
	secretsOf = "confide_audit_secrets WHERE subject = "
	zeros     = "UPDATE confide_audit_secrets SET secret = ?"
)

func TestTamperSecrets(t *testing.T) {
	none := make([]byte, 32)
	eachAttack(t, []attack{
		{"nothing", all(), nil},
		{"delete a secret", statement("DELETE FROM " + secretsOf + "'person:p2'"), []string{"secret-lost main#0 secret of row 1"}},
		{"delete the secret of a waiting event", statement("DELETE FROM " + secretsOf + "'person:p3'"), []string{"secret-lost main secret of the waiting event"}},
		{"delete what is left of a destroyed one", statement("DELETE FROM " + secretsOf + "'person:p1' AND event IN (SELECT event FROM confide_audit_entries WHERE seq = 1)"),
			[]string{"secret-lost main#1 secret of row 0"}},
		{"delete all secrets", statement("DELETE FROM confide_audit_secrets"),
			[]string{"secret-lost main#0 secret of row 0", "secret-lost main#1 secret of row 0", "secret-lost main secret of the waiting event"}},
		{"move a secret to another tenant", statement("UPDATE confide_audit_secrets SET log_id = 'acme' WHERE subject = 'person:p2'"), []string{"secret-lost main#0 secret of row 1"}},
		{"move a secret to another row", statement("UPDATE confide_audit_secrets SET row_no = 7 WHERE subject = 'person:p2'"), []string{"secret-lost main#0 secret of row 1"}},
		{"destroy as if the person was forgotten", statement(zeros+" WHERE subject = 'person:p2'", none), []string{"secret-lost main subject person:p2"}},
		{"destroy as if it was of the forgotten", statement(zeros+", subject = 'person:p1' WHERE subject = 'person:p2'", none), []string{"secret-lost main subject person:p1"}},
		{"put the secrets of the forgotten back", statement("UPDATE confide_audit_secrets SET secret = (SELECT s.secret FROM saved_secrets s WHERE s.event = confide_audit_secrets.event AND s.row_no = confide_audit_secrets.row_no) WHERE subject = 'person:p1'"),
			[]string{"erasure-undone main subject person:p1"}},
		{"forge an erasure", func(t *testing.T, b *bench) {
			b.forget(t, "person:p2")
			b.exec(t, "UPDATE confide_audit_pending SET mac = ?", none)
		}, []string{"pending-edited", "revision-gap", "secret-lost main subject person:p2"}},
		{"delete an erasure before it is sealed", func(t *testing.T, b *bench) {
			b.seal(t)
			b.forget(t, "person:p2")
			b.exec(t, "DELETE FROM confide_audit_pending")
		}, []string{"secret-lost main subject person:p2"}},
	}, visited, func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		r := b.verify(t)
		got := found(r, a.want)
		for i, s := range got {
			if short := "secret-lost main secret of the waiting event"; len(s) > len(short) && s[:len(short)] == short {
				got[i] = short
			}
		}
		require.Equal(t, unique(a.want), unique(got), "%s", r)
		require.Equal(t, len(a.want) == 0, r.OK)
	})
}

// Older releases deleted the secrets of the forgotten without a trace.
func TestErasuresOfAnOlderRelease(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := visited(t, db)
		b.exec(t, "DELETE FROM "+secretsOf+"'person:p2'")
		require.NoError(t, b.log.Record(b.ctx, "subject.erased", slog.String("subject", "person:p2"), slog.Int64("secrets", 1)))
		b.seal(t)
		r := b.verify(t)
		require.True(t, r.OK, "%s", r)
		b.exec(t, "DELETE FROM "+secretsOf+"'person:p3'")
		r = b.verify(t)
		require.Subset(t, found(r, nil), []string{"secret-lost main#3 secret of row 0"}, "%s", r)
		require.Contains(t, r.String(), "1 secrets of this log are gone, and no erasure says so")
	})
}

// A restored backup may hold secrets that are older or newer than its log, and is told
// again who was forgotten.
func TestSecretsOfARestoredDatabase(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := visited(t, db)
		b.seal(t)
		b.save(t)
		b.forget(t, "person:p2")
		b.seal(t)
		b.putBack(t, "1 = 1", ownTables...) // without the secrets, which are the newest there are
		b.exec(t, "DELETE FROM "+secretsOf+"'person:p3'")
		b.log = b.restart(t)
		_, err := b.log.DeclareRestore(b.ctx, "disk failed")
		require.NoError(t, err)
		r := b.verify(t)
		require.Equal(t, []string{"secret-lost main subject person:p2"}, found(r, nil), "%s", r)
		b.forget(t, "person:p2")
		b.forget(t, "person:p1")
		b.seal(t)
		r = b.verify(t)
		require.True(t, r.OK, "%s", r)
		require.Contains(t, r.String(), "a declared restore did not bring back the secrets of 1 rows")
		require.NoError(t, b.WithContext(b.ctx).Create(&visit{"p4", 1, "new"}).Error)
		b.exec(t, "DELETE FROM "+secretsOf+"'person:p4'")
		require.False(t, b.verify(t).OK, "what came after the restore is not excused")
	})
}

// An interrupting store lets something happen between two reads of a verification.
type interrupting struct {
	audit.Store
	audit.SecretStore
	audit.NodeStore
	before map[string]func()
}

func interrupt(s audit.Store, before map[string]func()) interrupting {
	return interrupting{s, s.(audit.SecretStore), s.(audit.NodeStore), before}
}

func (s interrupting) now(what string) {
	if f := s.before[what]; f != nil {
		delete(s.before, what)
		f()
	}
}

func (s interrupting) Destroyed(ctx context.Context, after audit.Secret, limit int) ([]audit.Secret, error) {
	s.now("destroyed")
	return s.SecretStore.Destroyed(ctx, after, limit)
}

func (s interrupting) Pending(ctx context.Context, after int64, limit int) ([]audit.Pending, error) {
	s.now("pending")
	return s.Store.Pending(ctx, after, limit)
}

func (s interrupting) Heads(ctx context.Context, logs ...string) ([]audit.Head, error) {
	s.now("heads")
	return s.Store.Heads(ctx, logs...)
}

func (s interrupting) Secrets(ctx context.Context, log string, events ...[]byte) ([]audit.Secret, error) {
	s.now("secrets")
	return s.SecretStore.Secrets(ctx, log, events...)
}

// What others do meanwhile is no break, at whatever moment of the verification.
func TestVerifyBesideSealAndForget(t *testing.T) {
	for _, moment := range []string{"destroyed", "pending", "heads", "secrets"} {
		for name, do := range map[string]func(t *testing.T, b *bench){
			"seal":   func(t *testing.T, b *bench) { b.seal(t) },
			"forget": func(t *testing.T, b *bench) { b.forget(t, "person:p2") },
			"forget what waits, and seal": func(t *testing.T, b *bench) {
				b.forget(t, "person:p3")
				b.seal(t)
			},
			"write": func(t *testing.T, b *bench) {
				require.NoError(t, b.WithContext(b.ctx).Create(&visit{"p9", 9, "new"}).Error)
				b.seal(t)
			},
		} {
			t.Run(name+" before "+moment, func(t *testing.T) {
				b := visited(t, testdb.New(t, testdb.SQLite))
				before := map[string]func(){}
				cfg := b.cfg
				cfg.Store = interrupt(b.cfg.Store, before)
				log, err := audit.Open(b.ctx, cfg)
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, log.Close()) })
				before[moment] = func() { do(t, b) }
				r, err := log.Verify(b.ctx, audit.VerifyOptions{})
				require.NoError(t, err)
				require.Empty(t, before, "nothing happened")
				require.True(t, r.OK, "%s", r)
				require.True(t, b.verify(t).OK)
			})
		}
	}
}
