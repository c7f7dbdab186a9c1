// Package casbinimport turns a casbin model and its policy into an rbac.Policy, and says which rows mean
// something else than they seem to.
//
//	rows, err := casbinimport.ReadCSV(policyCSV)                 // or ReadTable(ctx, db, "casbin_rule")
//	policy, report, err := casbinimport.Import(modelConf, rows, casbinimport.Options{})
//	fmt.Print(report)                                            // every refusal with its line
//
// What is imported decides as a fresh casbin enforcer does, for callers whose id is not also a role's name.
// The rest is refused and listed: matchers other than equality and roles, priorities, defaults that allow,
// temporal roles, patterns, "Deny" spelled otherwise, values that casbin itself takes for others. A refused
// row fails the import; Options.LeaveOut leaves it out, unless that could allow more.
package casbinimport

import (
	"fmt"
	"strings"

	"github.com/confide-go/confide/rbac"
)

// Options are how casbin's names become ours.
type Options struct {
	// Tenant is the tenant of all users of a model without domains.
	Tenant string
	// Object says which resource, and which of its rows, an object is. Nil takes its name for a resource's.
	Object func(obj string) (resource, when string, err error)
	// Actions are our words for casbin's, such as {"GET": "read"}. A lower-case word stands for itself.
	Actions map[string]string
	// LeaveOut imports the rest when rows were refused, unless a refused row could have denied something.
	LeaveOut bool
}

// A Refusal is something that cannot be imported.
type Refusal struct {
	Line   int  // in the policy file, or the id in the table; in the model file if Model
	Model  bool // the model, and with it everything, is refused
	Reason string
	widens bool // leaving it out could allow what casbin denies
}

// A Report is what an import did.
type Report struct {
	Rows     int // that were read
	Imported int
	Refused  []Refusal
}

// String lists the refusals, one a line. It quotes names of the policy.
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d rows imported\n", r.Imported, r.Rows)
	for _, x := range r.Refused {
		where := "policy line"
		if x.Model {
			where = "model line"
		}
		fmt.Fprintf(&b, "%s %d: %s\n", where, x.Line, x.Reason)
	}
	return b.String()
}

// Import translates. The error names the first refusal; the report has them all.
func Import(model string, rows []Row, o Options) (rbac.Policy, Report, error) {
	report := Report{Rows: len(rows)}
	m, refused := parseModel(model)
	report.Refused = refused
	if len(refused) > 0 {
		report.Refused = append(report.Refused, inspectTexts(rows)...)
		return rbac.Policy{}, report, fmt.Errorf("casbinimport: the model cannot be imported: line %d: %s", refused[0].Line, refused[0].Reason)
	}
	good, refused := m.judge(rows, o)
	report.Refused = refused
	for _, x := range refused {
		if !o.LeaveOut {
			return rbac.Policy{}, report, fmt.Errorf("casbinimport: %d rows are refused, the first in line %d: %s; correct them, or set Options.LeaveOut", len(refused), x.Line, x.Reason)
		}
		if x.widens {
			return rbac.Policy{}, report, fmt.Errorf("casbinimport: the row in line %d may deny something and cannot be left out: %s", x.Line, x.Reason)
		}
	}
	p, err := m.build(good, o)
	if err != nil {
		return rbac.Policy{}, report, err
	}
	report.Imported = len(good)
	return p, report, nil
}
