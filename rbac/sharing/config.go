package sharing

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	"gorm.io/gorm/schema"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

// Config is what the policy is written from.
type Config struct {
	Resources []Resource
	// Shares is rbac.Config.Shares; needed where a resource is Shared.
	Shares rbac.ShareTable
	// Attrs are further attributes of callers that Hidden.When reads, as in rbac.Config.
	Attrs map[string]any
	// Naming is rbac.Config.Naming.
	Naming schema.Namer
}

// Resource is a table whose rows have an owner.
type Resource struct {
	Model any    // a pointer to the GORM model
	Name  string // as in rbac.Resource
	// Owner is the column of the owner's user id; "" is owner_id.
	Owner string
	// Team is the column of the team's id; needed for OwnTeam.
	Team string
	// Path is the column of the department's path; needed for OwnDepartment and DepartmentBelow. With it,
	// managers also see the rows of their department and below.
	Path string
	// Read and Write say how far staff see and change rows that are not their own; "" is Private. Write may
	// not reach farther than Read.
	Read, Write Reach
	// Shared opens rows by explicit shares, and hides them.
	Shared bool
	Hidden []Hidden
	Limits []Limit
	// See is how much of each field staff see; the zero value is masking.Partial. Edit Policy.Fields for more.
	See masking.Level
}

// Reach is how far a right goes beyond one's own rows.
type Reach string

// The reaches, from the nearest to the farthest.
const (
	Private         Reach = "private"
	OwnTeam         Reach = "team"
	OwnDepartment   Reach = "department"
	DepartmentBelow Reach = "below"
	All             Reach = "all"
)

// Hidden keeps rows from a group of people, whatever else allows them.
type Hidden struct {
	Role string // the group; declared in the policy
	When string // a condition of rbac; "" is every row
}

// Limit allows actions up to an amount, and forbids them to everybody above it.
type Limit struct {
	Role    string // Staff, on their own rows; or Manager, on rows of the people below
	Actions []string
	Column  string // the amount, an integer
	Attr    string // the caller's limit, an int64; a caller without one may not
}

// Attrs returns what goes into rbac.Config.Attrs.
func Attrs(cfg Config) map[string]any {
	attrs := map[string]any{"teams": []string(nil), "dept_path": "", "reports": []string(nil)}
	maps.Copy(attrs, cfg.Attrs)
	for _, r := range cfg.Resources {
		for _, l := range r.Limits {
			attrs[l.Attr] = int64(0)
		}
	}
	return attrs
}

// complete fills in the defaults and refuses columns that the model does not have.
func (r *Resource) complete(naming schema.Namer) error {
	if r.Model == nil {
		return fmt.Errorf("sharing: a resource without a model: set Resource.Model to a pointer to the GORM model")
	}
	s, err := schema.Parse(r.Model, new(sync.Map), naming)
	if err != nil {
		return fmt.Errorf("sharing: model %T: %w", r.Model, err)
	}
	if r.Name == "" {
		r.Name = (schema.NamingStrategy{SingularTable: true}).TableName(s.Name)
	}
	for _, word := range []*string{&r.Owner, (*string)(&r.Read), (*string)(&r.Write)} {
		if *word == "" {
			*word = map[bool]string{true: "owner_id", false: string(Private)}[word == &r.Owner]
		}
	}
	if r.See == masking.Hidden {
		r.See = masking.Partial
	}
	columns := []struct{ field, name string }{{"Owner", r.Owner}, {"Team", r.Team}, {"Path", r.Path}}
	for _, l := range r.Limits {
		columns = append(columns, struct{ field, name string }{"Limits.Column", l.Column})
	}
	for _, c := range columns {
		if s.FieldsByDBName[c.name] == nil && (c.name != "" || c.field == "Limits.Column") {
			return fmt.Errorf("sharing: resource %s: %s: %T has no column %q; it has %s", r.Name, c.field, r.Model, c.name, strings.Join(s.DBNames, ", "))
		}
	}
	return r.reaches()
}

func (r *Resource) reaches() error {
	far := map[Reach]int{Private: 0, OwnTeam: 1, OwnDepartment: 1, DepartmentBelow: 2, All: 3}
	for _, reach := range []Reach{r.Read, r.Write} {
		_, known := far[reach]
		switch {
		case !known:
			return fmt.Errorf("sharing: resource %s: %q is no reach; use private, team, department, below or all", r.Name, reach)
		case reach == OwnTeam && r.Team == "":
			return fmt.Errorf("sharing: resource %s: the reach team needs the column Team", r.Name)
		case (reach == OwnDepartment || reach == DepartmentBelow) && r.Path == "":
			return fmt.Errorf("sharing: resource %s: the reach %s needs the column Path", r.Name, reach)
		}
	}
	if r.Write != r.Read && (far[r.Write] >= far[r.Read] || r.Write == OwnTeam && r.Read != All) {
		return fmt.Errorf("sharing: resource %s: Write (%s) reaches farther than Read (%s)", r.Name, r.Write, r.Read)
	}
	return nil
}

// compile lets rbac check every rule against the models.
func (cfg Config) compile(p rbac.Policy) error {
	open := rbac.Config{Caller: nobody, Policies: rbac.NewMemory(p), Record: rbac.Discard, Attrs: Attrs(cfg), Shares: cfg.Shares, Naming: cfg.Naming}
	for _, r := range cfg.Resources {
		open.Resources = append(open.Resources, rbac.Resource{Model: r.Model, Name: r.Name})
	}
	_, err := rbac.Open(context.Background(), open)
	return err
}

func nobody(context.Context) (rbac.Caller, error) { return rbac.Caller{}, nil }
