package audittest

import (
	"context"
	"testing"

	"github.com/confide-go/confide/audit"
)

// CheckLog flushes, seals and verifies a log and fails the test with every
// break it finds. It returns the report for further questions.
func CheckLog(t testing.TB, log *audit.Log) audit.Report {
	t.Helper()
	ctx := context.Background()
	if err := log.Flush(ctx); err != nil {
		t.Errorf("events were not flushed: %v", err)
	}
	if _, err := log.Seal(ctx); err != nil {
		t.Errorf("events were not sealed: %v", err)
	}
	report, err := log.Verify(ctx, audit.VerifyOptions{})
	if err != nil {
		t.Errorf("the log could not be verified: %v", err)
	}
	if !report.OK {
		t.Errorf("the log is broken:\n%s", report)
	}
	if report.Pending > 0 {
		t.Errorf("%d events wait although sealing has just ended", report.Pending)
	}
	return report
}
