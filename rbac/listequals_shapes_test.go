package rbac_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// shape is a condition that Go and some database could answer differently, by what makes it hostile.
type shape struct{ name, when string }

// shapes are the named hostile conditions. Each is asked as an allow rule and as a deny rule.
func shapes() []shape {
	all := []shape{}
	add := func(name, format string, args ...any) { all = append(all, shape{name, fmt.Sprintf(format, args...)}) }
	for _, s := range hostileStrings() {
		add("equal: "+strconv.Quote(s), "row.owner == %q", s)
		add("not equal, NULL beside: "+strconv.Quote(s), "row.team != %q", s)
		add("in a list with another: "+strconv.Quote(s), `row.note in [%q, "bob"]`, s)
		add("not in, in a column without NULL: "+strconv.Quote(s), `!(row.status in [%q, "a%%"])`, s)
	}
	for _, n := range hostileInts() {
		if n > -1<<63 {
			add(fmt.Sprint("below ", n), "row.level < %d || row.level == 7", n)
		}
		add(fmt.Sprint("equal, NULL beside: ", n), "row.big == %d", n)
		add(fmt.Sprint("not equal: ", n), "row.level != %d", n)
	}
	for i, at := range hostileTimes() {
		literal := at.Truncate(time.Second).Format(time.RFC3339)
		add(fmt.Sprintf("time %d, before: %s", i, literal), "row.at < timestamp(%q)", literal)
		add(fmt.Sprintf("time %d, the same second or NULL: %s", i, literal), "row.until == null || row.until == timestamp(%q)", literal)
		add(fmt.Sprintf("time %d, later, NULL beside: %s", i, literal), "row.until > timestamp(%q) || row.flag", literal)
	}
	for _, path := range hostilePaths() {
		if path != "" && path != "//" && path != "/%/1" {
			add("within "+strconv.Quote(path), "within(row.path, %q)", path)
			add("not within, NULL beside: "+strconv.Quote(path), "!within(row.branch, %q)", path)
		}
	}
	return append(all, namedShapes()...)
}

func namedShapes() []shape {
	long := `row.owner in ["bob"` + strings.Repeat(`,""`, 990) + `, "ann"]`
	wide := `row.owner == "ann"` + strings.Repeat(` || row.owner == "bob"`, 100)
	deep := strings.Repeat("!(", 28) + `row.team == "ann" || row.flag` + strings.Repeat(")", 28)
	return []shape{
		{"not, of a comparison with NULL", `!(row.team == "ann")`},
		{"not not, of a comparison with NULL", `!(!(row.team == "ann"))`},
		{"not, of a list with NULL beside", `!(row.team in ["ann", "bob"])`},
		{"not, of an and with one unknown", `!(row.team == "ann" && row.flag)`},
		{"not, of an or with one unknown", `!(row.team == "ann" || row.flag)`},
		{"De Morgan, and", `!(row.team == "ann") || !(row.flag)`},
		{"De Morgan, or", `!(row.team == "ann") && !(row.flag)`},
		{"unknown or true", `row.team == "ann" || row.flag`},
		{"unknown and false", `!(row.team == "ann" && row.flag == false)`},
		{"excluded middle, which NULL escapes", `(row.team == "ann" || row.team != "ann") && row.flag`},
		{"contradiction under not", `!(row.team == "ann" && row.team != "ann") && row.flag`},
		{"precedence: or, and, or", `row.flag && row.owner == "ann" || row.vip && row.team == "ann" || row.level == 1`},
		{"precedence: and over or, written apart", `row.owner == "bob" || row.owner == "ann" && row.flag`},
		{"is null", `row.team == null`}, {"is not null", `row.team != null`}, {"not is null", `!(row.note == null)`}, {"null written first", `null == row.note`},
		{"null number", `row.big == null`}, {"null bool", `row.vip == null`}, {"null time", `row.until == null`},
		{"null or equal", `row.team == null || row.team == caller.id`}, {"null and equal is nothing, or flag", `row.team == null && row.team == "ann" || row.flag`},
		{"bool column alone", `row.flag`}, {"not a bool column, whose NULL is false", `!row.flag`}, {"nullable bool alone", `row.vip`}, {"not a nullable bool", `!row.vip`},
		{"bool equals false", `row.vip == false`}, {"bool unequal true", `row.vip != true`}, {"two bools", `row.flag == row.vip`}, {"two bools, unequal", `row.flag != row.vip`},
		{"bool of the caller", `row.flag == caller.flag`}, {"unknown bool of the caller or flag", `(caller.missing == "x" || row.flag) && row.small != 8`},
		{"plain column NULL equals the empty string", `row.owner == ""`}, {"plain column NULL is not something", `row.owner != "ann"`},
		{"plain column NULL in a list with the empty string", `row.owner in ["", "ann"]`}, {"plain column NULL, not in a list", `!(row.owner in ["ann", "bob"])`},
		{"plain number NULL equals 0", `row.level == 0`}, {"plain number NULL below 1", `row.level < 1`}, {"plain number NULL not above -1", `!(row.level > -1)`},
		{"plain time NULL is long ago", `row.at < timestamp("1900-01-01T00:00:00Z")`}, {"plain time NULL is not now", `row.at != now`},
		{"two columns", `row.owner == row.team`}, {"two columns, unequal", `row.owner != row.team`}, {"two columns, plain NULL both", `row.owner == row.status`},
		{"two nullable columns", `row.team == row.note`}, {"two nullable columns, not equal", `!(row.team == row.note)`}, {"a column and itself", `row.team == row.team && row.flag`},
		{"two numbers", `row.level == row.big`}, {"two numbers, order", `row.level < row.big`}, {"two numbers of other widths", `row.small > row.level`}, {"unsigned beyond int32", `row.small > 2147483647`},
		{"unsigned against a negative", `row.small > -1 && row.flag`}, {"number beyond the column's type", `row.small == 9007199254740993 || row.flag`},
		{"column on the right", `"ann" == row.owner`}, {"column on the right, order flipped", `1 > row.level`}, {"column on the right, time", `now >= row.at`},
		{"caller's id", `row.owner == caller.id`}, {"caller's id, not", `row.team != caller.id`}, {"caller's tenant as a value", `row.tenant_id == caller.tenant && row.flag`},
		{"caller's attribute", `row.team == caller.team`}, {"missing attribute or flag", `(row.team == caller.missing || row.flag) && row.small != 8`}, {"not a missing attribute, or flag", `(!(row.owner == caller.missing) || row.flag) && row.small != 8`},
		{"missing attribute in a list", `row.owner in [caller.missing, "ann"] && row.small != 8`}, {"not in a list with a missing attribute, or flag", `!(row.owner in [caller.missing, "ann"]) || row.flag`},
		{"caller's list", `row.owner in caller.reports`}, {"not in the caller's list", `!(row.team in caller.reports)`}, {"empty list of the caller or flag", `row.owner in caller.none || row.flag`},
		{"not in an empty list, and flag", `!(row.team in caller.none) && row.flag`}, {"empty list written, or flag", `row.team in [] || row.flag`}, {"not in an empty list written, and flag", `!(row.team in []) && row.flag`},
		{"caller's role", `"low" in caller.roles && row.flag`}, {"a role as a value", `row.owner in caller.roles || row.flag`}, {"not a role", `!("low" in caller.roles) || row.flag`},
		{"number of the caller beyond 2^53", `row.big == caller.level`}, {"number of the caller, order", `row.level < caller.level`}, {"number of the caller in a list", `row.big in [caller.level, 0]`},
		{"now", `row.at <= now`}, {"now minus", `row.at < now - duration("30m")`}, {"now plus a second", `row.until < now + duration("1s")`}, {"interval, half open", `row.at >= now && row.at < now + duration("1s")`},
		{"time in another zone", `row.at >= timestamp("2026-01-01T08:00:00+08:00")`}, {"time with a half-hour zone", `row.at == timestamp("2025-12-31T18:30:00-05:30")`}, {"before 1970", `row.at < timestamp("1970-01-01T00:00:00Z")`},
		{"a second of 1969 with a fraction", `row.at == timestamp("1969-12-31T23:59:59Z")`},
		{"text like a number", `row.owner == "0" || row.owner == "1"`}, {"text like a date", `row.owner == "2024-01-02"`}, {"text like a word of SQL", `row.owner in ["true", "null"]`},
		{"injection", `row.owner == "'; --" || row.team == "'; --"`}, {"LIKE without LIKE", `row.owner == "a%" || row.owner == "a_"`}, {"backslash", `row.owner == "a\\"`},
		{"case twins apart", `row.owner == "Ann" && row.owner != "ann" && row.owner != "ANN"`}, {"trailing blank", `row.owner == "ann "`}, {"leading blank", `row.owner == " ann"`}, {"only a blank", `row.owner == " " || row.team == " "`},
		{"composed and decomposed", `row.owner == "é" || row.team == "e\u0301"`}, {"ß is not ss", `row.owner == "ss" || row.team == "ß"`}, {"full width", `row.owner == "ａｎｎ"`}, {"dotless i", `row.owner in ["ı", "i"] && row.owner != "İ"`},
		{"emoji in one cluster", `row.owner == "👨‍👩‍👧"`}, {"Chinese", `row.owner in ["王小明"] || row.team == "王小明"`},
		{"caller's path", `within(row.path, caller.path)`}, {"caller's paths, one with a pattern", `within(row.path, caller.paths)`}, {"not within", `!within(row.branch, "/1")`}, {"within a missing path, or flag", `(within(row.path, caller.missing) || row.flag) && row.small != 8`},
		{"within an empty list, or flag", `within(row.path, caller.none) || row.flag`}, {"within the root", `within(row.path, "/")`}, {"within and not below", `within(row.path, "/1") && row.path != "/1/1"`}, {"within a column of names", `within(row.owner, "ann")`},
		{"shared", `shared(row, "read")`}, {"not shared", `!shared(row, "read")`}, {"shared or own", `shared(row, "read") || row.owner == caller.id`}, {"shared and own", `shared(row, "read") && row.flag`},
		{"not shared and NULL beside", `!shared(row, "read") && row.team != "ann"`}, {"shared for update", `shared(row, "update")`}, {"shared twice", `shared(row, "read") && !shared(row, "update")`}, {"a right nobody has, or flag", `shared(row, "nothing") || row.flag`},
		{"address known, and flag", `env.ip in cidr("10.0.0.0/8") && row.flag`}, {"environment under not, or flag", `!env.device_trusted || row.flag`}, {"hour of the environment as a number", `row.small == env.hour || row.flag`},
		{"constant true folded away", `(true || row.vip) && row.flag`}, {"constant false folded away", `(false && row.vip) || row.flag`}, {"1 == 1", `1 == 1 && row.flag`}, {"unknown folded into or", `(caller.missing == "x" || row.vip == null) && row.small != 8`},
		{"unknown folded into a negated and", `!(caller.missing == "x" && row.flag) && row.small != 8`},
		{"a list of a thousand", long}, {"a hundred alternatives", wide}, {"twenty-eight negations", deep},
	}
}

// shapeRow is a row of which each column goes round its hostile values at a pace of its own, with NULL now
// and then, so that every value is met and columns meet each other equal.
func shapeRow(i int) map[string]any {
	strs, ints, times, paths := hostileStrings(), hostileInts(), hostileTimes(), hostilePaths()
	or := func(null bool, v any) any {
		if null {
			return nil
		}
		return v
	}
	tenant := "t1"
	if i%13 == 12 {
		tenant = []string{"t2", "T1", "t1 "}[i/13%3]
	}
	team := strs[(i*5+1)%len(strs)]
	if i%6 == 0 {
		team = strs[i%len(strs)] // as the owner
	}
	note := strs[(i*3)%len(strs)]
	if i%10 == 0 {
		note = team
	}
	return map[string]any{
		"id": fmt.Sprintf("row-%03d", i), "tenant_id": tenant, "owner": or(i%17 == 3, strs[i%len(strs)]), "team": or(i%16 == 9, team),
		"status": strs[(i*11+2)%len(strs)], "note": or(i%5 == 2, note), "level": or(i%19 == 5, ints[i%len(ints)]), "big": or(i%4 == 1, ints[(i*3+i/10)%len(ints)]),
		"small": []uint32{0, 1, 1<<32 - 1, 8, 4}[i%5], "flag": or(i%9 == 4, i%2 == 0), "vip": or(i%3 == 1, i%4 == 0), "at": or(i%11 == 6, times[i%len(times)]),
		"until": or(i%4 == 2, times[(i*3+1)%len(times)]), "path": or(i%23 == 7, paths[i%len(paths)]), "branch": or(i%4 == 2, paths[(i*5+1)%len(paths)]), "touched": 0, "weight": i + 1,
	}
}

// TestListEqualsCheckOnShapes: each named shape, as an allow and as a deny rule, decides in every statement as
// Check does, and neither allows nor denies everything.
func TestListEqualsCheckOnShapes(t *testing.T) {
	all := shapes()
	require.GreaterOrEqual(t, len(all), 250, "the corpus shrank")
	named := map[string]bool{}
	for _, s := range all {
		require.False(t, named[s.name], s.name)
		named[s.name] = true
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		require.NoError(t, db.AutoMigrate(&Thing{}, &Loan{}, &Part{}))
		weight, own := map[string]int64{}, 0
		var parts []Part
		for i := range 90 {
			row := shapeRow(i)
			require.NoError(t, db.Table("things").Create(row).Error)
			id := row["id"].(string)
			weight[id] = int64(i + 1)
			parts = append(parts, Part{ID: fmt.Sprint(i), ThingID: id})
			if row["tenant_id"] == "t1" {
				own++
			}
			loan := map[string]any{"tenant_id": "t1", "kind": "user", "thing": id, "what": "thing", "whom": []string{"ann", "Ann", "ann "}[i%3], "allows": []string{"read", "update", "Read"}[i%5%3], "until": nil}
			require.NoError(t, db.Table("loans").Create(loan).Error)
		}
		require.NoError(t, db.Omit("Thing").Create(&parts).Error)
		clock := time.Date(2026, 1, 1, 0, 0, 0, 7e8, time.UTC)
		authz, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Policies: rbac.NewMemory(rbac.Policy{}), Record: rbac.Discard, Attrs: attrs(), Env: thingEnv, Shares: loans(),
			Resources: []rbac.Resource{{Model: &Thing{}, Tenant: "tenant_id"}}, Now: func() time.Time { return clock }})
		require.NoError(t, err)
		require.NoError(t, db.Use(authz))
		var rows []Thing
		require.NoError(t, db.WithContext(systemContext(t)).Find(&rows).Error)
		things := &table{db: db.DB, model: &Thing{}}
		ctx := inContext(thingCallers()[0])
		every := os.Getenv("CONFIDE_TEST_SHAPES") == "every" // in every statement, everywhere; minutes
		for i, s := range all {
			for _, effect := range []rbac.Effect{rbac.Allow, rbac.Deny} {
				if db.Engine != testdb.SQLite && !every && (effect == rbac.Deny && i%2 == 0 || testing.Short() && i%3 > 0) {
					continue
				}
				require.NoError(t, authz.Edit(t.Context(), func(p *rbac.Policy) error { *p = shapePolicy(s.when, effect); return nil }), s.name)
				want := allowedIDs(t, authz, ctx, rows)
				note := fmt.Sprintf("%s %s: %s", effect, s.name, s.when)
				require.NotEmpty(t, want, "%s: allows nothing", note)
				require.Less(t, len(want), own, "%s: allows everything", note)
				require.Equal(t, want, listed(t, db.DB, ctx), note)
				if every || i%12 == 1 {
					things.requireRows(t, ctx, want, weight, note)
				}
				if every || i%12 == 1 {
					requireParts(t, db.DB, ctx, want, note)
				}
			}
		}
	})
}

func shapePolicy(when string, effect rbac.Effect) rbac.Policy {
	rule := rbac.Rule{ID: "shape", Role: rbac.Everyone, Resource: "thing", Actions: []string{"read", "update", "delete"}, When: when, Effect: effect}
	p := rbac.Policy{Roles: []rbac.Role{{Name: "low"}}, Assignments: []rbac.Assignment{{Tenant: "t1", User: "ann", Role: "low"}}, Rules: []rbac.Rule{rule},
		Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "thing", Field: "*", Level: masking.Full}}}
	if effect == rbac.Deny {
		rule.ID, rule.When, rule.Effect = "all", "", rbac.Allow
		p.Rules = append(p.Rules, rule)
	}
	return p
}
