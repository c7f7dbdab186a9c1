package privacy

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
)

// Logger returns a logger for GORM that writes to inner what GORM logs, without a single value: statements
// with placeholders in place of parameters and literals, and errors by what is known about them, since
// databases quote values in their errors. db.Use(vault) puts it around the logger of the database, and every
// statement around the one it was given by Session, so that Logger is needed only for what is logged before,
// and for databases without a vault.
func Logger(inner logger.Interface) logger.Interface {
	return quietLogger{inner: inner}.once()
}

// A quietLogger is what Logger returns.
type quietLogger struct {
	inner   logger.Interface
	dialect string // "" if it is not known; then "x" is not taken for a name
}

func (q quietLogger) once() quietLogger {
	if w, ok := q.inner.(quietLogger); ok {
		q.inner = w.inner
	}
	return q
}

// hush gives a statement a logger that shows no values.
func (v *Vault) hush(db *gorm.DB) {
	if q, ok := db.Logger.(quietLogger); ok && q.dialect == db.Dialector.Name() {
		return
	}
	// A session that others use too may have this Config.
	own := *db.Config
	own.Logger = quietLogger{db.Logger, db.Dialector.Name()}.once()
	db.Config = &own
}

// hushScan serves Scan, which gives its statement a logger of its own and then shows the error to that of the
// session, out of everybody's reach. So there the error itself is quiet; errors.As finds the original.
func (v *Vault) hushScan(db *gorm.DB) {
	q, ok := db.Logger.(quietLogger)
	if !ok || db.Error == nil || fmt.Sprintf("%T", q.inner) != "*logger.traceRecorder" {
		return
	}
	original := db.Error
	if e, ok := quietErr(original).(*quietError); ok {
		e.as = func(target any) bool { return errors.As(original, target) }
		db.Error = e
	}
}

// LogMode keeps the level's logger quiet.
func (q quietLogger) LogMode(l logger.LogLevel) logger.Interface {
	return quietLogger{q.inner.LogMode(l), q.dialect}.once()
}

// Info passes the text on, and of its arguments what is known to be no value.
func (q quietLogger) Info(ctx context.Context, text string, args ...any) {
	q.inner.Info(ctx, text, quietArgs(args)...)
}

// Warn is as Info.
func (q quietLogger) Warn(ctx context.Context, text string, args ...any) {
	q.inner.Warn(ctx, text, quietArgs(args)...)
}

// Error is as Info.
func (q quietLogger) Error(ctx context.Context, text string, args ...any) {
	q.inner.Error(ctx, text, quietArgs(args)...)
}

// Trace passes a statement on without values. The place it came from goes behind it, because inner would
// find this file there.
func (q quietLogger) Trace(ctx context.Context, begin time.Time, fc func() (string, int64), err error) {
	q.inner.Trace(ctx, begin, func() (string, int64) {
		text, rows := fc()
		return quietSQL(text, q.dialect) + callerComment(), rows
	}, quietErr(err))
}

// ParamsFilter keeps GORM from writing the parameters into the statement.
func (q quietLogger) ParamsFilter(_ context.Context, text string, _ ...any) (string, []any) {
	return text, nil
}

func quietArgs(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = "[withheld]"
		if err, ok := a.(error); ok {
			out[i] = quietErr(err)
		}
	}
	return out
}

// callerComment names the first caller of GORM.
func callerComment() string {
	var pcs [48]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	traced := false
	for {
		f, more := frames.Next()
		switch {
		case strings.HasSuffix(f.Function, "privacy.quietLogger.Trace"):
			traced = true
		case traced && !strings.HasPrefix(f.Function, "gorm.io/"):
			return fmt.Sprintf(" /* %s:%d */", f.File, f.Line)
		}
		if !more {
			return ""
		}
	}
}

// quietSQL puts ? in place of every literal. What it cannot read with certainty it leaves out.
func quietSQL(s, dialect string) string {
	end := len(s)
	if murky(s) {
		marks := "'\\#"
		if dialect != "postgres" {
			marks += `"`
		}
		for _, at := range []int{strings.IndexAny(s, marks), strings.Index(s, "--"), strings.Index(s, "/*")} {
			if at >= 0 {
				end = min(end, at)
			}
		}
	}
	var out strings.Builder
	for i := 0; i < end; {
		t, next := quietToken(s, i, dialect)
		out.WriteString(t)
		i = next
	}
	if end < len(s) {
		out.WriteString("… [the rest is withheld]")
	}
	return out.String()
}

// quietToken returns what to show of the token at i, and where the next one begins.
func quietToken(s string, i int, dialect string) (string, int) {
	switch c := s[i]; {
	case c == '\'':
		_, next := stringToken(s, i)
		return "?", next
	case c == '"' && dialect != "postgres": // a string on MySQL, and on SQLite where no column is called so
		_, next := quotedName(s, i)
		return "?", next
	case c == '"' || c == '`':
		_, next := quotedName(s, i)
		return s[i:next], next
	case c == '$':
		t, next := dollar(s, i)
		if t.kind == tokenString {
			return "?", next
		}
		return s[i:next], next
	case isWord(c):
		_, next := word(s, i)
		return s[i:next], next
	case c >= '0' && c <= '9':
		for i < len(s) && (s[i] == '.' || isWord(s[i]) || s[i] >= '0' && s[i] <= '9') {
			i++
		}
		return "?", i
	}
	return s[i : i+1], i + 1
}

// A quietError says of an error what is known to be no value. errors.Is sees the original; nothing else
// reaches it.
type quietError struct {
	text string
	is   func(error) bool
	as   func(any) bool // nil: what is behind it is for nobody
}

func (e *quietError) Error() string        { return e.text }
func (e *quietError) Is(target error) bool { return e.is(target) }
func (e *quietError) As(target any) bool   { return e.as != nil && e.as(target) }

// spoken are errors whose text is always the same.
func spoken() []error {
	return []error{
		ErrRefused, ErrUnbound, ErrUnreadable, ErrErased, ErrKey, errNoGob, errPurpose, errMaskGiven,
		gorm.ErrRecordNotFound, gorm.ErrDuplicatedKey, gorm.ErrForeignKeyViolated, gorm.ErrCheckConstraintViolated,
		gorm.ErrMissingWhereClause, gorm.ErrInvalidTransaction, gorm.ErrInvalidData, gorm.ErrInvalidField, gorm.ErrInvalidDB,
		gorm.ErrInvalidValue, gorm.ErrInvalidValueOfLength, gorm.ErrModelValueRequired, gorm.ErrModelAccessibleFieldsRequired,
		gorm.ErrSubQueryRequired, gorm.ErrPrimaryKeyRequired, gorm.ErrUnsupportedDriver, gorm.ErrUnsupportedRelation,
		gorm.ErrNotImplemented, gorm.ErrRegistered, gorm.ErrEmptySlice, gorm.ErrDryRunModeUnsupported, gorm.ErrPreloadNotAllowed,
		context.Canceled, context.DeadlineExceeded, sql.ErrNoRows, sql.ErrTxDone, sql.ErrConnDone, driver.ErrBadConn,
	}
}

func quietErr(err error) error {
	if err == nil {
		return nil
	}
	if q, ok := err.(*quietError); ok {
		return q
	}
	if canCompare(err) && slices.Contains(spoken(), err) {
		return err
	}
	var known []string
	describe(err, &known)
	text := strings.Join(known, "; ")
	if text == "" {
		text = fmt.Sprintf("%T", err)
	}
	return &quietError{
		text: text + " (the rest of the error may quote values and is withheld)",
		is:   func(t error) bool { return errors.Is(err, t) },
	}
}

func canCompare(err error) bool { return reflect.TypeOf(err).Comparable() }

// describe collects the refusals, fixed texts and codes in an error.
func describe(err error, known *[]string) {
	add := func(s string) {
		if !slices.Contains(*known, s) {
			*known = append(*known, s)
		}
	}
	switch e := err.(type) {
	case nil:
		return
	case *Refusal:
		add(e.Error())
		return
	case interface{ SQLState() string }:
		add(fmt.Sprintf("%T SQLSTATE %.5s", err, e.SQLState()))
	case interface{ Code() int }:
		add(fmt.Sprintf("%T code %d", err, e.Code()))
	default:
		v := reflect.Indirect(reflect.ValueOf(err))
		if v.Kind() == reflect.Struct && v.FieldByName("Number").IsValid() && v.FieldByName("Number").CanUint() {
			add(fmt.Sprintf("%T number %d", err, v.FieldByName("Number").Uint()))
		} else if canCompare(err) && slices.Contains(spoken(), err) {
			add(err.Error())
		}
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		describe(e.Unwrap(), known)
	case interface{ Unwrap() []error }:
		for _, child := range e.Unwrap() {
			describe(child, known)
		}
	}
}
