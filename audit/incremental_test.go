package audit_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/internal/testdb"
)

// grow adds what a second day brings: changes of old rows, new rows, a new tenant.
func (b *bench) grow(t *testing.T) {
	t.Helper()
	ctx := as(b.ctx, audit.Actor{ID: "u5"})
	require.NoError(t, b.WithContext(ctx).Model(&customer{ID: "main1"}).Update("owner", "u5").Error)
	require.NoError(t, b.WithContext(ctx).Create(&customer{ID: "new"}).Error)
	b.seal(t)
	require.NoError(t, b.log.Record(as(b.ctx, audit.Actor{Tenant: "later"}), "a.b"))
	require.NoError(t, b.WithContext(ctx).Model(&customer{ID: "main1"}).Update("owner", "u6").Error)
	b.seal(t)
}

// state is what the auditor keeps of a verification, as text.
func (b *bench) state(t *testing.T) *audit.Verified {
	t.Helper()
	r := b.verify(t)
	require.True(t, r.OK, "%s", r)
	text, err := r.Verified.MarshalText()
	require.NoError(t, err)
	var s audit.Verified
	require.NoError(t, s.UnmarshalText(text))
	require.Equal(t, r.Verified, s)
	return &s
}

func (b *bench) verifySince(t *testing.T, s *audit.Verified) audit.Report {
	t.Helper()
	r, err := b.log.Verify(b.ctx, audit.VerifyOptions{Since: s})
	require.NoError(t, err)
	return r
}

func TestVerifyOnlyWhatIsNew(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, func(c *audit.Config) { c.Anchor = audit.Unanchored })
		b.seed(t)
		s := b.state(t)
		b.grow(t)
		r := b.verifySince(t, s)
		require.True(t, r.OK, "%s", r)
		require.EqualValues(t, 4, r.Size, "it read more than what is new")
		require.True(t, r.Anchored, "the state is from outside the database")
		require.EqualValues(t, 3, r.AnchoredTo)
		require.Contains(t, r.String(), "only what was sealed behind checkpoint 3 was read")
		require.Equal(t, b.verify(t).Verified, r.Verified, "the next state is that of a full verification")

		var out bytes.Buffer
		require.NoError(t, b.log.ExportSince(b.ctx, &out, *s))
		offline, err := b.verifyExport(t, out.Bytes(), audit.VerifyOptions{Since: s})
		require.NoError(t, err)
		require.True(t, offline.OK, "%s", offline)
		require.Equal(t, r.Verified, offline.Verified)
		out.Reset()
		require.NoError(t, b.log.Export(b.ctx, &out))
		offline, err = b.verifyExport(t, out.Bytes(), audit.VerifyOptions{Since: s})
		require.NoError(t, err)
		require.True(t, offline.OK && offline.Size == 4, "a whole export may begin earlier: %s", offline)
		out.Reset()
		require.NoError(t, b.log.ExportSince(b.ctx, &out, *s))
		offline, err = b.verifyExport(t, out.Bytes(), audit.VerifyOptions{})
		require.NoError(t, err)
		require.False(t, offline.OK, "without the state the beginning is missing")

		r = b.verifySince(t, &r.Verified)
		require.True(t, r.OK && r.Size == 0, "%s", r)
	})
}

func TestTamperIncremental(t *testing.T) {
	grown := func(t *testing.T, db testdb.DB) *bench {
		b := setUp(t, db, func(c *audit.Config) { c.Anchor = audit.Unanchored })
		b.seed(t)
		b.since = b.state(t)
		b.grow(t)
		return b
	}
	eachAttack(t, []attack{
		{"nothing", all(), nil},
		{"edit a new entry", rewrite("main", 11, true, otherActorThan("u5")), []string{"edited main#11", "revision-gap main customer new"}},
		{"delete a new entry", remove("log_id = 'main' AND seq = 11"), []string{"deleted main#11", "revision-gap main customer new"}},
		{"delete the new tail", remove("log_id = 'main' AND seq >= 11"), []string{"truncated main#11-12", "revision-gap main customer main1", "revision-gap main customer new"}},
		{"delete an old log with its head", all(remove("log_id = 'acme'"), statement("DELETE FROM confide_audit_heads WHERE log_id = 'acme'")), []string{"head-edited acme", "log-deleted acme#0-4"}},
		{"delete a new log with its head", all(remove("log_id = 'later'"), statement("DELETE FROM confide_audit_heads WHERE log_id = 'later'")), []string{"head-edited later", "log-deleted later#0"}},
		{"rewrite the old part without the key", rechain("main", 7), []string{"head-edited main", "forked main#10", "rewritten main#10-11", "edited main#10"}},
		{"delete everything", all(remove("1 = 1"), statement("DELETE FROM confide_audit_heads"), statement("DELETE FROM confide_audit_rows")),
			[]string{"head-edited (top)", "head-edited acme", "head-edited main", "log-deleted (top)#0-2", "log-deleted acme#0-4", "log-deleted main#0-9"}},
		{"edit an old node", statement("UPDATE confide_audit_nodes SET hash = ? WHERE level = 1", make([]byte, 32)), nil},
	}, grown, func(t *testing.T, b *bench, a attack) {
		a.do(t, b)
		r := b.verifySince(t, b.since)
		if a.want == nil {
			require.True(t, r.OK, "%s", r)
			return
		}
		require.Subset(t, a.want, found(r, nil), "%s", r)
		require.Contains(t, found(r, nil), a.want[0], "%s", r)
	})
}

func otherActorThan(id string) func([]byte) []byte {
	return func(data []byte) []byte { return bytes.Replace(data, []byte(id), []byte("u9"), 1) }
}

// A change that vanished before it was sealed leaves a hole between what was
// verified before and what is new.
func TestAHoleAcrossTheVerifiedPart(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db)
		b.seed(t)
		s := b.state(t)
		ctx := as(b.ctx, audit.Actor{ID: "u3"})
		require.NoError(t, b.WithContext(ctx).Model(&customer{ID: "main1"}).Update("owner", "thief").Error)
		b.exec(t, "DELETE FROM confide_audit_pending")
		require.NoError(t, b.WithContext(ctx).Model(&customer{ID: "main1"}).Update("owner", "u3").Error)
		require.NoError(t, b.log.Record(ctx, "a.reveal", slog.String("resource", "customer"), slog.String("row", "main1")))
		b.seal(t)
		r := b.verifySince(t, s)
		require.Contains(t, r.String(), "revision-gap main customer main1: the events of changes 2 to 2 are missing")
	})
}

// Whoever forges the state cannot make the verifier skip what it did not read.
func TestAForgedStateIsRefused(t *testing.T) {
	b := setUp(t, testdb.New(t, testdb.SQLite))
	b.seed(t)
	s := b.state(t)
	_, strange := keys(t)
	for name, change := range map[string]func(s *audit.Verified){
		"no top log": func(s *audit.Verified) { s.Heads = s.Heads[1:] },
		"a size":     func(s *audit.Verified) { s.Heads[1].Size-- },
		"an edge":    func(s *audit.Verified) { s.Heads[1].Edge[0] ^= 1 },
		"a note":     func(s *audit.Verified) { s.Heads[1].Note[3] ^= 1 },
		"a tip":      func(s *audit.Verified) { s.Heads[1].Tip = nil },
		"another's":  func(s *audit.Verified) { s.Heads[1].Log = "main" },
		"twice":      func(s *audit.Verified) { s.Heads = append(s.Heads, s.Heads[1]) },
	} {
		text, err := s.MarshalText()
		require.NoError(t, err)
		var forged audit.Verified
		require.NoError(t, forged.UnmarshalText(text))
		change(&forged)
		_, err = b.log.Verify(b.ctx, audit.VerifyOptions{Since: &forged})
		require.ErrorIs(t, err, audit.ErrInvalid, name)
		require.ErrorContains(t, err, "VerifyOptions.Since", name)
	}
	b.cfg.Verifier = strange
	_, err := b.verifyExport(t, b.export(t), audit.VerifyOptions{Since: s})
	require.ErrorIs(t, err, audit.ErrInvalid)
	for _, text := range []string{"", "{}", `{"format":"confide-audit-verified/2"}`} {
		require.ErrorIs(t, new(audit.Verified).UnmarshalText([]byte(text)), audit.ErrInvalid)
	}
}
