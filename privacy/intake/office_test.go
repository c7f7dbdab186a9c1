package intake_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
	"github.com/confide-go/confide/privacy/insecurekey"
	"github.com/confide-go/confide/privacy/intake"
)

type Submission struct {
	ID   string `gorm:"primaryKey;size:36"`
	Body intake.Box
}

type Customer struct {
	ID    string         `gorm:"primaryKey;size:36" privacy:"subject=customer"`
	Phone privacy.String `privacy:"mask=phone"`
}

type desk struct {
	mu    sync.Mutex
	deny  bool
	fail  bool
	asked []string
	looks []string
}

func (d *desk) MayReveal(_ context.Context, resource string, rows, fields []string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, resource+" "+rows[0]+" "+fields[0])
	if d.deny {
		return errors.New("not allowed")
	}
	return nil
}

func (d *desk) Record(_ context.Context, action string, attrs ...slog.Attr) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail {
		return errors.New("disk full")
	}
	for _, a := range attrs {
		action += " " + a.String()
	}
	d.looks = append(d.looks, action)
	return nil
}

type house struct {
	db     testdb.DB
	keys   *intake.Keys
	desk   *desk
	office *intake.Office
}

func newHouse(t *testing.T, engine string) *house {
	t.Helper()
	h := &house{db: testdb.New(t, engine), keys: newKeys(t), desk: &desk{}}
	kek, err := insecurekey.New()
	require.NoError(t, err)
	vault, err := privacy.Open(t.Context(), privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard})
	require.NoError(t, err)
	require.NoError(t, h.db.Use(vault))
	require.NoError(t, vault.Migrate(t.Context(), h.db.DB, &Customer{}))
	h.office, err = intake.NewOffice(intake.Config{Keys: h.keys, Gate: h.desk, Record: h.desk})
	require.NoError(t, err)
	for range 2 { // as at every start
		require.NoError(t, h.db.DB.AutoMigrate(&Submission{}))
		require.NoError(t, h.office.Migrate(t.Context(), h.db.DB))
	}
	return h
}

// submit is what the form's process does.
func (h *house) submit(t *testing.T, id, body string) {
	t.Helper()
	box := sealed(t, h.keys, intake.Place{Form: "contact", Tenant: "main", Submission: id}, body)
	require.NoError(t, h.db.Create(&Submission{ID: id, Body: box}).Error)
}

func (h *house) load(t *testing.T, id string) Submission {
	t.Helper()
	var s Submission
	require.NoError(t, h.db.Take(&s, "id = ?", id).Error)
	return s
}

func (h *house) accept(t *testing.T, id string, box intake.Box) error {
	return h.office.Accept(t.Context(), h.db.DB, "new contact", "contact", id, box, func(tx *gorm.DB, body []byte) error {
		return tx.Create(&Customer{ID: id, Phone: privacy.New(string(body))}).Error
	})
}

func (h *house) customers(t *testing.T) int64 {
	t.Helper()
	var n int64
	require.NoError(t, h.db.Model(&Customer{}).Count(&n).Error)
	return n
}

func everyEngine(t *testing.T, f func(t *testing.T, h *house)) {
	for _, engine := range testdb.Engines() {
		t.Run(engine, func(t *testing.T) { f(t, newHouse(t, engine)) })
	}
}

func TestSubmissionBecomesACustomerOnce(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *house) {
		h.submit(t, "a", "13800138000")
		h.submit(t, "A0", "13900139000")
		s := h.load(t, "a")
		require.Equal(t, "[sealed]", s.Body.String())
		require.NoError(t, h.accept(t, "a", s.Body))
		var c Customer
		require.NoError(t, h.db.Take(&c, "id = ?", "a").Error)
		phone, err := c.Phone.Reveal(t.Context(), "test")
		require.NoError(t, err)
		require.Equal(t, "13800138000", phone)
		require.Equal(t, []string{"contact a box"}, h.desk.asked)
		require.Equal(t, []string{"contact.accept resource=contact row=a fields=box purpose=new contact result=ok"}, h.desk.looks)

		err = h.accept(t, "a", s.Body)
		require.ErrorIs(t, err, intake.ErrAccepted)
		require.EqualError(t, err, "intake: submission was accepted before: a of form contact; delete its row")
		require.NoError(t, h.accept(t, "A0", h.load(t, "A0").Body))
		require.EqualValues(t, 2, h.customers(t))
		require.Error(t, h.db.Create(&Submission{ID: "a", Body: s.Body}).Error, "a submission id is there once")
	})
}

// Ids that only a collation holds for equal are two.
func TestSubmissionIDsAreComparedByteByByte(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *house) {
		for i, id := range []string{"x", "X", "é", "e", "x "} {
			box := sealed(t, h.keys, intake.Place{Form: "contact", Tenant: "main", Submission: id}, "1")
			err := h.office.Accept(t.Context(), h.db.DB, "p", "contact", id, box, func(tx *gorm.DB, _ []byte) error { return nil })
			require.NoError(t, err, "%d", i)
		}
	})
}

func TestAcceptIsAllOrNothing(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *house) {
		h.submit(t, "s1", "13800138000")
		box := h.load(t, "s1").Body
		none := func() { require.Zero(t, h.customers(t)) }

		h.desk.deny = true
		require.ErrorContains(t, h.accept(t, "s1", box), "intake: open s1 of form contact: not allowed")
		none()
		h.desk.deny, h.desk.fail = false, true
		require.ErrorContains(t, h.accept(t, "s1", box), "could not be recorded, so it did not happen: disk full")
		_, err := h.office.Open(t.Context(), "look", "contact", "s1", box)
		require.ErrorContains(t, err, "could not be recorded")
		none()
		h.desk.fail = false
		err = h.office.Accept(t.Context(), h.db.DB, "p", "contact", "s1", box, func(tx *gorm.DB, body []byte) error {
			require.NoError(t, tx.Create(&Customer{ID: "s1"}).Error)
			return errors.New("no such country")
		})
		require.EqualError(t, err, "no such country")
		none()
		require.NoError(t, h.accept(t, "s1", box), "what failed may be tried again")
		require.EqualValues(t, 1, h.customers(t))
	})
}

func TestRecordJoinsTheTransaction(t *testing.T) {
	h := newHouse(t, testdb.SQLite)
	type key struct{}
	seen := false
	office, err := intake.NewOffice(intake.Config{
		Keys: h.keys, Gate: h.desk,
		Record: recorderFunc(func(ctx context.Context) error { seen = ctx.Value(key{}) != nil; return errors.New("disk full") }),
		WithTx: func(ctx context.Context, tx *gorm.DB) context.Context { return context.WithValue(ctx, key{}, tx) },
	})
	require.NoError(t, err)
	h.submit(t, "s1", "1")
	err = office.Accept(t.Context(), h.db.DB, "p", "contact", "s1", h.load(t, "s1").Body, func(*gorm.DB, []byte) error {
		t.Error("content was handed out without a record")
		return nil
	})
	require.ErrorContains(t, err, "disk full")
	require.True(t, seen)
	require.NoError(t, h.accept(t, "s1", h.load(t, "s1").Body))
}

func TestConcurrentAcceptsHaveOneWinner(t *testing.T) {
	h := newHouse(t, testdb.SQLite)
	h.submit(t, "s1", "1")
	box := h.load(t, "s1").Body
	var group sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		group.Go(func() { errs[i] = h.accept(t, "s1", box) })
	}
	group.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		}
	}
	require.Equal(t, 1, won)
	require.EqualValues(t, 1, h.customers(t))
}

// Who can write the form's table swaps two submissions, or writes something else.
func TestTableCannotLie(t *testing.T) {
	everyEngine(t, func(t *testing.T, h *house) {
		h.submit(t, "s1", "13800138000")
		h.submit(t, "s2", "13900139000")
		require.NoError(t, h.db.Model(&Submission{ID: "s1"}).Update("body", h.load(t, "s2").Body).Error)
		require.ErrorIs(t, h.accept(t, "s1", h.load(t, "s1").Body), intake.ErrUnreadable)
		require.Zero(t, h.customers(t))

		// Past the type, the database itself refuses what is no box.
		for _, v := range []any{"13800138000", []byte("a customer's name and address, long enough for any length check there is"), ""} {
			require.Error(t, h.db.Model(&Submission{ID: "s2"}).Update("body", v).Error)
			require.Error(t, h.db.Exec("UPDATE submissions SET body = ? WHERE id = 's2'", v).Error)
		}
		require.NoError(t, h.accept(t, "s2", h.load(t, "s2").Body))
		require.NoError(t, h.db.Create(&Submission{ID: "s3"}).Error)
		require.True(t, h.load(t, "s3").Body.IsZero())
		require.ErrorIs(t, h.accept(t, "s3", h.load(t, "s3").Body), intake.ErrBox)
	})
}

func TestOfficeIsChecked(t *testing.T) {
	keys, d := newKeys(t), &desk{}
	for want, cfg := range map[string]intake.Config{
		"Config.Keys is missing": {Gate: d, Record: d}, "Config.Gate is missing": {Keys: keys, Record: d}, "Config.Record is missing": {Keys: keys, Gate: d},
	} {
		_, err := intake.NewOffice(cfg)
		require.ErrorContains(t, err, want)
	}
	office, err := intake.NewOffice(intake.Config{Keys: keys, Gate: d, Record: d, Tenant: func(context.Context) (string, error) { return "", nil }})
	require.NoError(t, err)
	box := sealed(t, keys, at, "x")
	_, err = office.Open(t.Context(), "p", "contact", "s1", box)
	require.ErrorContains(t, err, "Place.Tenant")
	_, err = office.Open(t.Context(), " ", "contact", "s1", box)
	require.ErrorContains(t, err, "the purpose is empty")
}

type recorderFunc func(context.Context) error

func (f recorderFunc) Record(ctx context.Context, _ string, _ ...slog.Attr) error { return f(ctx) }
