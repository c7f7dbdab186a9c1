// Package pglisten tells instances of an application on PostgreSQL that the policy changed, as the change
// commits, by NOTIFY and LISTEN.
//
//	store, err := gormpolicy.New(ctx, gormpolicy.Config{DB: db, Notify: pglisten.Notify})
//	go authz.Watch(ctx, rbac.Watch{Hint: pglisten.New(dsn)})
//
// It only saves time: whatever is lost on the way is found by the next poll of the version.
package pglisten

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
)

const channel = "confide_policy"

// Notify is a gormpolicy.Config.Notify. PostgreSQL delivers the notification when tx commits, and never if
// it rolls back. CockroachDB has no NOTIFY: leave it out there.
func Notify(ctx context.Context, tx *gorm.DB, version int64) error {
	return tx.WithContext(ctx).Exec("SELECT pg_notify(?, ?)", channel, strconv.FormatInt(version, 10)).Error
}

// Listener is an rbac.Hint with a connection of its own. It is for one Watch.
type Listener struct {
	dsn  string
	conn *pgx.Conn
}

// New returns a listener that connects when it is first waited for.
func New(dsn string) *Listener { return &Listener{dsn: dsn} }

// Wait returns when some instance changed the policy, and also when it has just connected: what happened
// before went unheard. Its connection ends with ctx.
func (l *Listener) Wait(ctx context.Context) error {
	if l.conn == nil {
		return l.connect(ctx)
	}
	if _, err := l.conn.WaitForNotification(ctx); err != nil {
		l.close()
		return fmt.Errorf("pglisten: wait: %w", err)
	}
	return nil
}

func (l *Listener) connect(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, l.dsn)
	if err != nil {
		return fmt.Errorf("pglisten: connect: %w", err) // pgx leaves the password out
	}
	l.conn = conn
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		l.close()
		return fmt.Errorf("pglisten: listen: %w", err)
	}
	return nil
}

// close says good-bye even when the context that was waited with is over.
func (l *Listener) close() {
	const patience = time.Second
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = l.conn.Close(ctx)
	l.conn = nil
}
