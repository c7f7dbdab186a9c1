package audit

import "slices"

// own tells whether a table is one of this library, which are never recorded: their
// changes are in the log under names of their own (a policy, a key, an erasure), or are
// the log. They are named one by one: a table of the application whose name begins
// alike is recorded like any other.
func own(table string) bool {
	return slices.Contains([]string{
		"confide_audit_pending", "confide_audit_entries", "confide_audit_rows", "confide_audit_heads", "confide_audit_indexed",
		"confide_audit_nodes", "confide_audit_revisions", "confide_audit_secrets", "confide_audit_outside", "confide_audit_marker",
		"confide_audit_alerts",
		// privacy
		"confide_tenant_keys", "confide_subject_keys", "confide_tokens", "confide_rotations", "confide_intake_accepted",
		// rbac
		"confide_shares", "confide_policy_version", "confide_policy_roles", "confide_policy_inherits", "confide_policy_rules",
		"confide_policy_fields", "confide_policy_assignments", "confide_policy_history",
		// backup
		"confide_backup_marks", "confide_restore_unfinished", "confide_quarantine",
	}, table)
}
