package audit

import (
	"fmt"
	"time"
)

// A Floor is how long a law or contract says that a log must be kept.
type Floor struct {
	Name string // named in the refusal, such as "Cybersecurity Law of the PRC, art. 21(3)"
	Keep time.Duration
}

// DefaultFloors are the floors of a Config that names none: the six months for
// which China's Cybersecurity Law, article 21(3), has network logs kept. Longer
// ones that often apply are 12 months (PCI DSS 10.5.1) and 6 years (HIPAA, 45
// CFR 164.316): whoever is bound by them lists them in Config.Floors.
func DefaultFloors() []Floor {
	return []Floor{{"Cybersecurity Law of the PRC, art. 21(3)", 184 * 24 * time.Hour}}
}

// checkKeep refuses a retention below a floor.
func (c *Config) checkKeep() error {
	if c.Keep < 0 {
		return fmt.Errorf("%w: Config.Keep is negative; 0 keeps events for ever", ErrInvalid)
	}
	floors := c.Floors
	if floors == nil {
		floors = DefaultFloors()
	}
	for _, f := range floors {
		if c.Keep != 0 && c.Keep < f.Keep {
			return fmt.Errorf("%w: Config.Keep is %s, but %s asks for %s; raise it, or set Config.Floors to what binds you", ErrInvalid, c.Keep, f.Name, f.Keep)
		}
	}
	return nil
}
