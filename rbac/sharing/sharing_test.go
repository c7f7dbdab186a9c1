package sharing_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/rbac"
	"github.com/confide-go/confide/rbac/sharing"
)

// Customer is guarded by the ready policy.
type Customer struct {
	ID       string `gorm:"primaryKey;size:36"`
	TenantID string `gorm:"size:36;not null"`
	OwnerID  string `gorm:"size:36;index"`
	TeamID   string `gorm:"size:36"`
	DeptPath string `gorm:"size:64;index"`
	Vip      bool
	Total    int64
}

func config() sharing.Config {
	return sharing.Config{
		Shares: rbac.ShareTable{Model: &rbac.Share{}, Grantees: map[string]string{"team": "teams", "department": "dept_path"}},
		Resources: []sharing.Resource{{
			Model: &Customer{}, Team: "team_id", Path: "dept_path", Read: sharing.DepartmentBelow, Write: sharing.OwnDepartment, Shared: true,
			Hidden: []sharing.Hidden{{Role: "contractor", When: "row.vip"}},
			Limits: []sharing.Limit{{Role: sharing.Manager, Actions: []string{"approve"}, Column: "total", Attr: "approve_limit"}},
		}},
	}
}

// people are the callers of the tables, by the name they have there.
func people() map[string]rbac.Caller {
	who := func(id, path string, more ...any) rbac.Caller {
		a := map[string]any{"dept_path": path, "approve_limit": int64(1000)}
		for i := 0; i+1 < len(more); i += 2 {
			a[more[i].(string)] = more[i+1]
		}
		return rbac.Caller{ID: id, Tenant: "t1", Attrs: a}
	}
	foreign := who("ann", "/1/12")
	foreign.Tenant = "t2"
	return map[string]rbac.Caller{
		"ann, the owner":                    who("ann", "/1/12", "teams", []string{"north"}),
		"bea, same team and department":     who("bea", "/1/12", "teams", []string{"north"}),
		"cas, same team only":               who("cas", "/2", "teams", []string{"north"}),
		"dan, department above":             who("dan", "/1/"),
		"eve, department 1 beside 12":       who("eve", "/1/1"),
		"fay, department below":             who("fay", "/1/12/3"),
		"gus, no department, no team":       who("gus", "", "teams", []string{""}, "reports", []string{""}),
		"max, ann's manager":                who("max", "/9", "reports", []string{"ann"}),
		"mia, manager of department /1":     who("mia", "/1"),
		"moe, manager of nobody":            who("moe", "/3", "reports", []string{}),
		"con, contractor in the department": who("con", "/1/12"),
		"sid, system administrator":         who("sid", "/1/12", "reports", []string{"ann"}),
		"sue, security administrator":       who("sue", "/1/12", "reports", []string{"ann"}),
		"sam, audit administrator":          who("sam", "/1/12", "reports", []string{"ann"}),
		"zoe, administrator and manager":    who("zoe", "/1", "reports", []string{"ann"}),
		"nil, nobody's role":                who("nil", "/1/12"),
		"ann of the other tenant":           foreign,
	}
}

func rows() map[string]Customer {
	row := func(id string) Customer {
		return Customer{ID: id, TenantID: "t1", OwnerID: "ann", TeamID: "north", DeptPath: "/1/12", Total: 1000}
	}
	vip, big, orphan := row("vip"), row("big"), Customer{ID: "orphan", TenantID: "t1"}
	vip.Vip, big.Total = true, 1001
	return map[string]Customer{"ann's": row("plain"), "ann's vip": vip, "ann's, total over the limit": big, "without owner": orphan,
		"lent to gus": row("lent"), "lent to gus until now": row("late"), "lent to gus a second more": row("last"), "gus may change": row("change"),
		"lent to the north": row("team"), "gus on its team": row("member"), "hidden from max and ann": row("hidden"), "hidden from them until now": row("shown"),
		"lent to gus in the other tenant": row("wrong")}
}

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.FixedZone("", 8*3600))

func shares() []rbac.Share {
	share := func(row, grantee, right string, until *time.Time) rbac.Share {
		return rbac.Share{Tenant: "t1", Resource: "customer", RowID: row, Kind: "user", Grantee: grantee, Access: right, ExpiresAt: until}
	}
	at, second := now, now.Add(time.Second).UTC()
	team, wrong := share("team", "north", sharing.Read, nil), share("wrong", "gus", sharing.Read, nil)
	team.Kind, wrong.Tenant = "team", "t2"
	return []rbac.Share{team, wrong, share("lent", "gus", sharing.Read, nil), share("late", "gus", sharing.Read, &at), share("last", "gus", sharing.Read, &second),
		share("change", "gus", sharing.Change, nil), share("member", "gus", sharing.Member, nil),
		share("hidden", "max", sharing.Hide, nil), share("hidden", "ann", sharing.Hide, nil), share("shown", "max", sharing.Hide, &at), share("shown", "ann", sharing.Hide, &at)}
}

func assigned(p rbac.Policy) rbac.Policy {
	for user, roles := range map[string][]string{"ann": {sharing.Staff}, "bea": {sharing.Staff}, "cas": {sharing.Staff}, "dan": {sharing.Staff}, "eve": {sharing.Staff},
		"fay": {sharing.Staff}, "gus": {sharing.Staff}, "max": {sharing.Manager}, "mia": {sharing.Manager}, "moe": {sharing.Manager}, "con": {sharing.Staff, "contractor"},
		"sid": {sharing.SystemAdmin}, "sue": {sharing.SecurityAdmin}, "sam": {sharing.AuditAdmin}, "zoe": {sharing.SystemAdmin, sharing.Manager}} {
		for _, role := range roles {
			p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: "t1", User: user, Role: role})
		}
	}
	p.Assignments = append(p.Assignments, rbac.Assignment{Tenant: "t2", User: "ann", Role: sharing.Staff})
	return p
}

type callerKey struct{}

func as(c rbac.Caller) context.Context {
	return context.WithValue(context.Background(), callerKey{}, c)
}

// open returns the authorizer of a policy on a database that holds the rows and shares.
func open(t *testing.T, db testdb.DB, cfg sharing.Config, p rbac.Policy) (*rbac.Authorizer, *gorm.DB) {
	a, err := rbac.Open(t.Context(), rbac.Config{
		Caller: func(ctx context.Context) (rbac.Caller, error) {
			c, _ := ctx.Value(callerKey{}).(rbac.Caller)
			return c, nil
		},
		Policies: rbac.NewMemory(p), Record: rbac.Discard, Attrs: sharing.Attrs(cfg), Shares: cfg.Shares, Now: func() time.Time { return now },
		Resources: []rbac.Resource{{Model: &Customer{}, Tenant: "tenant_id"}},
	})
	require.NoError(t, err)
	guarded := db.Reopen(t).DB
	require.NoError(t, guarded.Use(a))
	return a, guarded
}

func fill(t *testing.T, db *gorm.DB) {
	require.NoError(t, db.AutoMigrate(&Customer{}, &rbac.Share{}))
	for _, row := range rows() {
		require.NoError(t, db.Create(&row).Error)
	}
	for _, share := range shares() {
		require.NoError(t, db.Create(&share).Error)
	}
}

// table reads a file of testdata: columns with two blanks between them, the first line that is no comment
// names them.
func table(t *testing.T, name string) (head []string, lines [][]string) {
	text, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		cells := regexp.MustCompile(`  +`).Split(line, -1)
		if head == nil {
			head = cells
			continue
		}
		require.Len(t, cells, len(head), line)
		lines = append(lines, cells)
	}
	require.NotEmpty(t, lines, name)
	return head, lines
}

// TestDecisions: the ready policy decides as the table says, for every person on every row; the list is what
// Check allows.
func TestDecisions(t *testing.T) {
	p, err := sharing.Policy(config())
	require.NoError(t, err)
	head, lines := table(t, "decisions.txt")
	said := map[string][]string{} // by person and row
	for _, line := range lines {
		require.Contains(t, people(), line[0])
		require.True(t, line[1] == "any other" || rows()[line[1]].ID != "", line[1])
		said[line[0]+line[1]] = line[2:]
	}
	require.Len(t, said, len(lines), "a line stands twice")
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		fill(t, db.DB)
		a, guarded := open(t, db, config(), assigned(p))
		for name, c := range people() {
			var want []string
			for what, row := range rows() {
				answers := said[name+what]
				if answers == nil {
					answers = said[name+"any other"]
				}
				require.NotNil(t, answers, "%s: %s", name, what)
				for i, action := range head[2:] {
					err := a.Check(as(c), action, row)
					require.True(t, err == nil || errors.Is(err, rbac.ErrDenied), "%v", err)
					require.Equal(t, answers[i], map[bool]string{true: "yes", false: "no"}[err == nil], "%s: %s: %s", name, what, action)
				}
				if answers[0] == "yes" {
					want = append(want, row.ID)
				}
			}
			slices.Sort(want)
			require.Equal(t, want, list(t, guarded, c), name)
		}
	})
}

func list(t *testing.T, db *gorm.DB, c rbac.Caller) []string {
	var ids []string
	require.NoError(t, db.WithContext(as(c)).Model(&Customer{}).Order("id").Pluck("id", &ids).Error)
	slices.Sort(ids)
	if len(ids) == 0 {
		return nil
	}
	return ids
}

// TestReaches: how far Read goes, without shares and managers.
func TestReaches(t *testing.T) {
	head, lines := table(t, "reaches.txt")
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		fill(t, db.DB)
		for i, reach := range head[1:] {
			cfg := config()
			cfg.Resources[0].Read, cfg.Resources[0].Write, cfg.Resources[0].Shared, cfg.Resources[0].Hidden = sharing.Reach(reach), "", false, nil
			p, err := sharing.Policy(cfg)
			require.NoError(t, err)
			p.Roles = append(p.Roles, rbac.Role{Name: "contractor"})
			_, guarded := open(t, db, cfg, assigned(p))
			for _, line := range lines {
				require.Equal(t, line[i+1] == "yes", slices.Contains(list(t, guarded, people()[line[0]]), "plain"), "%s: %s", line[0], reach)
			}
		}
	})
}

// TestLessIsLess: a deny never widens what anybody sees, and taking back a share takes exactly its row
// from exactly its grantee.
func TestLessIsLess(t *testing.T) {
	p, err := sharing.Policy(config())
	require.NoError(t, err)
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		fill(t, db.DB)
		_, guarded := open(t, db, config(), assigned(p))
		before := map[string][]string{}
		for name, c := range people() {
			before[name] = list(t, guarded, c)
		}
		r := rand.New(rand.NewPCG(7, 7))
		for range 10 {
			less := assigned(p)
			when := []string{`shared(row, "read")`, `within(row.dept_path, "/1/12")`, `!within(row.dept_path, caller.dept_path)`, `row.vip`, `row.owner_id in caller.reports`, `!shared(row, "member")`}
			less.Rules = append(slices.Clone(less.Rules), rbac.Rule{ID: "less", Role: []string{rbac.Everyone, sharing.Staff, sharing.Manager}[r.IntN(3)], Resource: "customer",
				Actions: []string{"read"}, Effect: rbac.Deny, When: when[r.IntN(len(when))] + " && " + when[r.IntN(len(when))]})
			_, narrowed := open(t, db, config(), less)
			for name, c := range people() {
				require.Subset(t, before[name], list(t, narrowed, c), name)
			}
		}
		require.Contains(t, before["gus, no department, no team"], "lent")
		require.NoError(t, db.Where("row_id = ? AND grantee = ?", "lent", "gus").Delete(&rbac.Share{}).Error)
		for name, c := range people() {
			want := before[name]
			if c.ID == "gus" {
				want = slices.DeleteFunc(slices.Clone(want), func(id string) bool { return id == "lent" })
			}
			require.Equal(t, want, list(t, guarded, c), name)
		}
	})
}

// TestRefusedConfig pins what the ready policy is not written from.
func TestRefusedConfig(t *testing.T) {
	for want, change := range map[string]func(*sharing.Resource){
		`sharing: resource customer: Owner: *sharing_test.Customer has no column "boss"; it has id, tenant_id, owner_id, team_id, dept_path, vip, total`:                            func(r *sharing.Resource) { r.Owner = "boss" },
		`sharing: resource customer: Team: *sharing_test.Customer has no column "squad"; it has id, tenant_id, owner_id, team_id, dept_path, vip, total`:                            func(r *sharing.Resource) { r.Team = "squad" },
		`sharing: resource customer: Path: *sharing_test.Customer has no column "place"; it has id, tenant_id, owner_id, team_id, dept_path, vip, total`:                            func(r *sharing.Resource) { r.Path = "place" },
		`sharing: resource customer: Limits.Column: *sharing_test.Customer has no column ""; it has id, tenant_id, owner_id, team_id, dept_path, vip, total`:                        func(r *sharing.Resource) { r.Limits[0].Column = "" },
		`sharing: resource customer: the reach below needs the column Path`:                                                                                                         func(r *sharing.Resource) { r.Path = "" },
		`sharing: resource customer: the reach team needs the column Team`:                                                                                                          func(r *sharing.Resource) { r.Read, r.Team = sharing.OwnTeam, "" },
		`sharing: resource customer: "world" is no reach; use private, team, department, below or all`:                                                                              func(r *sharing.Resource) { r.Read = "world" },
		`sharing: resource customer: Write (all) reaches farther than Read (below)`:                                                                                                 func(r *sharing.Resource) { r.Write = sharing.All },
		`sharing: resource customer: Write (team) reaches farther than Read (below)`:                                                                                                func(r *sharing.Resource) { r.Write = sharing.OwnTeam },
		`sharing: resource customer: the role "ceo" of a limit is neither staff nor manager`:                                                                                        func(r *sharing.Resource) { r.Limits[0].Role = "ceo" },
		`sharing: rbac: policy refused: rule "customer-limit-1": condition: at column 115: found no matching overload for '_<=_' applied to '(string, int)'`:                        func(r *sharing.Resource) { r.Limits[0].Column = "owner_id" },
		`sharing: rbac: policy refused: rule "customer-hidden-1": condition: row.nope: customer has no such column; it has id, tenant_id, owner_id, team_id, dept_path, vip, total`: func(r *sharing.Resource) { r.Hidden[0].When = "row.nope" },
		`sharing: a resource without a model: set Resource.Model to a pointer to the GORM model`:                                                                                    func(r *sharing.Resource) { r.Model = nil },
	} {
		cfg := config()
		change(&cfg.Resources[0])
		_, err := sharing.Policy(cfg)
		require.EqualError(t, err, want, want)
	}
	cfg := config()
	cfg.Shares = rbac.ShareTable{}
	_, err := sharing.Policy(cfg)
	require.ErrorContains(t, err, "shared() needs the table of shares: set Config.Shares")
}
