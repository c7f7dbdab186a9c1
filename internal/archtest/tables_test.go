package archtest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The audit log leaves out the library's own tables and no others, so it must name
// each: one that is missing there would be recorded, and refused as SQL text.
func TestAuditKnowsEveryTableOfTheLibrary(t *testing.T) {
	list, err := os.ReadFile("../../audit/own.go")
	require.NoError(t, err)
	declared := regexp.MustCompile(`TableName\(\) string\s*\{ return "(confide_\w+)" \}|\{"(confide_audit_\w+)", ` + "`")
	found := 0
	for _, root := range []string{"../../audit", "../../privacy", "../../rbac", "../../backup"} {
		require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			code, err := os.ReadFile(path)
			for _, m := range declared.FindAllStringSubmatch(string(code), -1) {
				found++
				require.Contains(t, string(list), `"`+m[1]+m[2]+`"`, "%s declares a table that audit/own.go does not name", path)
			}
			return err
		}))
	}
	require.Greater(t, found, 20)
}
