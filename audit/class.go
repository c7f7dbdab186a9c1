package audit

// A Class says what happens to an event when the log cannot be written.
type Class int

const (
	// Must events are in the database when Record returns nil; otherwise Record
	// returns an error and the act must be refused. It is the default of Record, and
	// inside a transaction every event is Must: it shares the transaction's fate.
	//
	// RecordApart cannot wait for the database. A Must event that it takes is on
	// the local disk when it returns, if Config.Spill is set; if the disk fails,
	// it returns an error.
	Must Class = 1 + iota

	// Should events do not stop the act: they go to Config.Spill while the
	// database does not take them and are written, exactly once, when it does. It
	// is the default of RecordApart, which has them on the local disk before it
	// returns, and of Seen, which writes them there only if the database fails.
	// Without Config.Spill they wait in memory. An event that finds room nowhere
	// is an error, and counted as lost.
	Should

	// BestEffort events wait in memory and never make anybody wait or fail. What
	// does not fit is counted as lost.
	BestEffort
)

// String is the name of the class as gap events carry it.
func (c Class) String() string {
	switch c {
	case Must:
		return "must"
	case Should:
		return "should"
	case BestEffort:
		return "best-effort"
	}
	return "unknown"
}

// OnFull says what happens to an event that finds the queue in memory full. In
// every case a BestEffort event is counted as lost, at once.
type OnFull int

const (
	// SpillOver writes Should events to Config.Spill. Others, and all if there
	// is no Spill, are refused with ErrFull.
	SpillOver OnFull = iota

	// Block waits for room as long as Config.BlockFor and the context allow, and
	// then does what SpillOver does.
	Block

	// Deny refuses with ErrFull.
	Deny
)

// class returns the class of an action.
func (l *Log) class(action string, otherwise Class) Class {
	if l.cfg.Class == nil {
		return otherwise
	}
	if c := l.cfg.Class(action); c >= Must && c <= BestEffort {
		return c
	}
	return otherwise
}
