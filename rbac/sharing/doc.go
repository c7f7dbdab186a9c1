// Package sharing writes the usual rules of a CRM as a plain rbac.Policy: to print, to edit, to test.
//
// # What it does
//
// For each resource it says who sees a row: its owner; the colleagues of its team or department, as far as
// Read and Write reach; the managers above; whom it was shared with, until the share expires; the members
// of the team around it. Above all of these stand the denies: rows that are hidden from somebody, amounts
// over somebody's limit, and the three administrators, who see no row at all.
//
//	cfg := sharing.Config{Resources: []sharing.Resource{{
//		Model: &Customer{}, Path: "dept_path", Read: sharing.DepartmentBelow, Shared: true,
//		Hidden: []sharing.Hidden{{Role: "contractor", When: "row.vip"}},
//		Limits: []sharing.Limit{{Role: sharing.Manager, Actions: []string{"approve"}, Column: "total", Attr: "approve_limit"}},
//	}}}
//	policy, err := sharing.Policy(cfg)
//
// Every rule is in the result and nowhere else; testdata/decisions.txt shows what they come to.
//
// # What you must supply
//
// Attrs(cfg) goes into rbac.Config.Attrs, cfg.Shares into rbac.Config.Shares. Each caller brings teams (ids),
// dept_path (the path of the department, "/1/12") and reports (the ids of everybody below, at any depth),
// and an int64 for each limit. What is missing is unknown, and unknown is denied.
//
// # The words of shares
//
// A share's right is Read, Change (which reads too), Member (of the team around the row: reads and changes)
// or Hide. Hide wins over every allow, also over owners and managers, for as long as it lasts.
//
// # The administrators
//
// The system, the security and the audit administrator are three people, and none of them reads customers:
// Separate refuses a policy that says otherwise. Checked wraps an edit, so that nobody gives rights to
// themselves. Two people who agree can: that is what an approval by a second person is for.
package sharing
