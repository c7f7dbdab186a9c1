// Package rbac decides who may do what to which rows and fields, holds every GORM statement to it, and says
// why.
//
// # What it does
//
// A rule gives a role some actions on the rows of a resource where a condition holds:
//
//	{ID: "own", Role: "sales", Resource: "customer", Actions: []string{"read", "update"}, When: "row.owner_id == caller.id"}
//
// The condition is CEL, checked against the GORM model when the policy is written and compiled from one
// syntax tree into a Go predicate (Check) and into parameterised SQL (every statement on the table).
// The rows a list returns are exactly the rows on which Check says yes, on SQLite, PostgreSQL and MySQL.
// A field rule says how much of a field a role sees: hidden, token, partial or full; whether it may ask for
// the whole value; and what else it may do with it:
//
//	{Role: "sales", Resource: "customer", Field: "phone", Level: masking.Partial, Rights: rbac.Match | rbac.Export}
//
// A field without a rule is hidden. What Partial shows of a plain field its tag says (mask:"phone", the kinds of
// package masking); without one nothing is shown below Full. A sealed field masks itself.
//
// # The three calls you need
//
//	authz, err := rbac.Open(ctx, rbac.Config{...})      // compiles the policy, refuses what is not exact
//	err = db.Use(authz)                                 // after privacy's; now statements need db.WithContext(ctx)
//	views, err := authz.View(ctx, customers)            // views[0].Text("phone") is what goes on the screen
//
// A new store holds the empty policy, which denies everything: if authz.Version() == 0, fill it by Edit.
// Check(ctx, "export", row) asks for one action, Explain says why, System(ctx, reason) is the recorded
// way around for jobs without a caller, MustCover finds the tables you forgot.
//
// # What you must supply
//
// Who is signed in (Config.Caller), where the policy is kept (NewMemory or package gormpolicy), the
// guarded models, the types of the caller's attributes (Config.Attrs), and where refusals are recorded.
// Package sharing writes the usual policy of a CRM: private, team, department, managers, shares, limits.
//
// # The rules of rules
//
// Deny wins over allow. No rule is deny. No caller is an error. A comparison with NULL is unknown, also
// under "!", and unknown is denied: an allow rule must hold, a deny rule must surely not hold. Where a
// model's field cannot be NULL (string, not *string), the database's NULL counts as its zero value, as
// Go sees it. Strings compare byte for byte, times in whole seconds. A row of another tenant is never
// reached (Resource.Tenant).
//
//	row.<column>     string, integer, bool and time columns, and pointers and sql.Null types of them
//	caller.id, caller.tenant, caller.roles, caller.<attribute>
//	now, now - duration("24h"), timestamp("2026-01-31T08:00:00Z")
//	&& || ! == != < <= > >= in null
//	within(row.<column>, caller.<attribute>)   the column's path is the caller's or lies below it: "/1/12" in "/1"
//	shared(row, "read")                        a row of Config.Shares gives the caller this right, and has not expired
//	env.ip in cidr("10.0.0.0/8"), env.device_trusted, env.assurance >= 2, env.auth_age < duration("15m")
//	env.hour >= 9, env.weekday in [1, 2, 3, 4, 5]   in the zone caller.zone ("Asia/Shanghai"); Monday is 1
//
// A path is names with "/" between them; the attribute may be a list of paths; the empty path is unknown.
// A share is true or false, never unknown; NULL, an empty grantee, another tenant and a soft delete give
// nothing. MySQL, which would scan the table for "own or shared", gets the keys of up to 1,000 shares, looked up
// before the statement on its connection. Check and View look shares up by the row's key, in the transaction of WithTx if there is one.
// On PostgreSQL an index serves within if it is COLLATE "C" or text_pattern_ops.
//
// A sealed column can be found to be equal, by the blind index beside it, which the vault in Config.Index knows:
//
//	row.phone == caller.phone, row.phone in caller.phones, row.phone in [caller.phone, caller.mobile]
//
// Both the database and Check compare the stored index, under each index key in use, and never the value; a row
// in memory whose value was changed and not saved is still judged by its index. The index says which spellings
// are the same. NULL, an erased person, a missing or empty attribute and a tenant without keys are unknown.
// Nothing else can be asked of it: no literal, which would keep a personal value readable in the policy, its
// history and its explanations; no other column; no order; and nothing below ! or in !=, where a row that is
// not indexed would count as another value. A deny rule may ask: what is unknown is denied, but if Config.Index
// left out a key that rows are indexed with, it would forbid too little. Keys are read on the statement's connection;
// by Check and View in the transaction of WithTx. Diff compares sealed columns under the keys of its context's tenant.
//
// Everything else is refused when the policy is written, with the reason: floating point, arithmetic,
// casts, ordered strings, text functions, unknown names. 4096 bytes, 256 parts, 32 deep.
//
// # How statements are guarded
//
// The predicate comes first in WHERE, everything else stands behind it in parentheses that are checked in
// the finished text. Reads, counts, rows, updates, deletes, preloads and association joins are scoped. A
// new row must satisfy the create rule; an updated row must lie in the update rule before and after; an
// upsert may only hit rows in the update rule. SQL text that names a guarded table, comments, stacked
// statements and a second WHERE or SELECT are refused (ErrRefused). A column that the caller may never see
// cannot be named in a condition, an order, a group or an expression.
//
// A row outside the scope is simply not found: 0 rows. Only Check, MayReveal and writes that would create
// or move a row say "denied".
//
// # Rights on fields
//
// A condition or an order tells of a value what its mask keeps back, so each use of a field is a right of its
// own, looked for in the finished text of reads, joins, updates, deletes and upserts. Where a rule names no
// rights, Full gives all of them and anything less gives none; ShowOnly at Full gives none either.
//
//	Match      = <> IN IS NULL, also in ON, CASE, SET and as the target of an upsert
//	Range      every other condition: < BETWEEN LIKE, functions of the field (only together with Match)
//	Sort       ORDER BY, DISTINCT, the order of a window
//	Aggregate  GROUP BY, HAVING, PARTITION BY, COUNT, MIN, MAX, SUM, AVG; a group of one row gives its value away
//	Export     View.Export, which also needs the action "export" on the row
//
// A use may need several: ORDER BY CASE WHEN phone LIKE ... needs Sort, Range and so Match. A column selected by
// itself needs none, for View renders it. Any other expression in a list of results or in SET hands the value
// on, and needs the field in full. Keys, tenants and foreign keys are free. A blind index is matched and counted with the
// right of its field, and has no order. Where the right holds on some rows only, the statement is
// refused (*FieldRefused), unless the caller's rows all are such rows by the form of the rules, or Narrow
// keeps it to them. Rows never silently drop out of a list because of its order. ExplainRight says why.
//
// View.Fields, Map and MarshalJSON render whole rows: only what the caller sees, in the model's order, never
// blind indexes or fields with json:"-".
//
// # What is not protected
//
// A loaded model holds all its values: what is shown of them is View's to decide, so render views and not
// models. Other connections to the database, and code that removes GORM callbacks, are not guarded. A
// unique key tells whether its value is taken, whoever asks. Database views and functions over guarded
// tables are seen by their own names only: register them as resources. Migrations of guarded tables run
// before db.Use, or under System. On MySQL, unique indexes that the model does not declare are unknown to
// the check before ON DUPLICATE KEY UPDATE. On PostgreSQL, columns with a nondeterministic collation
// compare by it. A database whose column holds NULL although the model says "not null" answers as NULL.
//
// # Allow, deny, or allow if
//
// Config.Env says what the server knows of the request. What is not known is denied: no address, no zone or
// one that the zone database lacks, no time of sign-in. A rule may also need something of the caller:
//
//	{ID: "export", Role: "sales", Resource: "customer", Actions: []string{"export"}, Needs: []string{"reason", "step-up:2:15m"}}
//
// "reason" is met by WithReason, "approval" and "approval:<role>" by WithApproval, "step-up:<assurance>" and
// "step-up:<assurance>:<age>" by Config.Env. A need is a part of the rule's condition: until it is met the
// rule gives nothing, in lists as in Check. Where it is all that is missing, Check, MayReveal and the
// creation of a row return a *Required that says what to bring; it matches ErrDenied. A deny wins over met
// needs, a rule without needs over one with. Reasons and approvals that a decision rests on are recorded
// ("rbac.obligation"), once for each act under one context; if they cannot be, the act is refused. An
// approval covers its action on exactly its rows, comes from somebody else, expires, and is used up by the
// first decision that rests on it. Updates and deletes do not say what is missing: they touch no row.
//
// # Changing a policy
//
// Edit changes it, in the caller's transaction if there is one; gormpolicy keeps every version with who, when
// and why, and Rollback makes an old one current again. Watch keeps other instances up to date, by polling the
// version, one row, and sooner by a Hint: package pglisten is one for PostgreSQL, and whatever can wait for a
// message, such as a subscription at Redis, is one by its single method. A hint that is lost costs one poll's
// time and nothing else, so no other is needed here. Config.MaxStale bounds how long an instance decides without knowing that its policy is
// current; under Fresh each decision asks first. Diff says, before a policy is saved, who gains and loses which
// rows and fields. rbactest.Run tests a policy by a table and names the rules that no case misses; package
// casbinimport reads a casbin model and policy, or says in which line it cannot.
//
// # How it fails
//
// Closed. *Stale refuses to decide by a policy that may be outdated. ErrNoCaller, ErrDenied, ErrRefused, ErrPolicy, ErrConflict name what failed and what to do, and
// hold no values of rows. A policy that cannot be read leaves the old one in force. A refusal or a use of
// System that cannot be recorded is still a refusal.
//
// # Formats and compatibility
//
// Policies are plain values; package gormpolicy documents its tables. Conditions are CEL: what is accepted
// today keeps its meaning. casbin holds the role graph and the effect, in engine.go and nowhere else.
package rbac
