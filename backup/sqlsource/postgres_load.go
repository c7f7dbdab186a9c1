package sqlsource

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/confide-go/confide/backup"
)

// A copyForm is how COPY is told rows.
type copyForm interface {
	options() string
	begin(dst []byte) []byte
	row(dst []byte, row backup.Row) ([]byte, error)
	end(dst []byte) []byte
}

// copyAhead is how much is handed over at once. While it is on its way to the
// server, the next rows are written.
const copyAhead = 64 << 10

// load uses COPY, in its binary form if all columns of the table have one that
// is known here. FREEZE writes the rows as they are after a VACUUM, which the
// proof, the building of indexes and all later readers need not do again; it is
// possible because this transaction has made the table, and invisible before it
// commits for the same reason.
func (postgres) load(ctx context.Context, s *session, t *table, rows iter.Seq2[backup.Row, error]) error {
	var form copyForm = copyText{t.columns}
	if b, ok := newCopyBinary(t.columns); ok {
		form = b
	}
	statement := "COPY " + quoted(t.name) + " (" + t.list(func(c column) string { return quoted(c.name) }) + ") FROM STDIN WITH (" + form.options() + ")"
	out, in := io.Pipe()
	defer in.Close()
	var tag pgconn.CommandTag
	copied := make(chan error, 1)
	go func() {
		err := s.pgx(func(conn *pgx.Conn) (err error) {
			tag, err = conn.PgConn().CopyFrom(ctx, out, statement)
			return err
		})
		out.Close() // of no interest any more
		copied <- err
	}()
	written, failed := writeCopy(in, form, rows)
	in.CloseWithError(failed)
	err := <-copied
	switch {
	case failed != nil:
		return failed
	case err != nil:
		return fmt.Errorf("sqlsource: %w", withoutValues(err))
	case tag.RowsAffected() != written:
		return fmt.Errorf("sqlsource: the server took %d of %d rows of table %q", tag.RowsAffected(), written, t.name)
	}
	return nil
}

// writeCopy returns what is wrong with the rows. If nobody reads them any more,
// it is for the reader to say why.
func writeCopy(to io.Writer, form copyForm, rows iter.Seq2[backup.Row, error]) (written int64, err error) {
	buf := form.begin(make([]byte, 0, 2*copyAhead))
	for row, err := range rows {
		if err != nil {
			return written, err
		}
		if buf, err = form.row(buf, row); err != nil {
			return written, err
		}
		written++
		if len(buf) >= copyAhead {
			if _, err := to.Write(buf); err != nil {
				return written, nil
			}
			buf = buf[:0]
		}
	}
	_, _ = to.Write(form.end(buf))
	return written, nil
}
