package rbac

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// Env is what the server knows of the request a caller makes; Config.Env returns it. What is left out is
// unknown, and unknown is denied. It comes from the connection and the session, never from what a request
// says about itself; package httpguard does that for net/http.
type Env struct {
	// IP is the client's address. IPv4 inside IPv6 counts as IPv4; a zone is ignored.
	IP netip.Addr
	// DeviceTrusted says whether the device is a managed one; nil: nobody knows.
	DeviceTrusted *bool
	// AuthTime is when the caller last proved who they are. More than a minute in the future is unknown.
	AuthTime time.Time
	// Assurance is how strong that proof was, for example 1 a password, 2 a second factor, 3 a key in
	// hardware. 0 or less is unknown.
	Assurance int64
}

// skew is how many seconds the clocks of two servers may be apart.
const skew = 60

// The type names of env, of env.ip and of cidr("...").
const (
	envType     = "confide.rbac.Env"
	addressType = "confide.rbac.Address"
	networkType = "confide.rbac.Network"
)

// envKind is the type of env.<name>; null means there is none.
func envKind(name string) kind {
	switch name {
	case "ip":
		return address
	case "device_trusted":
		return boolean
	case "auth_age":
		return period
	case "assurance", "hour", "weekday":
		return integer
	}
	return null
}

// envDeclarations are the parts of the environment that CEL must know of.
func envDeclarations() []cel.EnvOption {
	ip, network := cel.ObjectType(addressType), cel.ObjectType(networkType)
	return []cel.EnvOption{
		cel.Variable("env", cel.ObjectType(envType)),
		cel.Function("cidr", cel.Overload("cidr_string", []*cel.Type{cel.StringType}, network)),
		cel.Function(operators.In, cel.Overload("in_address_network", []*cel.Type{ip, network}, cel.BoolType)),
	}
}

// envName refuses what nobody would ever tell: a rule on it would deny, or worse be "corrected", later.
func (l *language) envName(field string) error {
	switch {
	case envKind(field) == null:
		return fmt.Errorf("env.%s: there is no such thing; there are ip, device_trusted, auth_age, assurance, hour and weekday", field)
	case field == "hour" || field == "weekday":
		if l.attrs["zone"] != text {
			return fmt.Errorf(`env.%s is that of the caller's zone: declare "zone" as a string in Config.Attrs`, field)
		}
	case !l.served:
		return fmt.Errorf("env.%s is unknown: set Config.Env", field)
	}
	return nil
}

// inNetwork translates env.ip in cidr("10.0.0.0/8").
func (t *translator) inNetwork(e ast.Expr, l operand, c ast.CallExpr) (*node, error) {
	s, ok := stringArg(c)
	network, err := netip.ParsePrefix(s)
	switch {
	case !ok || err != nil || network.Masked() != network:
		return nil, fmt.Errorf(`%s: write a network as cidr("10.0.0.0/8") or cidr("2001:db8::/32"), without bits behind its length`, t.source(e))
	case network.Addr().Is4In6():
		return nil, fmt.Errorf(`%s: write the network of IPv4 addresses as such, cidr("10.0.0.0/8")`, t.source(e))
	case l.from != fromEnv || l.kind != address:
		return nil, fmt.Errorf("%s: only env.ip can be looked for in a network", t.source(e))
	}
	return t.leaf(e, &node{op: opNetwork, left: l, network: &network}), nil
}

// duration translates duration("15m") where it stands for itself.
func (t *translator) duration(e ast.Expr, c ast.CallExpr) (operand, error) {
	s, ok := stringArg(c)
	d, err := time.ParseDuration(s)
	if !ok || err != nil || d%time.Second != 0 {
		return operand{}, fmt.Errorf("%s: write a duration as duration(\"24h\"), in whole seconds", t.source(e))
	}
	return operand{kind: period, val: value{kind: period, i: int64(d / time.Second)}}, nil
}

// asksEnv reports whether a condition needs circumstances.
func (n *node) asksEnv() bool {
	if n.left.from == fromEnv || n.right.from == fromEnv {
		return true
	}
	for i := range n.list {
		if n.list[i].from == fromEnv {
			return true
		}
	}
	for _, kid := range n.kids {
		if kid.asksEnv() {
			return true
		}
	}
	return false
}

// circumstances are what comes with one request beyond the caller. They are collected only for a policy
// that asks.
type circumstances struct {
	Env
	zones     *sync.Map
	granted   *grants
	approvals []approved
	supposed  map[*obligation]bool // taken as met, to find out what is missing
}

// withCircumstances is apart from asker, which is on the way of every decision.
func (a *Authorizer) withCircumstances(ctx context.Context, s *snapshot, who asker) (asker, error) {
	c, err := a.circumstances(ctx, s, &who)
	who.with = c
	return who, err
}

func (a *Authorizer) circumstances(ctx context.Context, s *snapshot, who *asker) (*circumstances, error) {
	c := &circumstances{zones: &a.zones, granted: grantsOf(ctx)}
	if a.cfg.Env != nil {
		env, err := a.cfg.Env(ctx)
		if err != nil {
			return nil, fmt.Errorf("rbac: environment: %w", err)
		}
		c.Env = env
	}
	return c, a.loadApprovals(ctx, s, who, c)
}

// inNetwork reports whether the client's address lies in the network.
func (n *node) inNetwork(e *env) tri {
	if e.who.with == nil || !e.who.with.IP.IsValid() {
		return unknown
	}
	return truth(n.network.Contains(e.who.with.IP.Unmap().WithZone("")))
}

// getEnv returns env.<name>, or null if it is unknown.
func (e *env) getEnv(name string) value {
	c := e.who.with
	if c == nil {
		return value{}
	}
	switch name {
	case "device_trusted":
		if c.DeviceTrusted != nil {
			return value{kind: boolean, i: bit(*c.DeviceTrusted)}
		}
	case "assurance":
		if c.Assurance > 0 {
			return value{kind: integer, i: c.Assurance}
		}
	case "auth_age":
		age := e.who.now - seconds(c.AuthTime)
		if !c.AuthTime.IsZero() && age >= -skew {
			return value{kind: period, i: max(0, age)}
		}
	case "hour", "weekday":
		return e.local(name)
	}
	return value{}
}

// local is the hour (0 to 23) or the weekday (1 Monday to 7 Sunday) where the caller is.
func (e *env) local(name string) value {
	zone, err := e.who.attr("zone", text)
	if err != nil && e.err == nil {
		e.err = err
	}
	loc := e.who.with.location(zone.s)
	if loc == nil {
		return value{}
	}
	at := time.Unix(e.who.now, 0).In(loc)
	if name == "hour" {
		return value{kind: integer, i: int64(at.Hour())}
	}
	return value{kind: integer, i: int64(at.Weekday()+6)%7 + 1}
}

// location finds a zone of the IANA database by its name. "Local", and no name, would be the server's zone.
func (c *circumstances) location(name string) *time.Location {
	if name == "" || name == "Local" {
		return nil
	}
	if loc, ok := c.zones.Load(name); ok {
		return loc.(*time.Location)
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	c.zones.Store(name, loc) // at most as many as there are zones
	return loc
}

// envField is the CEL type of env.<name>.
func envField(name string) *types.Type {
	return map[kind]*types.Type{
		address: types.NewObjectType(addressType), boolean: types.BoolType, period: types.DurationType, integer: types.IntType,
	}[envKind(name)]
}
