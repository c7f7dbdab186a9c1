package s3store

import (
	"encoding/json"
	"errors"
	"fmt"
)

// PolicyConfig says who does what with a bucket. A role without principals is
// left out. A principal is what the service calls a user or role, on AWS an ARN
// such as "arn:aws:iam::123456789012:user/crm-backup".
type PolicyConfig struct {
	Bucket string // required
	Prefix string // as in Config

	Writers   []string // run backups: put if absent, get, list; can neither delete nor replace
	Restorers []string // verify and restore: get and list
	Pruners   []string // prune: get, list, delete; and put, for its records

	// Partition begins the ARNs of the service's resources; empty means "aws".
	Partition string
	// Plain leaves out what makes the service refuse a put without a condition,
	// for services that do not know the condition keys of AWS. It is then only our
	// client that never replaces, so give such a bucket versions or object lock.
	Plain bool
}

type policy struct {
	Version   string
	Statement []statement
}

type statement struct {
	Sid       string
	Effect    string
	Principal map[string][]string
	Action    []string
	Resource  []string
	Condition map[string]map[string]any `json:",omitempty"`
}

// Policy returns the bucket policy, as JSON, that gives each role the least it
// needs. A bucket policy only adds rights and denials: the principals must have no
// others from elsewhere.
func Policy(cfg PolicyConfig) ([]byte, error) {
	all := append(append(append([]string{}, cfg.Writers...), cfg.Restorers...), cfg.Pruners...)
	if cfg.Bucket == "" || len(all) == 0 {
		return nil, errors.New("s3store: PolicyConfig.Bucket and at least one principal are required")
	}
	seen := map[string]bool{}
	for _, who := range all {
		if who == "" || who == "*" {
			return nil, errors.New("s3store: a principal of a policy must be one user or role")
		}
		if seen[who] {
			return nil, fmt.Errorf("s3store: %s has two roles in a policy; give each its own credentials", who)
		}
		seen[who] = true
	}
	if cfg.Partition == "" {
		cfg.Partition = "aws"
	}
	bucket := "arn:" + cfg.Partition + ":s3:::" + cfg.Bucket
	objects := bucket + "/" + cfg.Prefix + "*"
	var p policy
	p.Version = "2012-10-17"
	add := func(sid, effect string, who, actions []string, resource string, condition map[string]map[string]any) {
		if len(who) > 0 {
			p.Statement = append(p.Statement, statement{sid, effect, map[string][]string{"AWS": who}, actions, []string{resource}, condition})
		}
	}
	var below map[string]map[string]any
	if cfg.Prefix != "" {
		below = map[string]map[string]any{"StringLike": {"s3:prefix": cfg.Prefix + "*"}}
	}
	putters := append(append([]string{}, cfg.Writers...), cfg.Pruners...)
	add("List", "Allow", all, []string{"s3:ListBucket"}, bucket, below)
	add("Read", "Allow", all, []string{"s3:GetObject", "s3:GetObjectRetention"}, objects, nil)
	add("Put", "Allow", putters, []string{"s3:PutObject", "s3:PutObjectRetention"}, objects, nil)
	if !cfg.Plain {
		// A retention may be set, which only ever extends it in compliance mode, but
		// nothing may be put without "if there is none".
		add("NoPutWithoutCondition", "Deny", putters, []string{"s3:PutObject"}, objects, map[string]map[string]any{"Null": {"s3:if-none-match": "true"}})
	}
	add("Delete", "Allow", cfg.Pruners, []string{"s3:DeleteObject", "s3:DeleteObjectVersion"}, objects, nil)
	add("ListVersions", "Allow", cfg.Pruners, []string{"s3:ListBucketVersions"}, bucket, below)
	// Said as well as not allowed, so that a right from elsewhere does not add it.
	keepers := append(append([]string{}, cfg.Writers...), cfg.Restorers...)
	add("NoDelete", "Deny", keepers, []string{"s3:DeleteObject", "s3:DeleteObjectVersion"}, objects, nil)
	add("NoBypass", "Deny", all, []string{"s3:BypassGovernanceRetention"}, objects, nil)
	add("NoOtherRules", "Deny", all, []string{"s3:PutBucketPolicy", "s3:DeleteBucketPolicy", "s3:PutLifecycleConfiguration", "s3:PutBucketVersioning", "s3:PutBucketObjectLockConfiguration", "s3:DeleteBucket"}, bucket, nil)
	out, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("s3store: policy: %w", err)
	}
	return append(out, '\n'), nil
}
