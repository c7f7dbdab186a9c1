package rbac_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// secretText stands for a sealed text, as privacy.String is one.
type secretText string

func (secretText) MaskAt(l masking.Level) string { return "sealed@" + l.String() }

func (secretText) Reveal(context.Context, string) (string, error) { return "", nil }

// secretDate stands for a sealed value that is no text.
type secretDate string

func (secretDate) MaskAt(l masking.Level) string { return "sealed@" + l.String() }

func (secretDate) Reveal(context.Context, string) (int64, error) { return 0, nil }

// Member has sealed fields with indexes of every kind.
type Member struct {
	ID        string     `gorm:"primaryKey;size:36"`
	TenantID  string     `gorm:"size:36;not null"`
	Owner     string     `gorm:"size:64"`
	Phone     secretText `gorm:"size:64"`
	PhoneHash []byte     `gorm:"size:64;index" privacy:"of=Phone,norm=phone"`
	Mail      secretText `gorm:"size:64"`
	MailHash  []byte     `gorm:"size:64" privacy:"of=Mail,norm=email"`
	Last      secretText `gorm:"size:64"`
	LastHash  []byte     `gorm:"size:64" privacy:"of=Last,norm=phone,match=last4"`
	Few       secretText `gorm:"size:64"`
	FewHash   []byte     `gorm:"size:64" privacy:"of=Few,norm=phone,bits=12"`
	Worded    secretText `gorm:"size:64"`
	WordHash  string     `gorm:"size:64" privacy:"of=Worded,norm=exact"`
	Born      secretDate `gorm:"size:64"`
	BornHash  []byte     `gorm:"size:64" privacy:"of=Born,norm=exact"`
	Alone     secretText `gorm:"size:64"`
}

// toyIndex is an Indexer with keys of tenants and of times. A text finds itself without its case.
type toyIndex struct {
	keys  []string // in use
	fail  error
	asked []string
	pools []gorm.ConnPool
}

func toyCell(tenant, key, column, value string) []byte {
	sum := sha256.Sum256([]byte(strings.Join([]string{tenant, key, column, strings.ToLower(value)}, "\x00")))
	return sum[:16]
}

func (x *toyIndex) BlindIndex(ctx context.Context, db *gorm.DB, model any, index, value string) ([][]byte, error) {
	x.asked, x.pools = append(x.asked, index), append(x.pools, db.Statement.ConnPool)
	if x.fail != nil {
		return nil, x.fail
	}
	who, _ := whoAsks(ctx)
	var cells [][]byte
	for _, key := range x.keys {
		cells = append(cells, toyCell(who.Tenant, key, index, value))
	}
	return cells, nil
}

func memberConfig(index rbac.Indexer) rbac.Config {
	return rbac.Config{Caller: whoAsks, Record: rbac.Discard, Policies: rbac.NewMemory(rbac.Policy{}), Index: index,
		Resources: []rbac.Resource{{Model: &Member{}, Tenant: "tenant_id"}},
		Attrs:     map[string]any{"phone": "", "phones": []string(nil), "level": int64(0), "zone": ""}}
}

func memberRules(rules ...rbac.Rule) rbac.Policy {
	p := rbac.Policy{Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "member", Field: "*", Level: masking.Full}}}
	for _, r := range rules {
		r.Role, r.Resource, r.Actions = rbac.Everyone, "member", []string{"read", "create", "update", "delete"}
		p.Rules = append(p.Rules, r)
	}
	return p
}

const secretValue = "13800138000"

// TestRefusedSealedConditions pins what cannot be asked of a sealed column; no text repeats a value.
func TestRefusedSealedConditions(t *testing.T) {
	a, err := rbac.Open(t.Context(), memberConfig(&toyIndex{}))
	require.NoError(t, err)
	const equal = "row.phone is sealed: its blind index answers == and in only, and not below ! or in !=, where a row without an index would count as another value"
	const literal = "row.phone is sealed: compare it with an attribute of the caller; a literal would keep a personal value readable in the policy, its history and its explanations"
	const never = "is sealed: the database cannot compare it, so no condition may read it"
	for when, want := range map[string]string{
		`row.phone == "13800138000"`:                                  literal,
		`"13800138000" == row.phone`:                                  literal,
		`row.phone != "13800138000"`:                                  literal,
		`row.phone < "13800138000"`:                                   literal,
		`row.phone in ["13800138000"]`:                                literal,
		`row.phone in [caller.phone, "13800138000"]`:                  literal,
		`row.phone in ["13800138000", 1]`:                             literal,
		`(row.phone == "13800138000") == true`:                        literal,
		`row.owner == "x" && (true || !(row.phone == "13800138000"))`: literal,
		`within(row.phone, "13800138000")`:                            literal,
		`row.phone == timestamp("13800138000")`:                       literal,
		`row.phone == "13800138000`:                                   "it cannot be parsed; what stands there is not repeated, for it may be a value of a sealed column",
		`row.phone.startsWith("13800138000")`:                         "startsWith() is not allowed: no database matches text exactly as Go does; compare with == or in",
		`row.phone.contains("13800138000")`:                           "contains() is not allowed: no database matches text exactly as Go does; compare with == or in",
		`row.phone.matches("13800138000")`:                            "matches() is not allowed: no database matches text exactly as Go does; compare with == or in",
		`row.phone + "13800138000" == caller.phone`:                   "arithmetic is not allowed, except now plus or minus a duration: each database rounds and overflows in its own way",
		`row.phone != caller.phone`:                                   equal,
		`!(row.phone == caller.phone)`:                                equal,
		`!(row.owner == "x" || row.phone in caller.phones)`:           equal,
		`row.phone < caller.phone`:                                    equal,
		`row.phone <= caller.phone`:                                   equal,
		`caller.phone > row.phone`:                                    equal,
		`row.phone >= row.mail`:                                       equal,
		`row.phone == null`:                                           equal,
		`null != row.phone`:                                           equal,
		`within(row.phone, caller.phone)`:                             equal,
		`within(row.owner, row.phone)`:                                equal,
		`row.phone == row.mail`:                                       "row.phone is sealed: it cannot be compared with another column, whose index is made with another key or none",
		`row.owner == row.phone`:                                      "row.phone is sealed: it cannot be compared with another column, whose index is made with another key or none",
		`row.phone == caller.level`:                                   "at column 11: found no matching overload for '_==_' applied to '(wrapper(string), int)'",
		`row.phone`:                                                   "the condition is a wrapper(string); it must be true or false",
		`caller.phone in [row.phone]`:                                 `caller.phone in [row.phone]: an item of the list is not a string that is known without the row`,
		`row.phone in [row.mail]`:                                     `row.phone in [row.mail]: an item of the list is not a sealed string that is known without the row`,
		`row.phone_hash == caller.phone`:                              "row.phone_hash is a blind index: compare row.phone, which it belongs to",
		`row.last == caller.phone`:                                    "row.last " + never,
		`row.few == caller.phone`:                                     "row.few " + never,
		`row.worded == caller.phone`:                                  "row.worded " + never,
		`row.born == caller.phone`:                                    "row.born " + never,
		`row.alone == caller.phone`:                                   "row.alone " + never,
	} {
		err := a.Validate(memberRules(rbac.Rule{ID: "r", When: when}))
		require.ErrorIs(t, err, rbac.ErrPolicy, when)
		require.EqualError(t, err, `rbac: policy refused: rule "r": condition: `+want, when)
		require.NotContains(t, err.Error(), secretValue)
	}
	for _, when := range []string{`row.phone == caller.phone`, `caller.id == row.phone`, `row.phone in caller.phones`, `row.phone in [caller.phone, caller.id]`,
		`row.owner == "x" || row.mail == caller.phone && !(row.owner == "y")`, `row.phone in caller.roles`, `row.phone in []`, `!!(row.phone == caller.phone)`} {
		require.NoError(t, a.Validate(memberRules(rbac.Rule{ID: "r", When: when})), when)
	}
	without, err := rbac.Open(t.Context(), memberConfig(nil))
	require.NoError(t, err)
	require.EqualError(t, without.Validate(memberRules(rbac.Rule{ID: "r", When: "row.phone == caller.phone"})),
		`rbac: policy refused: rule "r": condition: row.phone is sealed: set Config.Index to the vault, which knows its blind index`)
}

// phoneCaller is somebody of a tenant, perhaps with telephone numbers.
func phoneCaller(tenant string, attrs map[string]any) context.Context {
	return inContext(rbac.Caller{ID: "ann", Tenant: tenant, Attrs: attrs})
}

// TestSealedRule: lists, Check and View agree on rows found by a sealed column; what is not known denies.
func TestSealedRule(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Member{}))
		row := func(id, tenant, key, phone string) Member {
			return Member{ID: id, TenantID: tenant, PhoneHash: toyCell(tenant, key, "phone_hash", phone)}
		}
		rows := []Member{row("old", "t1", "k1", "A"), row("new", "t1", "k2", "A"), row("other", "t1", "k2", "B"), row("foreign", "t2", "k2", "A"), row("empty", "t1", "k2", ""),
			row("blank", "t1", "k2", " "), row("retired", "t1", "k0", "A"), {ID: "erased", TenantID: "t1"}}
		require.NoError(t, db.Create(&rows).Error)
		// Somebody copied a row, index and all, into another tenant.
		require.NoError(t, db.Create(&Member{ID: "copied", TenantID: "t1", PhoneHash: toyCell("t2", "k2", "phone_hash", "A")}).Error)
		index := &toyIndex{keys: []string{"k1", "k2"}}
		a, err := rbac.Open(t.Context(), memberConfig(index))
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		var all []Member
		require.NoError(t, db.WithContext(systemContext(t)).Order("id").Find(&all).Error)
		use := func(rules ...rbac.Rule) {
			require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error { *p = memberRules(rules...); return nil }))
		}
		find := func(ctx context.Context) []string {
			ids, checked, viewed := []string{}, []string{}, []string{}
			require.NoError(t, db.WithContext(ctx).Model(&Member{}).Order("id").Pluck("id", &ids).Error)
			views, err := a.View(ctx, all)
			require.NoError(t, err)
			for i := range all {
				switch err := a.Check(ctx, "read", &all[i]); {
				case err == nil:
					checked = append(checked, all[i].ID)
				default:
					require.ErrorIs(t, err, rbac.ErrDenied)
					require.NotContains(t, err.Error(), "A")
				}
				if views[i].Can("read") {
					viewed = append(viewed, all[i].ID)
				}
			}
			require.Equal(t, ids, checked)
			require.Equal(t, ids, viewed)
			return ids
		}
		phone := func(v any) context.Context { return phoneCaller("t1", map[string]any{"phone": v}) }
		phones := func(v ...string) context.Context { return phoneCaller("t1", map[string]any{"phones": v}) }

		use(rbac.Rule{ID: "own", When: "row.phone == caller.phone"})
		require.Equal(t, []string{"new", "old"}, find(phone("A")), "under both keys of a rotation")
		require.Equal(t, []string{"new", "old"}, find(phone("a")), "the index says which spellings are the same")
		require.Equal(t, []string{"other"}, find(phone("B")))
		require.Empty(t, find(phone("C")))
		require.Empty(t, find(phone("")), "an empty attribute finds no empty value")
		require.Empty(t, find(phone(" ")))
		require.Empty(t, find(phone(nil)))
		require.Empty(t, find(phoneCaller("t1", nil)))
		require.Equal(t, []string{"foreign"}, find(phoneCaller("t2", map[string]any{"phone": "A"})))

		use(rbac.Rule{ID: "own", When: "row.phone in caller.phones"})
		require.Equal(t, []string{"new", "old", "other"}, find(phones("A", "", "B")))
		require.Empty(t, find(phones()))
		require.Empty(t, find(phones("")))
		use(rbac.Rule{ID: "own", When: "row.phone in [caller.phone, caller.id] || row.owner == 'x'"})
		require.Equal(t, []string{"other"}, find(phone("B")))

		// A deny rule forbids what is equal, and what is not known.
		use(rbac.Rule{ID: "all", When: ""}, rbac.Rule{ID: "not own", Effect: rbac.Deny, When: "row.phone == caller.phone"})
		require.Equal(t, []string{"blank", "copied", "empty", "new", "old", "retired"}, find(phone("B")), "the erased person's index is NULL, so nobody knows")
		require.Empty(t, find(phone("")))
		require.Empty(t, find(phoneCaller("t1", nil)))
		use(rbac.Rule{ID: "all", When: ""}, rbac.Rule{ID: "not own", Effect: rbac.Deny, When: "row.phone in caller.phones"})
		require.Equal(t, []string{"blank", "copied", "empty", "new", "old", "retired"}, find(phones("B")))
		require.Empty(t, find(phones("B", "")))
		require.Len(t, find(phones()), 8, "in an empty list is nobody")

		index.keys = nil
		require.Empty(t, find(phones("B")), "a tenant without keys")
		index.keys, index.fail = []string{"k2"}, errors.New("the key service is away")
		_, err = a.View(phones("B"), all[:1])
		require.ErrorContains(t, err, "the key service is away")
		require.ErrorContains(t, a.Check(phones("B"), "read", &all[0]), "rbac: blind index of row.phone: the key service is away")
		require.ErrorContains(t, db.WithContext(phones("B")).Find(&[]Member{}).Error, "rbac: blind index of row.phone: the key service is away")
	})
}

// TestSealedRuleAndWrites: new rows and new values are held to the rule by the index that is written.
func TestSealedRuleAndWrites(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Member{}))
		index := &toyIndex{keys: []string{"k1", "k2"}}
		a, err := rbac.Open(t.Context(), memberConfig(index))
		require.NoError(t, err)
		require.NoError(t, db.Use(a))
		require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
			*p = memberRules(rbac.Rule{ID: "own", When: "row.phone == caller.phone"})
			return nil
		}))
		ann := db.WithContext(phoneCaller("t1", map[string]any{"phone": "A"}))
		own, other := toyCell("t1", "k2", "phone_hash", "A"), toyCell("t1", "k2", "phone_hash", "B")
		require.NoError(t, ann.Create(&Member{ID: "1", TenantID: "t1", PhoneHash: own}).Error)
		require.ErrorIs(t, ann.Create(&Member{ID: "2", TenantID: "t1", PhoneHash: other}).Error, rbac.ErrDenied)
		require.ErrorIs(t, ann.Create(&Member{ID: "2", TenantID: "t1"}).Error, rbac.ErrDenied, "no index, not known")
		require.ErrorIs(t, ann.Model(&Member{}).Create(map[string]any{"ID": "2", "TenantID": "t1", "PhoneHash": gorm.Expr("NULL")}).Error, rbac.ErrDenied)
		require.NoError(t, ann.Model(&Member{ID: "1"}).Update("owner", "x").Error)
		require.ErrorIs(t, ann.Model(&Member{ID: "1"}).Update("phone_hash", other).Error, rbac.ErrDenied, "the row would leave the caller's reach")
		var row Member
		require.NoError(t, ann.Take(&row, "id = ?", "1").Error)
		require.Equal(t, "x", row.Owner)
		require.Equal(t, own, row.PhoneHash)

		// What the keys are read with is the connection of the statement: a second one would wait for the first.
		err = db.Transaction(func(tx *gorm.DB) error {
			index.pools = nil
			err := tx.WithContext(phoneCaller("t1", map[string]any{"phone": "A"})).Find(&[]Member{}, "phone_hash = ?", own).Error
			require.NotEmpty(t, index.pools)
			for _, pool := range index.pools {
				require.Equal(t, tx.Statement.ConnPool, pool)
			}
			return err
		})
		require.NoError(t, err)
		e, err := a.Explain(phoneCaller("t1", map[string]any{"phone": secretValue}), "read", &row)
		require.NoError(t, err)
		require.False(t, e.Allowed)
		require.Equal(t, []string{"row.phone == caller.phone"}, e.Near[0].Failed)
		for _, text := range []string{e.English, e.Chinese} {
			require.Contains(t, text, "row.phone == caller.phone")
			require.NotContains(t, text, secretValue)
		}
	})
}

// TestSealedRuleInFields: a View outlives its call, and asks nothing more.
func TestSealedRuleInFields(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	require.NoError(t, db.AutoMigrate(&Member{}))
	index := &toyIndex{keys: []string{"k"}}
	a, err := rbac.Open(t.Context(), memberConfig(index))
	require.NoError(t, err)
	require.NoError(t, db.Use(a))
	require.NoError(t, a.Edit(t.Context(), func(p *rbac.Policy) error {
		*p = memberRules(rbac.Rule{ID: "all"})
		p.Fields = []rbac.FieldRule{{Role: rbac.Everyone, Resource: "member", Field: "owner", Level: masking.Full, When: "row.phone == caller.phone"}}
		return nil
	}))
	ctx := phoneCaller("t1", map[string]any{"phone": "A"})
	views, err := a.View(ctx, []*Member{{TenantID: "t1", Owner: "x", PhoneHash: toyCell("t1", "k", "phone_hash", "A")}, {TenantID: "t1", Owner: "x", PhoneHash: []byte("other")}, {TenantID: "t1", Owner: "x"}})
	require.NoError(t, err)
	require.Len(t, index.asked, 1, "once for all rows")
	index.fail = errors.New("too late")
	for i, want := range []masking.Level{masking.Full, masking.Hidden, masking.Hidden} {
		require.Equal(t, want, views[i].Level("owner"), i)
	}
	require.Len(t, index.asked, 1)
}
