package sharing_test

import (
	"fmt"

	"github.com/confide-go/confide/rbac/sharing"
)

type Ticket struct {
	ID       string `gorm:"primaryKey"`
	OwnerID  string
	DeptPath string
}

// The rules are plain values: print them, change them, save them.
func Example() {
	policy, err := sharing.Policy(sharing.Config{Resources: []sharing.Resource{{Model: &Ticket{}, Path: "dept_path", Read: sharing.OwnDepartment}}})
	if err != nil {
		fmt.Println(err)
	}
	for _, r := range policy.Rules[:3] {
		fmt.Println(r.ID, r.Role, r.Actions)
		fmt.Println("  ", r.When)
	}
	// Output:
	// ticket-own staff [read create update share reveal]
	//    row.owner_id == caller.id
	// ticket-read-department staff [read]
	//    row.dept_path == caller.dept_path && within(row.dept_path, caller.dept_path)
	// ticket-managed manager [read create update delete share reveal export]
	//    row.owner_id != "" && row.owner_id in caller.reports || within(row.dept_path, caller.dept_path)
}
