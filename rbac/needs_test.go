package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// approvals is the application's book of approvals.
type approvals struct {
	mu   sync.Mutex
	all  map[string]rbac.Approval
	used map[string]bool
	fail error
}

func (b *approvals) Approval(_ context.Context, id string) (rbac.Approval, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used[id] {
		return rbac.Approval{}, b.fail
	}
	return b.all[id], b.fail
}

func (b *approvals) Use(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used[id] {
		return errors.New("it was used before")
	}
	b.used[id] = true
	return nil
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// good is an approval of mia's that ann may use to reveal 1 and 2.
func good() rbac.Approval {
	return rbac.Approval{ID: "ap", Tenant: "t1", Requester: "ann", Approver: "mia", Action: "reveal", Resource: "customer",
		RowSet: rbac.RowSet([]string{"2", "1"}), Expires: noon.Add(time.Hour)}
}

func book(list ...rbac.Approval) *approvals {
	b := &approvals{all: map[string]rbac.Approval{}, used: map[string]bool{}}
	for _, a := range list {
		b.all[a.ID] = a
	}
	return b
}

// needConfig is the CRM whose rule for sales needs something to reveal.
func needConfig(j *journal, b *approvals, needs ...string) rbac.Config {
	p := crmPolicy()
	p.Rules[0].Actions = []string{"read", "create", "update", "delete"}
	p.Rules = append(p.Rules, rbac.Rule{ID: "reveal-own", Role: "sales", Resource: "customer", Actions: []string{"reveal", "export"}, When: "row.owner_id == caller.id", Needs: needs})
	p.Fields[1] = rbac.FieldRule{Role: "sales", Resource: "customer", Field: "phone", Level: masking.Partial, Reveal: true}
	cfg := crmConfig(j)
	cfg.Policies, cfg.Env, cfg.Approvals = rbac.NewMemory(p), whatServerKnows, b
	cfg.Now = func() time.Time { return noon }
	return cfg
}

func mine() *Customer { return &Customer{ID: "1", TenantID: "t1", OwnerID: "ann"} }

// TestNeeds is the decision table: what a rule needs, what the request brings, and what is missing then.
func TestNeeds(t *testing.T) {
	strong := rbac.Env{Assurance: 2, AuthTime: noon.Add(-10 * time.Minute)}
	reason := func(ctx context.Context) context.Context { return rbac.WithReason(ctx, "ticket 7") }
	approved := func(ctx context.Context) context.Context { return rbac.WithApproval(ctx, "ap", []string{"1", "2"}) }
	in := func(e rbac.Env) func(context.Context) context.Context {
		return func(ctx context.Context) context.Context { return inEnv(ctx, e) }
	}
	type bring = []func(context.Context) context.Context
	for i, c := range []struct {
		needs  []string
		bring  bring
		action string
		want   *rbac.Required // nil: allowed
	}{
		{[]string{"reason"}, bring{reason}, "reveal", nil},
		{[]string{"reason"}, nil, "reveal", &rbac.Required{Reason: true}},
		{[]string{"reason"}, bring{func(ctx context.Context) context.Context { return rbac.WithReason(ctx, " \n") }}, "reveal", &rbac.Required{Reason: true}},
		{[]string{"step-up"}, bring{in(strong)}, "reveal", nil},
		{[]string{"step-up:2:15m"}, bring{in(strong)}, "reveal", nil},
		{[]string{"step-up:2:10m"}, bring{in(strong)}, "reveal", &rbac.Required{Assurance: 2, MaxAge: 10 * time.Minute}},
		{[]string{"step-up:3"}, bring{in(strong)}, "reveal", &rbac.Required{Assurance: 3}},
		{[]string{"step-up"}, nil, "reveal", &rbac.Required{Assurance: 2}},
		{[]string{"step-up:2:15m"}, bring{in(rbac.Env{Assurance: 2})}, "reveal", &rbac.Required{Assurance: 2, MaxAge: 15 * time.Minute}},
		{[]string{"approval"}, bring{approved}, "reveal", nil},
		{[]string{"approval:manager"}, bring{approved}, "reveal", nil},
		{[]string{"approval:it"}, bring{approved}, "reveal", &rbac.Required{Approval: true, ApprovalBy: "it"}},
		{[]string{"approval"}, bring{approved}, "export", &rbac.Required{Approval: true}},
		{[]string{"approval"}, nil, "reveal", &rbac.Required{Approval: true}},
		{[]string{"reason", "approval", "step-up:2:15m"}, bring{reason, approved, in(strong)}, "reveal", nil},
		{[]string{"reason", "approval", "step-up:2:15m"}, bring{approved, in(strong)}, "reveal", &rbac.Required{Reason: true}},
		{[]string{"reason", "approval", "step-up:2:15m"}, bring{reason, in(strong)}, "reveal", &rbac.Required{Approval: true}},
		{[]string{"reason", "approval", "step-up:2:15m"}, bring{reason, approved}, "reveal", &rbac.Required{Assurance: 2, MaxAge: 15 * time.Minute}},
	} {
		a, err := rbac.Open(t.Context(), needConfig(&journal{}, book(good()), c.needs...))
		require.NoError(t, err, i)
		ctx := as("ann")
		for _, f := range c.bring {
			ctx = f(ctx)
		}
		x, err := a.Explain(ctx, c.action, mine())
		require.NoError(t, err, i)
		require.Equal(t, c.want == nil, x.Allowed, i)
		err = a.Check(ctx, c.action, mine())
		if c.want == nil {
			require.NoError(t, err, i)
			continue
		}
		require.ErrorIs(t, err, rbac.ErrDenied, "whoever knows only ErrDenied refuses")
		var got *rbac.Required
		require.ErrorAs(t, err, &got, i)
		c.want.Action, c.want.Resource, c.want.Rule, c.want.Version = c.action, "customer", "reveal-own", 1
		require.Equal(t, *c.want, *got, i)
		require.Equal(t, c.want, x.Missing, i)
	}
}

// An approval is good for its caller, act, rows and hour, and for nothing else.
func TestApprovalIsBound(t *testing.T) {
	rows := []string{"1", "2"}
	for name, change := range map[string]func(*rbac.Approval, *[]string){
		"own":            func(a *rbac.Approval, _ *[]string) { a.Approver = "ann" },
		"nobody":         func(a *rbac.Approval, _ *[]string) { a.Approver = "" },
		"other's":        func(a *rbac.Approval, _ *[]string) { a.Requester = "bob" },
		"other tenant":   func(a *rbac.Approval, _ *[]string) { a.Tenant = "t2" },
		"other action":   func(a *rbac.Approval, _ *[]string) { a.Action = "export" },
		"other resource": func(a *rbac.Approval, _ *[]string) { a.Resource = "invoice" },
		"no resource":    func(a *rbac.Approval, _ *[]string) { a.Resource = "" },
		"other id":       func(a *rbac.Approval, _ *[]string) { a.ID = "other" },
		"expired":        func(a *rbac.Approval, _ *[]string) { a.Expires = noon },
		"without expiry": func(a *rbac.Approval, _ *[]string) { a.Expires = time.Time{} },
		"more rows":      func(_ *rbac.Approval, r *[]string) { *r = append(*r, "3") },
		"fewer rows":     func(_ *rbac.Approval, r *[]string) { *r = []string{"1"} },
		"joined rows":    func(_ *rbac.Approval, r *[]string) { *r = []string{"12"} },
		"no rows":        func(a *rbac.Approval, r *[]string) { *r = nil; a.RowSet = rbac.RowSet(nil) },
		"no hash":        func(a *rbac.Approval, _ *[]string) { a.RowSet = "" },
	} {
		ap, presented := good(), append([]string(nil), rows...)
		change(&ap, &presented)
		b := book()
		b.all["ap"] = ap
		a, err := rbac.Open(t.Context(), needConfig(&journal{}, b, "approval"))
		require.NoError(t, err)
		err = a.Check(rbac.WithApproval(as("ann"), "ap", presented), "reveal", mine())
		var missing *rbac.Required
		require.ErrorAs(t, err, &missing, name)
		require.Empty(t, b.used, name)
	}
	b := book(good())
	j := &journal{}
	a, err := rbac.Open(t.Context(), needConfig(j, b, "approval", "reason"))
	require.NoError(t, err)
	ctx := rbac.WithReason(rbac.WithApproval(as("ann"), "ap", []string{"2", "1", "1"}), "ticket 7")
	require.ErrorIs(t, a.Check(ctx, "reveal", &Customer{ID: "9", TenantID: "t1", OwnerID: "ann"}), rbac.ErrDenied, "a row that was not approved")
	require.ErrorIs(t, a.Check(ctx, "reveal", &Customer{ID: "1", TenantID: "t1", OwnerID: "bob"}), rbac.ErrDenied, "approval is no right")
	require.Empty(t, b.used, "a refusal uses nothing up")
	require.NoError(t, a.Check(ctx, "reveal", mine()))
	require.NoError(t, a.Check(ctx, "reveal", mine()), "the same request may go on")
	require.Equal(t, map[string]bool{"ap": true}, b.used)
	again := rbac.WithReason(rbac.WithApproval(as("ann"), "ap", []string{"1", "2"}), "ticket 7")
	require.ErrorIs(t, a.Check(again, "reveal", mine()), rbac.ErrDenied, "used is used")
	require.Equal(t, []string{"customer.reveal", "customer.reveal", "rbac.obligation", "customer.reveal"}, j.actions)
	require.Equal(t, map[string]string{"resource": "customer", "operation": "reveal", "rule": "reveal-own", "result": "ok", "purpose": "ticket 7",
		"approval": "ap", "approver": "mia", "row": "1"}, j.attrs[2])
	require.Equal(t, "somebody else's approval", j.attrs[3]["missing"])

	b.fail = errors.New("store is down")
	require.EqualError(t, a.Check(again, "reveal", mine()), "rbac: approval: store is down")
	require.EqualError(t, a.Check(rbac.WithApproval(as("ann"), "ap", make([]string, 5001)), "reveal", mine()), "rbac: an approval for 5001 rows was presented; at most 5000 can be approved at once")
}

// Of many requests with one approval, one gets through.
func TestApprovalIsUsedOnce(t *testing.T) {
	b := book(good())
	a, err := rbac.Open(t.Context(), needConfig(&journal{}, b, "approval"))
	require.NoError(t, err)
	var wg sync.WaitGroup
	won := make(chan bool, 16)
	for range cap(won) {
		wg.Go(func() {
			if a.Check(rbac.WithApproval(as("ann"), "ap", []string{"1", "2"}), "reveal", mine()) == nil {
				won <- true
			}
		})
	}
	shared := rbac.WithReason(as("ann"), "x")
	for range 4 {
		wg.Go(func() { _ = a.Check(shared, "reveal", mine()) })
	}
	wg.Wait()
	require.Len(t, won, 1)
}

func TestMetNeedIsRecordedOrRefused(t *testing.T) {
	j := &journal{}
	a, err := rbac.Open(t.Context(), needConfig(j, book(), "reason"))
	require.NoError(t, err)
	j.fail = errors.New("log is full")
	err = a.Check(rbac.WithReason(as("ann"), "x"), "reveal", mine())
	require.EqualError(t, err, "rbac: the reveal of customer under an obligation could not be recorded, so it is refused: log is full")
	err = a.Check(as("ann"), "reveal", mine())
	require.ErrorIs(t, err, rbac.ErrDenied)
	require.ErrorContains(t, err, "the refusal could not be recorded: log is full")
}

// Deny wins over a met need, a plain allow over an unmet one, and what is not the caller's is just denied.
func TestNeedsAmongOtherRules(t *testing.T) {
	j := &journal{}
	cfg := needConfig(j, book(good()), "reason", "approval")
	a, err := rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	ctx := rbac.WithReason(as("ann"), "x")
	var missing *rbac.Required
	for name, row := range map[string]*Customer{
		"hidden": {ID: "1", TenantID: "t1", OwnerID: "ann", Hidden: true}, "other's": {ID: "1", TenantID: "t1", OwnerID: "bob"}, "foreign": {ID: "1", TenantID: "t2", OwnerID: "ann"},
	} {
		err := a.Check(ctx, "reveal", row)
		require.ErrorIs(t, err, rbac.ErrDenied, name)
		require.False(t, errors.As(err, &missing), name)
		x, err := a.Explain(ctx, "reveal", row)
		require.NoError(t, err)
		require.Nil(t, x.Missing, name)
	}
	require.NoError(t, a.Check(ctx, "read", mine()))
	j.actions = nil
	p := crmPolicy()
	p.Rules = append(p.Rules, rbac.Rule{ID: "need", Role: "sales", Resource: "customer", Actions: []string{"reveal"}, Needs: []string{"reason", "approval"}},
		rbac.Rule{ID: "need-less", Role: "sales", Resource: "customer", Actions: []string{"reveal"}, When: "row.owner_id == 'bob'", Needs: []string{"reason"}})
	cfg.Policies = rbac.NewMemory(p)
	a, err = rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, a.Check(as("ann"), "reveal", mine()))
	require.NoError(t, a.Check(ctx, "reveal", mine()))
	require.Empty(t, j.actions, "what rests on no need is not recorded as such")
	require.ErrorAs(t, a.Check(as("ann"), "reveal", &Customer{ID: "4", TenantID: "t1", OwnerID: "bob"}), &missing)
	require.Equal(t, "need-less", missing.Rule, "the rule that asks for less")
}

func TestExplainNeeds(t *testing.T) {
	a, err := rbac.Open(t.Context(), needConfig(&journal{}, book(), "reason", "approval:manager", "step-up:2:15m"))
	require.NoError(t, err)
	x, err := a.Explain(as("ann"), "reveal", mine())
	require.NoError(t, err)
	require.Equal(t, `ann (roles: sales) may not reveal this customer: rule "reveal-own" would allow it with a reason, the approval of somebody with the role manager, a sign-in of assurance 2 less than 15m0s ago (policy version 1).`, x.English)
	require.Equal(t, `ann（角色：sales）不可以对该 customer 执行 reveal：规则“reveal-own”要求：填写理由、角色 manager 的审批、在 15m0s 内以强度 2 重新认证（策略版本 1）。`, x.Chinese)
	require.EqualError(t, a.Check(as("ann"), "reveal", mine()), `rbac: reveal of customer needs a reason, the approval of somebody with the role manager, a sign-in of assurance 2 less than 15m0s ago (rule "reveal-own", policy version 1)`)
	a, err = rbac.Open(t.Context(), needConfig(&journal{}, book(), "approval", "step-up:3"))
	require.NoError(t, err)
	x, err = a.Explain(as("ann"), "reveal", mine())
	require.NoError(t, err)
	require.Contains(t, x.English, "with somebody else's approval, a sign-in of assurance 3 (")
	require.Contains(t, x.Chinese, "要求：他人审批、以强度 3 重新认证（")
}

func TestRefusedNeeds(t *testing.T) {
	for want, needs := range map[string][]string{
		`the need "Reason" is unknown; there are "reason", "approval", "approval:<role>", "step-up", "step-up:<assurance>" and "step-up:<assurance>:<age>"`:   {"Reason"},
		`the need "reason:x" is unknown; there are "reason", "approval", "approval:<role>", "step-up", "step-up:<assurance>" and "step-up:<assurance>:<age>"`: {"reason:x"},
		`the need reason stands twice`:                                                       {"reason", "reason"},
		`the need approval stands twice`:                                                     {"approval", "approval:it"},
		`the need "approval:boss": an approval is given by a role of the policy`:             {"approval:boss"},
		`the need "approval:": an approval is given by a role of the policy`:                 {"approval:"},
		`the need "approval:*": an approval is given by a role of the policy`:                {"approval:*"},
		`the need "step-up:": write it as step-up:2 or step-up:2:15m`:                        {"step-up:"},
		`the need "step-up:0": write it as step-up:2 or step-up:2:15m`:                       {"step-up:0"},
		`the need "step-up:+2": write it as step-up:2 or step-up:2:15m`:                      {"step-up:+2"},
		`the need "step-up:2:": write it as step-up:2 or step-up:2:15m, in whole seconds`:    {"step-up:2:"},
		`the need "step-up:2:-1s": write it as step-up:2 or step-up:2:15m, in whole seconds`: {"step-up:2:-1s"},
	} {
		_, err := rbac.Open(t.Context(), needConfig(&journal{}, book(), needs...))
		require.EqualError(t, err, `rbac: policy refused: rule "reveal-own": `+want)
	}
	cfg := needConfig(&journal{}, book(), "step-up")
	cfg.Env = nil
	_, err := rbac.Open(t.Context(), cfg)
	require.EqualError(t, err, `rbac: policy refused: rule "reveal-own": the need "step-up": set Config.Env`)
	cfg = needConfig(&journal{}, nil, "approval")
	cfg.Approvals = nil
	_, err = rbac.Open(t.Context(), cfg)
	require.EqualError(t, err, `rbac: policy refused: rule "reveal-own": the need "approval": set Config.Approvals`)
	p := crmPolicy()
	p.Rules[2].Needs = []string{"reason"}
	cfg.Policies = rbac.NewMemory(p)
	_, err = rbac.Open(t.Context(), cfg)
	require.EqualError(t, err, `rbac: policy refused: rule "hidden-customers": a deny rule cannot need anything: it denies, or its condition says when`)
}

// The stored fingerprint is frozen.
func TestRowSet(t *testing.T) {
	for want, keys := range map[string][]string{
		"1:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": nil,
		"1:af5570f5a1810b7af78caf4bc70a660f0df51e42baf91d4de5b2328de0e83dfc": {""},
	} {
		require.Equal(t, want, rbac.RowSet(keys))
	}
	require.Equal(t, rbac.RowSet([]string{"a", "b"}), rbac.RowSet([]string{"b", "a", "b"}))
	seen := map[string]bool{}
	for _, keys := range [][]string{nil, {""}, {"a"}, {"b"}, {"a", "b"}, {"ab"}, {"a", "b", "ab"}, {"a,b"}, {"", "a"}} {
		seen[rbac.RowSet(keys)] = true
	}
	require.Len(t, seen, 9)
}

// Lists, counts, updates and reveals honour needs as Check does.
func TestNeedsInStatements(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		fillCRM(t, db.DB)
		j := &journal{}
		ap := good()
		ap.Action, ap.RowSet = "read", rbac.RowSet([]string{"2", "4"})
		b := book(ap)
		cfg := needConfig(j, b, "reason")
		p := crmPolicy()
		p.Rules[0].Needs = []string{"reason"}
		p.Rules = append(p.Rules, rbac.Rule{ID: "one-row", Role: "sales", Resource: "customer", Actions: []string{"read"}, When: "row.id == '1'"},
			rbac.Rule{ID: "approved", Role: "sales", Resource: "customer", Actions: []string{"read"}, Needs: []string{"approval:manager"}})
		cfg.Policies = rbac.NewMemory(p)
		a, err := rbac.Open(t.Context(), cfg)
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		ids := func(ctx context.Context) []string {
			var got []string
			require.NoError(t, db.WithContext(ctx).Model(&Customer{}).Order("id").Pluck("id", &got).Error)
			return got
		}
		require.Equal(t, []string{"1"}, ids(as("ann")))
		require.Empty(t, j.actions)
		ctx := rbac.WithReason(as("ann"), "quarterly review")
		require.Equal(t, []string{"1", "2"}, ids(ctx))
		require.Equal(t, []string{"1", "2"}, ids(ctx))
		require.Equal(t, []string{"rbac.obligation"}, j.actions, "once for each act, not for each page")
		require.Equal(t, map[string]string{"resource": "customer", "operation": "read", "rule": "own-customers", "result": "ok", "purpose": "quarterly review"}, j.attrs[0])
		approved := rbac.WithApproval(as("ann"), "ap", []string{"2", "4"})
		require.Equal(t, []string{"1", "2", "4"}, ids(approved))
		require.Equal(t, []string{"1", "2", "4"}, ids(approved))
		require.Equal(t, []string{"1"}, ids(rbac.WithApproval(as("ann"), "ap", []string{"2", "4"})), "used up")

		tx := db.WithContext(as("ann"))
		got := tx.Model(&Customer{}).Where("1 = 1").Update("name", "n")
		require.NoError(t, got.Error)
		require.Zero(t, got.RowsAffected)
		var missing *rbac.Required
		require.ErrorAs(t, tx.Omit("Owner").Create(&Customer{ID: "n", TenantID: "t1", OwnerID: "ann", Email: "n"}).Error, &missing)
		require.True(t, missing.Reason)
		j.actions = nil
		require.NoError(t, db.WithContext(rbac.WithReason(as("ann"), "x")).Omit("Owner").Create(&Customer{ID: "n", TenantID: "t1", OwnerID: "ann", Email: "n"}).Error)
		require.Equal(t, []string{"rbac.obligation"}, j.actions)
		got = db.WithContext(rbac.WithReason(as("ann"), "x")).Model(&Customer{}).Where("1 = 1").Update("name", "n")
		require.NoError(t, got.Error)
		require.EqualValues(t, 3, got.RowsAffected)
		j.fail = errors.New("log is full")
		require.EqualError(t, db.WithContext(rbac.WithReason(as("ann"), "y")).Find(&[]Customer{}).Error,
			"rbac: the read of customer under an obligation could not be recorded, so it is refused: log is full")
	})
}

func TestMayRevealHonoursNeeds(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		fillCRM(t, db.DB)
		j := &journal{}
		b := book(good())
		a, err := rbac.Open(t.Context(), needConfig(j, b, "reason", "approval", "step-up"))
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		reveal := func(ctx context.Context, rows ...string) error {
			return a.MayReveal(ctx, "customer", rows, []string{"phone"})
		}
		var missing *rbac.Required
		require.ErrorAs(t, reveal(as("ann"), "1"), &missing)
		require.Equal(t, rbac.Required{Action: "reveal", Resource: "customer", Rule: "reveal-own", Version: 1, Reason: true, Approval: true, Assurance: 2}, *missing)
		require.Equal(t, map[string]string{"resource": "customer", "result": "denied", "rule": "reveal-own", "row": "1", "missing": "a reason, somebody else's approval, a sign-in of assurance 2"}, j.attrs[0])
		require.False(t, errors.As(reveal(as("ann"), "4"), &missing), "bob's is just denied")
		require.False(t, errors.As(reveal(as("ann"), "1", "3"), &missing), "the hidden one is just denied")
		ctx := rbac.WithReason(inEnv(as("ann"), rbac.Env{Assurance: 2}), "ticket 7")
		ctx = rbac.WithApproval(ctx, "ap", []string{"1", "2"})
		require.NoError(t, a.MayReveal(as("mia"), "customer", []string{"1"}, []string{"phone"}), "a manager needs nothing")
		require.Empty(t, b.used)
		j.actions, j.attrs = nil, nil
		require.NoError(t, reveal(ctx, "1", "2"))
		require.Equal(t, []string{"rbac.obligation"}, j.actions)
		require.Equal(t, "1,2", j.attrs[0]["row"])
		require.True(t, b.used["ap"])
		fresh := rbac.WithApproval(rbac.WithReason(inEnv(as("ann"), rbac.Env{Assurance: 2}), "again"), "ap", []string{"1", "2"})
		require.ErrorAs(t, reveal(fresh, "1"), &missing)
		require.Equal(t, rbac.Required{Action: "reveal", Resource: "customer", Rule: "reveal-own", Version: 1, Approval: true}, *missing)
	})
}

// Metamorphic: adding a need never widens, meeting one never narrows, and lists equal checks throughout.
func TestNeedsAreMonotone(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) { monotone(t, db.DB) })
}

func monotone(t *testing.T, db *gorm.DB) {
	r := rand.New(rand.NewPCG(2026, 4))
	require.NoError(t, db.AutoMigrate(&Thing{}, &Loan{}))
	for i := range 40 {
		require.NoError(t, db.Table("things").Create(hostileRow(r, i)).Error)
	}
	policy := func() rbac.Policy { // without the environment, which the test changes
		for {
			if p := randomPolicy(r); !strings.Contains(describe(p), "env.") {
				return p
			}
		}
	}
	store := rbac.NewMemory(policy())
	b := book()
	authz, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: store, Record: rbac.Discard, Attrs: attrs(), Env: whatServerKnows, Approvals: b, Shares: loans(),
		Resources: []rbac.Resource{{Model: &Thing{}, Tenant: "tenant_id"}}, Now: func() time.Time { return noon }})
	require.NoError(t, err)
	require.NoError(t, db.Use(authz))
	var all []Thing
	require.NoError(t, db.WithContext(rbac.System(t.Context(), "the oracle reads every row")).Find(&all).Error)
	rounds, narrowed, widened := 40, 0, 0
	if testing.Short() {
		rounds = 8
	}
	needs := [][]string{{"reason"}, {"step-up:2:15m"}, {"approval"}, {"reason", "approval:other"}, {"reason", "step-up"}}
	for n := range rounds {
		p := policy()
		set := func(p rbac.Policy) {
			require.NoError(t, authz.Edit(t.Context(), func(old *rbac.Policy) error { *old = p; return nil }))
		}
		sees := func(ctx context.Context) []string {
			want := allowedIDs(t, authz, ctx, all)
			require.Equal(t, want, listed(t, db, ctx), "round %d\n%s", n, describe(p))
			return want
		}
		c := pick(r, thingCallers())
		ctx := inContext(c)
		set(p)
		before := sees(ctx)
		for i := range p.Rules {
			if p.Rules[i].Effect != rbac.Deny && r.IntN(4) > 0 {
				p.Rules[i].Needs = pick(r, needs)
			}
		}
		set(p)
		bare := sees(ctx)
		require.Subset(t, before, bare, "adding a need widened")
		narrowed += len(before) - len(bare)
		rows := []string{all[r.IntN(len(all))].ID, all[r.IntN(len(all))].ID, all[r.IntN(len(all))].ID}
		id := fmt.Sprint("ap", n)
		b.all[id] = rbac.Approval{ID: id, Tenant: c.Tenant, Requester: c.ID, Approver: pick(r, []string{"Zoe", "ann"}), Action: "read", Resource: "thing", RowSet: rbac.RowSet(rows), Expires: noon.Add(1e9)}
		steps := []func(context.Context) context.Context{
			func(ctx context.Context) context.Context { return rbac.WithReason(ctx, "x") },
			func(ctx context.Context) context.Context { return inEnv(ctx, rbac.Env{Assurance: 2, AuthTime: noon}) },
			func(ctx context.Context) context.Context { return rbac.WithApproval(ctx, id, rows) },
		}
		r.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
		for _, step := range steps {
			ctx = step(ctx)
			next := sees(ctx)
			require.Subset(t, next, bare, "meeting a need narrowed")
			require.Subset(t, before, next, "needs met open more than none")
			widened += len(next) - len(bare)
			bare = next
		}
	}
	require.Positive(t, narrowed, "no need ever closed a row")
	require.Positive(t, widened, "meeting a need never opened a row")
}
