package spill_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/audit/internal/spill"
)

var (
	key    = bytes.Repeat([]byte{7}, 32)
	newKey = bytes.Repeat([]byte{8}, 32)
)

func open(t testing.TB, dir string, limit int64) *spill.Dir {
	t.Helper()
	d, err := spill.Open(dir, [][]byte{key}, limit)
	require.NoError(t, err)
	return d
}

// found is what somebody who adopts a directory gets.
type found struct {
	records []string
	faults  []string
	ledgers []string
	fail    error // returned by Store
}

func (f *found) legacy() spill.Legacy {
	return spill.Legacy{
		Store: func(_ string, records [][]byte) error {
			if f.fail != nil {
				return f.fail
			}
			for _, r := range records {
				f.records = append(f.records, string(r))
			}
			return nil
		},
		Report: func(_ string, fault spill.Fault) error {
			f.faults = append(f.faults, fmt.Sprintf("%d: %s", fault.Records, fault.Why))
			return nil
		},
		Ledger: func(_ string, ledger []byte) error { f.ledgers = append(f.ledgers, string(ledger)); return nil },
	}
}

func adopt(t testing.TB, dir string) *found {
	t.Helper()
	f := &found{}
	d := open(t, dir, 0)
	require.NoError(t, d.Adopt(f.legacy()))
	require.NoError(t, d.Close(false))
	return f
}

// die lets a session look like one of a dead process: its lock goes, its files stay.
func die(t testing.TB, d *spill.Dir) {
	t.Helper()
	require.NoError(t, d.Close(true))
}

func add(t testing.TB, d *spill.Dir, records ...string) *spill.Segment {
	t.Helper()
	list := make([][]byte, len(records))
	for i, r := range records {
		list[i] = []byte(r)
	}
	s, err := d.Append(list...)
	require.NoError(t, err)
	return s
}

func files(t testing.TB, dir, suffix string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	require.NoError(t, err)
	return list
}

func TestWhatADeadProcessLeftIsAdoptedOnceAndInOrder(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, 0)
	for i := range 1000 {
		add(t, d, fmt.Sprint("r", i))
	}
	require.NoError(t, d.SaveLedger([]byte("first")))
	require.NoError(t, d.SaveLedger([]byte("second")))
	die(t, d)

	f := adopt(t, dir)
	require.Len(t, f.records, 1000)
	for i, r := range f.records {
		require.Equal(t, fmt.Sprint("r", i), r)
	}
	require.Equal(t, []string{"second"}, f.ledgers)
	require.Empty(t, f.faults)
	require.Empty(t, files(t, dir, ""), "nothing is left")
	require.Equal(t, &found{}, adopt(t, dir))
}

func TestALivingProcessIsNotAdopted(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, 0)
	add(t, d, "mine")
	require.Empty(t, adopt(t, dir).records)
	var got []string
	s := add(t, d, "late")
	d.Strand(s, 2)
	require.NoError(t, d.Replay(func(records [][]byte) error {
		for _, r := range records {
			got = append(got, string(r))
		}
		return nil
	}, func(spill.Fault) error { return errors.New("no fault here") }))
	require.Equal(t, []string{"mine", "late"}, got)
	require.Empty(t, files(t, dir, ".spill"))
	require.NoError(t, d.Close(false))
	require.Empty(t, files(t, dir, ""))
}

func TestManyProcessesTakeEachDeadOneOnce(t *testing.T) {
	dir := t.TempDir()
	for i := range 20 {
		d := open(t, dir, 0)
		add(t, d, fmt.Sprint("r", i))
		die(t, d)
	}
	var mu sync.Mutex
	var all []string
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			d, err := spill.Open(dir, [][]byte{key}, 0)
			if err != nil {
				t.Error(err)
				return
			}
			f := &found{}
			if err := d.Adopt(f.legacy()); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, f.records...)
			if err := d.Close(false); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(all)
	require.Len(t, all, 20)
	require.Len(t, slices.Compact(all), 20)
	require.Empty(t, files(t, dir, ""))
}

func TestAFailedAdoptionKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, 0)
	add(t, d, "a", "b")
	die(t, d)
	again := open(t, dir, 0)
	f := &found{fail: errors.New("database is away")}
	require.ErrorIs(t, again.Adopt(f.legacy()), f.fail)
	require.Empty(t, f.ledgers, "the ledger comes after the records")
	f.fail = nil
	require.NoError(t, again.Adopt(f.legacy()))
	require.Equal(t, []string{"a", "b"}, f.records)
}

func TestSegmentsWithFlyingRecordsAreNotReplayed(t *testing.T) {
	d := open(t, t.TempDir(), 0)
	s := add(t, d, "stranded", "flying")
	d.Strand(s, 1)
	calls := 0
	replay := func() {
		require.NoError(t, d.Replay(func(r [][]byte) error { calls += len(r); return nil }, nil))
	}
	replay()
	require.Zero(t, calls)
	d.Done(s, 1)
	replay()
	require.Equal(t, 2, calls, "the whole file is handed out; the receiver recognises what it has")
	replay()
	require.Equal(t, 2, calls)
	n, size := d.Stranded()
	require.Zero(t, n)
	require.Zero(t, size)
}

func TestStoredSegmentsAreReused(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, 0)
	big := strings.Repeat("x", 60<<10)
	for range 40 {
		s := add(t, d, big, big)
		d.Done(s, 2)
	}
	list := files(t, dir, ".spill")
	require.Len(t, list, 1)
	info, err := os.Stat(list[0])
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(600<<10))
	add(t, d, "after")
	die(t, d)
	f := adopt(t, dir)
	require.Equal(t, "after", f.records[len(f.records)-1])
	require.Empty(t, f.faults)
}

func TestALimitIsKeptAndReleased(t *testing.T) {
	d := open(t, t.TempDir(), 10_000)
	var segments []*spill.Segment
	var err error
	for err == nil {
		var s *spill.Segment
		if s, err = d.Append(make([]byte, 1000)); err == nil {
			segments = append(segments, s)
		}
	}
	require.ErrorIs(t, err, spill.ErrFull)
	require.Len(t, segments, 9)
	for _, s := range segments {
		d.Strand(s, 1)
	}
	require.NoError(t, d.Replay(func([][]byte) error { return nil }, nil))
	_, err = d.Append(make([]byte, 1000))
	require.NoError(t, err)
}

func TestRefusals(t *testing.T) {
	d := open(t, t.TempDir(), 0)
	for _, n := range []int{0, spill.MaxRecord + 1} {
		_, err := d.Append(make([]byte, n))
		require.ErrorContains(t, err, fmt.Sprintf("a record of %d bytes; give 1 to 65536", n))
	}
	require.ErrorContains(t, d.SaveLedger(make([]byte, spill.MaxLedger+1)), "fit")
	require.NoError(t, d.Close(false))
	_, err := d.Append([]byte("x"))
	require.ErrorContains(t, err, "is closed")
	require.ErrorContains(t, d.SaveLedger(nil), "is closed")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = spill.Open(file, [][]byte{key}, 0)
	require.Error(t, err)
}

// dead makes a directory with one dead session of three records and returns the file.
func dead(t testing.TB) (dir, segment, session string) {
	dir = t.TempDir()
	d := open(t, dir, 0)
	add(t, d, "one", "two", "three")
	require.NoError(t, d.SaveLedger([]byte("ledger")))
	die(t, d)
	return dir, files(t, dir, ".spill")[0], files(t, dir, ".session")[0]
}

func TestTornAndEditedFiles(t *testing.T) {
	const header = 20 + 1 + 16 + 8
	const record = 4 + 3 + 32 // of "one" and "two"
	for name, c := range map[string]struct {
		change  func(b []byte) []byte
		records []string
		faults  []string
	}{
		"torn in the header":       {func(b []byte) []byte { return b[:header-3] }, nil, nil},
		"empty":                    {func([]byte) []byte { return nil }, nil, nil},
		"torn in a length":         {func(b []byte) []byte { return b[:header+2*record+2] }, []string{"one", "two"}, nil},
		"torn in the data":         {func(b []byte) []byte { return b[:header+2*record+6] }, []string{"one", "two"}, nil},
		"torn in the MAC":          {func(b []byte) []byte { return b[:len(b)-1] }, []string{"one", "two"}, nil},
		"zeros where data was":     {func(b []byte) []byte { return append(b[:header+record], make([]byte, 5000)...) }, []string{"one"}, nil},
		"zeros behind the end":     {func(b []byte) []byte { return append(b, make([]byte, 40)...) }, []string{"one", "two", "three"}, nil},
		"a flipped bit":            {func(b []byte) []byte { b[header+record+5] ^= 1; return b }, []string{"one", "three"}, []string{"1: a record is not what was written, or was written with another key"}},
		"a flipped bit at the end": {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, []string{"one", "two"}, []string{"1: a record is not what was written, or was written with another key"}},
		"a record taken out":       {func(b []byte) []byte { return append(b[:header], b[header+record:]...) }, nil, []string{"2: a record is not what was written, or was written with another key"}},
		"a record repeated":        {func(b []byte) []byte { return append(b, b[header:header+record]...) }, []string{"one", "two", "three"}, []string{"1: a record is not what was written, or was written with another key"}},
		"an impossible length":     {func(b []byte) []byte { b[header] = 0xff; return b }, nil, []string{"1: a record's length is impossible; what follows cannot be found"}},
		"a length of zero":         {func(b []byte) []byte { copy(b[header:], []byte{0, 0, 0, 0}); return b }, nil, []string{"1: a record's length is impossible; what follows cannot be found"}},
		"another file": {func([]byte) []byte {
			return []byte("PK\x03\x04 is no segment of ours, and long enough to have a header")
		}, nil, []string{"1: it does not begin like a segment"}},
		"another short file": {func([]byte) []byte { return []byte("PK") }, nil, []string{"1: it does not begin like a segment"}},
		"another version":    {func(b []byte) []byte { b[20] = 9; return b }, nil, []string{"1: its version 9 is not known; upgrade the library"}},
		"another session":    {func(b []byte) []byte { b[21] ^= 1; return b }, nil, []string{"1: it belongs to another session"}},
		"another number":     {func(b []byte) []byte { b[header-1] ^= 1; return b }, nil, []string{"1: it belongs to another session"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir, segment, _ := dead(t)
			b, err := os.ReadFile(segment)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(segment, c.change(b), 0o600))
			f := adopt(t, dir)
			require.Equal(t, c.records, f.records)
			require.Equal(t, c.faults, f.faults)
			require.Equal(t, []string{"ledger"}, f.ledgers)
			require.Len(t, files(t, dir, ".bad"), len(c.faults), "what could not be read is kept")
			require.NoFileExists(t, segment)
		})
	}
}

func TestTheLedgerSurvivesATornWrite(t *testing.T) {
	dir, _, session := dead(t)
	b, err := os.ReadFile(session)
	require.NoError(t, err)
	require.Len(t, b, 16<<10)
	b[20] ^= 1 // turn 2 is in slot 0: what "ledger" overwrote is the empty one in slot 1
	require.NoError(t, os.WriteFile(session, b, 0o600))
	f := adopt(t, dir)
	require.Equal(t, []string{""}, f.ledgers)
	require.Empty(t, f.faults)

	dir, _, session = dead(t)
	require.NoError(t, os.WriteFile(session, make([]byte, 100), 0o600))
	f = adopt(t, dir)
	require.Equal(t, []string{"0: its ledger is not what was written, or was written with another key"}, f.faults)
	require.Len(t, f.records, 3)
}

func TestAnotherKeyReadsNothingAndRemovesNothingSilently(t *testing.T) {
	dir, _, _ := dead(t)
	other, err := spill.Open(dir, [][]byte{newKey}, 0)
	require.NoError(t, err)
	f := &found{}
	require.NoError(t, other.Adopt(f.legacy()))
	require.Empty(t, f.records)
	require.Len(t, f.faults, 2)
	require.Len(t, files(t, dir, ".bad"), 1)
}

func TestConcurrentAppendsShareOneFileInOrder(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, 0)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for n := range 20 {
				if _, err := d.Append(fmt.Appendf(nil, "%02d-%02d", i, n)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	die(t, d)
	f := adopt(t, dir)
	require.Len(t, f.records, 320)
	last := map[string]string{}
	for _, r := range f.records {
		require.Greater(t, r, last[r[:2]], "the order of one writer is lost")
		last[r[:2]] = r
	}
}

// A disk that is full in the middle of a write leaves a part behind. What was
// acknowledged before stays readable, and so does what comes after.
func TestAFullDiskLosesNothingAcknowledged(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, 0)
	add(t, d, "before")
	segment := files(t, dir, ".spill")[0]
	require.NoError(t, os.Rename(segment, segment+"x"))
	require.NoError(t, os.Mkdir(segment, 0o700)) // no append can work
	_, err := d.Append([]byte("refused"))
	require.Error(t, err)
	require.NotContains(t, err.Error(), "refused")
	require.NoError(t, os.Remove(segment))
	require.NoError(t, os.Rename(segment+"x", segment))
	b, err := os.ReadFile(segment)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(segment, append(b, 0, 0, 0, 9, 'r', 'e'), 0o600)) // the part
	add(t, d, "after")
	require.Len(t, files(t, dir, ".spill"), 2, "nothing may follow a part of a record")
	die(t, d)
	f := adopt(t, dir)
	require.Equal(t, []string{"before", "after"}, f.records)
	require.Empty(t, f.faults)
}

// Whatever is cut or changed: nothing comes out that was not written, and what
// is missing besides a torn end is reported.
func TestCutsAndChangesProperty(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, segment, _ := dead(t)
		b, err := os.ReadFile(segment)
		require.NoError(t, err)
		at := rapid.IntRange(0, len(b)-1).Draw(rt, "at")
		cut := rapid.Bool().Draw(rt, "cut")
		if cut {
			b = b[:at]
		} else {
			b[at] ^= byte(rapid.IntRange(1, 255).Draw(rt, "flip"))
		}
		require.NoError(t, os.WriteFile(segment, b, 0o600))
		f := adopt(t, dir)
		rest := []string{"one", "two", "three"}
		for _, r := range f.records {
			i := slices.Index(rest, r)
			require.GreaterOrEqual(t, i, 0)
			rest = rest[i+1:]
		}
		if cut {
			require.Empty(t, f.faults)
		} else if len(f.records) < 3 {
			// A length that was changed to reach behind the end looks like a torn record.
			torn := len(f.faults) == 0
			require.True(t, !torn || (at-45)%39 < 4, "lost without a word at %d", at)
		}
	})
}

func FuzzSegment(f *testing.F) {
	dir, segment, _ := dead(f)
	good, err := os.ReadFile(segment)
	require.NoError(f, err)
	require.NoError(f, os.RemoveAll(dir))
	f.Add(good)
	f.Add(good[:60])
	f.Add([]byte("confide audit spill\n\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir, segment, _ := dead(t)
		require.NoError(t, os.WriteFile(segment, b, 0o600))
		require.Empty(t, adopt(t, dir).records, "records of another session came out")
	})
}

func TestAfterARotationOlderSessionsAreStillRead(t *testing.T) {
	dir, _, _ := dead(t)
	d, err := spill.Open(dir, [][]byte{newKey, key}, 0)
	require.NoError(t, err)
	f := &found{}
	require.NoError(t, d.Adopt(f.legacy()))
	require.Equal(t, &found{records: []string{"one", "two", "three"}, ledgers: []string{"ledger"}}, f)
}
