package audit_test

import (
	"context"
	"log/slog"

	"gorm.io/gorm"

	"github.com/confide-go/confide/audit"
)

// The interfaces by which other packages meet a log, as they declare them.
type (
	recorder interface {
		Record(ctx context.Context, action string, attrs ...slog.Attr) error
	}
	denialRecorder interface {
		RecordApart(ctx context.Context, action string, attrs ...slog.Attr) error
	}
)

var (
	_ recorder       = (*audit.Log)(nil)
	_ denialRecorder = (*audit.Log)(nil)
	_ gorm.Plugin    = (*audit.Log)(nil)
)
