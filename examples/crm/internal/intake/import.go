package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"gorm.io/gorm"
)

// Counts says what became of the rows of a file.
type Counts struct{ New, Updated, Unchanged, Refused int }

func (c Counts) String() string {
	return fmt.Sprintf("%d new, %d updated, %d unchanged, %d refused", c.New, c.Updated, c.Unchanged, c.Refused)
}

// Progress is told from time to time how far an import is; size is 0 if unknown.
type Progress func(rows int, read, size int64)

// A Refusal is returned when rows of a file are wrong. Nothing of the file has
// been taken.
type Refusal struct {
	Rows    []error // each an *Error, the first MaxShown of them
	Refused int
}

// MaxShown is how many wrong rows an import reports before it stops looking.
const MaxShown = 20

func (r *Refusal) Error() string {
	return fmt.Sprintf("%v (%d of its rows refused, nothing imported)", errors.Join(r.Rows...), r.Refused)
}

// batchSize bounds the memory and the statements of an import.
const batchSize = 200

// A Taker takes the rows of one kind of sheet in batches.
type Taker interface {
	// check looks at one row alone.
	check(r *Reader, row Row) error
	// take compares a batch with what is stored and stores the difference. It
	// returns one error for each row that does not fit what is stored.
	take(ctx context.Context, tx *gorm.DB, r *Reader, rows []Row) (Counts, []error, error)
	// finish checks what only the whole file can show, and stores the rest.
	finish(ctx context.Context, tx *gorm.DB, r *Reader) ([]error, error)
}

// Import takes a whole sheet in one transaction, or nothing of it. A second
// import of the same file changes nothing.
func Import(ctx context.Context, tx *gorm.DB, r *Reader, t Taker, tell Progress) (Counts, error) {
	im := &importing{ctx: ctx, tx: tx, reader: r, taker: t, tell: tell, lines: map[string]int{}}
	if err := im.rows(); err != nil {
		return im.counts, err
	}
	wrong, err := t.finish(ctx, tx, r)
	if err != nil {
		return im.counts, err
	}
	im.refuse(wrong...)
	if im.counts.Refused > 0 {
		return im.counts, im.refusal()
	}
	return im.counts, nil
}

// importing is the state of one import.
type importing struct {
	ctx    context.Context
	tx     *gorm.DB
	reader *Reader
	taker  Taker
	tell   Progress
	lines  map[string]int // id to the line that has it
	batch  []Row
	read   int
	counts Counts
	wrong  []error
}

// rows reads, checks and takes all rows. Wrong rows are collected; an error
// means that the rest of the file cannot be read or the database failed.
func (im *importing) rows() error {
	for len(im.wrong) < MaxShown {
		row, err := im.reader.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = im.first(row)
		}
		if err != nil {
			im.refuse(err)
			if fatal(err) {
				break
			}
			continue
		}
		if im.batch = append(im.batch, row); len(im.batch) == batchSize {
			if err := im.take(); err != nil {
				return err
			}
		}
	}
	return im.take()
}

// first checks a row alone and against the rows before it.
func (im *importing) first(row Row) error {
	if err := im.ctx.Err(); err != nil {
		return err
	}
	id := row.Values["id"]
	if err := identifier(id); err != nil {
		return im.reader.at(row.Line, im.reader.Heading("id"), err.Error())
	}
	if line, twice := im.lines[id]; twice {
		return im.reader.at(row.Line, im.reader.Heading("id"), fmt.Sprintf("line %d has the same id; every row needs its own", line))
	}
	im.lines[id] = row.Line
	return im.taker.check(im.reader, row)
}

// take stores the batch. It goes on after a wrong row, which will undo it all, so
// that one run names every wrong row.
func (im *importing) take() error {
	rows := im.batch
	im.batch = nil
	im.read += len(rows)
	if len(rows) == 0 {
		return nil
	}
	counts, wrong, err := im.taker.take(im.ctx, im.tx, im.reader, rows)
	if err != nil {
		return fmt.Errorf("import into the database: %w", err)
	}
	im.counts.New += counts.New
	im.counts.Updated += counts.Updated
	im.counts.Unchanged += counts.Unchanged
	im.refuse(wrong...)
	if im.tell != nil {
		read, size := im.reader.Progress()
		im.tell(im.read, read, size)
	}
	return nil
}

// refusal lists the wrong rows in the order of the file.
func (im *importing) refusal() *Refusal {
	slices.SortStableFunc(im.wrong, func(a, b error) int { return cmp.Compare(lineOf(a), lineOf(b)) })
	return &Refusal{Rows: im.wrong, Refused: im.counts.Refused}
}

func lineOf(err error) int {
	var e *Error
	if errors.As(err, &e) {
		return e.Line
	}
	return 0
}

func (im *importing) refuse(wrong ...error) {
	im.counts.Refused += len(wrong)
	for _, err := range wrong {
		if len(im.wrong) < MaxShown {
			im.wrong = append(im.wrong, err)
		}
	}
}
