package blobstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"
)

// explain gives a failure the form that callers of a backup.Store look for.
func explain(ctx context.Context, op, key string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("blobstore: %s %s: %w", op, key, ctx.Err())
	case denied(err):
		return fmt.Errorf("blobstore: %s %s: %w: %w", op, key, fs.ErrPermission, err)
	case gcerrors.Code(err) == gcerrors.NotFound:
		return fmt.Errorf("blobstore: %s %s: %w", op, key, fs.ErrNotExist)
	}
	return fmt.Errorf("blobstore: %s %s: %w", op, key, err)
}

// denied reports whether the service refused. Gocloud's code does not tell: it
// says "not found" of what GCS forbids, and "unknown" of what Azure forbids.
func denied(err error) bool {
	if gcerrors.Code(err) == gcerrors.PermissionDenied {
		return true
	}
	if e, ok := errors.AsType[*googleapi.Error](err); ok {
		return e.Code == http.StatusForbidden || e.Code == http.StatusUnauthorized
	}
	if e, ok := errors.AsType[*azcore.ResponseError](err); ok {
		return e.StatusCode == http.StatusForbidden || e.StatusCode == http.StatusUnauthorized ||
			e.ErrorCode == "BlobImmutableDueToPolicy" // 409
	}
	return false
}
