package backup

import "fmt"

// A Kind says how much a run may share with the snapshots before it. Whatever
// the kind, every snapshot is complete by itself: it lists all its chunks.
type Kind int

// The kinds of a run.
const (
	// Full begins a generation, which shares nothing with older ones: it reads
	// everything and seals everything anew.
	Full Kind = 0
	// Differential shares chunks with the full snapshot of its generation only.
	Differential Kind = 1
	// Incremental shares chunks with the newest snapshot.
	Incremental Kind = 2
)

func kindNames() []string { return []string{"full", "differential", "incremental"} }

// String returns "full", "differential" or "incremental".
func (k Kind) String() string {
	if k < Full || k > Incremental {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames()[k]
}

// ParseKind reads what String writes.
func ParseKind(name string) (Kind, error) {
	for i, known := range kindNames() {
		if name == known {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("backup: unknown kind of snapshot; use full, differential or incremental")
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) {
	if k < Full || k > Incremental {
		return nil, fmt.Errorf("backup: there is no kind of snapshot %d", int(k))
	}
	return []byte(k.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(text []byte) (err error) {
	*k, err = ParseKind(string(text))
	return err
}
