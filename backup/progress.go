package backup

// Progress is where long work stands. Total is an estimate during Run and exact
// elsewhere; zero means unknown.
type Progress struct {
	Phase string // "copy", "verify", "survey", "restore", "prove"
	Table string // the table at work
	Rows  int64  // done, over all tables
	Total int64
	Bytes int64 // of those rows, uncompressed

	Stored int64 // bytes Run has put into the store so far
	Reused int64 // chunks Run did not have to store
}

// meter counts rows and reports now and then. It is used by one goroutine.
type meter struct {
	report func(Progress)
	now    Progress
	next   int64
	read   int64 // rows that Run has read from the source
	work   func() (stored, reused int64)
}

const reportEvery = 1000

func newMeter(report func(Progress), phase string, total int64) *meter {
	return &meter{report: report, now: Progress{Phase: phase, Total: total}}
}

func (m *meter) table(name string) {
	m.now.Table = name
	m.flush()
}

func (m *meter) add(rows, bytes int64) {
	m.now.Rows += rows
	m.now.Bytes += bytes
	if m.now.Rows >= m.next {
		m.flush()
	}
}

func (m *meter) flush() {
	m.next = m.now.Rows + reportEvery
	if m.work != nil {
		m.now.Stored, m.now.Reused = m.work()
	}
	if m.report != nil {
		m.report(m.now)
	}
}
