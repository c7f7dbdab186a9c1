package rbac_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/rbac"
)

type envKey struct{}

func inEnv(ctx context.Context, e rbac.Env) context.Context {
	return context.WithValue(ctx, envKey{}, e)
}

// whatServerKnows is the Config.Env of these tests.
func whatServerKnows(ctx context.Context) (rbac.Env, error) {
	e, _ := ctx.Value(envKey{}).(rbac.Env)
	return e, nil
}

func yes() *bool { b := true; return &b }
func no() *bool  { b := false; return &b }

// envConfig allows Doc to be read where the condition holds.
func envConfig(when string, effect rbac.Effect, clock time.Time) rbac.Config {
	p := rbac.Policy{Rules: []rbac.Rule{{ID: "env", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}, When: when, Effect: effect}}}
	if effect == rbac.Deny {
		p.Rules = append(p.Rules, rbac.Rule{ID: "all", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}})
	}
	return rbac.Config{Caller: whoAsks, Env: whatServerKnows, Policies: rbac.NewMemory(p), Record: rbac.Discard,
		Attrs: map[string]any{"zone": ""}, Resources: []rbac.Resource{{Model: &Doc{}}}, Now: func() time.Time { return clock }}
}

// TestEnvironment: what each condition says of each environment; an unknown one denies as allow rule and
// as deny rule.
func TestEnvironment(t *testing.T) {
	clock := time.Date(2026, 3, 29, 0, 59, 59, 9e8, time.UTC) // Berlin changes its clock one second later
	ip := func(s string) rbac.Env { return rbac.Env{IP: netip.MustParseAddr(s)} }
	const unknown = "unknown"
	for _, c := range []struct {
		when string
		env  rbac.Env
		zone any
		want string
	}{
		{`env.ip in cidr("10.0.0.0/8")`, ip("10.255.255.255"), nil, "true"},
		{`env.ip in cidr("10.0.0.0/8")`, ip("11.0.0.0"), nil, "false"},
		{`env.ip in cidr("10.0.0.0/8")`, ip("::ffff:10.1.2.3"), nil, "true"},
		{`env.ip in cidr("::/0")`, ip("::ffff:10.1.2.3"), nil, "false"},
		{`env.ip in cidr("10.0.0.0/8")`, ip("::10.1.2.3"), nil, "false"},
		{`env.ip in cidr("2001:db8::/32")`, ip("2001:db8:ffff::1"), nil, "true"},
		{`env.ip in cidr("2001:db8::/32")`, ip("2001:db9::"), nil, "false"},
		{`env.ip in cidr("fe80::/10")`, ip("fe80::1%eth0"), nil, "true"},
		{`env.ip in cidr("192.0.2.7/32")`, ip("192.0.2.7"), nil, "true"},
		{`env.ip in cidr("10.0.0.0/8")`, rbac.Env{}, nil, unknown},
		{`!(env.ip in cidr("10.0.0.0/8"))`, rbac.Env{}, nil, unknown},
		{`env.device_trusted`, rbac.Env{DeviceTrusted: yes()}, nil, "true"},
		{`env.device_trusted`, rbac.Env{DeviceTrusted: no()}, nil, "false"},
		{`!env.device_trusted`, rbac.Env{}, nil, unknown},
		{`env.assurance >= 2`, rbac.Env{Assurance: 2}, nil, "true"},
		{`env.assurance >= 2`, rbac.Env{Assurance: 1}, nil, "false"},
		{`env.assurance < 2`, rbac.Env{}, nil, unknown},
		{`env.assurance < 2`, rbac.Env{Assurance: -1}, nil, unknown},
		{`env.assurance in [2, 3]`, rbac.Env{Assurance: 3}, nil, "true"},
		{`env.auth_age < duration("15m")`, rbac.Env{AuthTime: clock.Add(-15*time.Minute + time.Second)}, nil, "true"},
		{`env.auth_age < duration("15m")`, rbac.Env{AuthTime: clock.Add(-15 * time.Minute)}, nil, "false"},
		{`duration("15m") > env.auth_age`, rbac.Env{AuthTime: clock.Add(30 * time.Second)}, nil, "true"},
		{`env.auth_age < duration("15m")`, rbac.Env{AuthTime: clock.Add(2 * time.Minute)}, nil, unknown},
		{`env.auth_age < duration("15m")`, rbac.Env{}, nil, unknown},
		{`env.auth_age > duration("15m")`, rbac.Env{}, nil, unknown},
		{`env.hour == 0 && env.weekday == 7`, rbac.Env{}, "UTC", "true"},
		{`env.hour == 1`, rbac.Env{}, "Europe/Berlin", "true"},
		{`env.hour == 8 && env.weekday == 7`, rbac.Env{}, "Asia/Shanghai", "true"},
		{`env.hour == 18 && env.weekday == 6`, rbac.Env{}, "Pacific/Honolulu", "false"},
		{`env.hour == 14 && env.weekday == 6`, rbac.Env{}, "Pacific/Honolulu", "true"},
		{`env.hour < 24`, rbac.Env{}, "Local", unknown},
		{`env.hour < 24`, rbac.Env{}, "", unknown},
		{`env.hour < 24`, rbac.Env{}, nil, unknown},
		{`env.hour < 24`, rbac.Env{}, "Mars/Olympus", unknown},
		{`env.hour < 24`, rbac.Env{}, "../etc/passwd", unknown},
		{`env.weekday in [1, 2, 3, 4, 5] || row.owner == "x"`, rbac.Env{}, "UTC", "true"},
	} {
		note := fmt.Sprintf("%s in %+v, zone %v", c.when, c.env, c.zone)
		attrs := map[string]any{}
		if c.zone != nil {
			attrs["zone"] = c.zone
		}
		ctx := inEnv(inContext(rbac.Caller{ID: "u", Attrs: attrs}), c.env)
		a, err := rbac.Open(t.Context(), envConfig(c.when, rbac.Allow, clock))
		require.NoError(t, err, note)
		require.Equal(t, c.want == "true", a.Check(ctx, "read", &Doc{Owner: "x"}) == nil, note)
		a, err = rbac.Open(t.Context(), envConfig(c.when, rbac.Deny, clock))
		require.NoError(t, err, note)
		require.Equal(t, c.want == "false", a.Check(ctx, "read", &Doc{Owner: "x"}) == nil, "denied by: "+note)
	}
}

// The hour that a change of the clock leaves out or repeats.
func TestHourAcrossClockChanges(t *testing.T) {
	for _, c := range []struct {
		at   time.Time
		want int
	}{
		{time.Date(2026, 3, 29, 0, 59, 59, 0, time.UTC), 1}, {time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC), 3},
		{time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC), 2}, {time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC), 2},
	} {
		a, err := rbac.Open(t.Context(), envConfig(fmt.Sprintf("env.hour == %d", c.want), rbac.Allow, c.at))
		require.NoError(t, err)
		ctx := inContext(rbac.Caller{ID: "u", Attrs: map[string]any{"zone": "Europe/Berlin"}})
		require.NoError(t, a.Check(ctx, "read", &Doc{}), c.at.String())
	}
}

func TestEnvironmentErrors(t *testing.T) {
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a, err := rbac.Open(t.Context(), envConfig(`env.hour < 24`, rbac.Allow, clock))
	require.NoError(t, err)
	err = a.Check(inContext(rbac.Caller{ID: "u", Attrs: map[string]any{"zone": int64(8)}}), "read", &Doc{})
	require.EqualError(t, err, `rbac: caller attribute "zone" is a int64 but declared as string in Config.Attrs`)

	cfg := envConfig(`env.assurance > 1`, rbac.Allow, clock)
	down := errors.New("session store is down")
	cfg.Env = func(context.Context) (rbac.Env, error) { return rbac.Env{Assurance: 3}, down }
	a, err = rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.ErrorIs(t, a.Check(inContext(rbac.Caller{ID: "u"}), "read", &Doc{}), down)
	require.EqualError(t, a.Check(inContext(rbac.Caller{ID: "u"}), "read", &Doc{}), "rbac: environment: session store is down")

	// A policy that does not ask is not kept from deciding.
	cfg.Policies = rbac.NewMemory(rbac.Policy{Rules: []rbac.Rule{{ID: "r", Role: rbac.Everyone, Resource: "doc", Actions: []string{"read"}}}})
	a, err = rbac.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.NoError(t, a.Check(inContext(rbac.Caller{ID: "u"}), "read", &Doc{}))
}

func TestRefusedEnvironment(t *testing.T) {
	for _, c := range []struct{ when, want string }{
		{`env.ip in cidr("10.0.0.1/8")`, "env.ip in cidr(\"10.0.0.1/8\"): write a network as cidr(\"10.0.0.0/8\") or cidr(\"2001:db8::/32\"), without bits behind its length"},
		{`env.ip in cidr("10.0.0.0")`, "env.ip in cidr(\"10.0.0.0\"): write a network as cidr(\"10.0.0.0/8\") or cidr(\"2001:db8::/32\"), without bits behind its length"},
		{`env.ip in cidr("::ffff:10.0.0.0/104")`, "env.ip in cidr(\"::ffff:10.0.0.0/104\"): write the network of IPv4 addresses as such, cidr(\"10.0.0.0/8\")"},
		{`env.ip in cidr(row.owner)`, "env.ip in cidr(row.owner): write a network as cidr(\"10.0.0.0/8\") or cidr(\"2001:db8::/32\"), without bits behind its length"},
		{`row.owner in cidr("10.0.0.0/8")`, "at column 11: found no matching overload for '@in' applied to '(string, confide.rbac.Network)'"},
		{`env.ip == "10.0.0.1"`, "at column 8: found no matching overload for '_==_' applied to '(confide.rbac.Address, string)'"},
		{`env.ip == env.ip`, `env.ip == env.ip: write env.ip in cidr("10.0.0.0/8")`},
		{`env.ip in [env.ip]`, "env.ip in [env.ip]: only strings and integers can be looked for in a list"},
		{`env.ip == null`, "env.ip == null is never true: only a column with a pointer or sql.Null type can be null"},
		{`env.auth_age < duration("1.5s")`, "duration(\"1.5s\"): write a duration as duration(\"24h\"), in whole seconds"},
		{`env.auth_age < 15`, "at column 14: found no matching overload for '_<_' applied to '(duration, int)'"},
		{`env.assurance == "2"`, "at column 15: found no matching overload for '_==_' applied to '(int, string)'"},
		{`env.mood == 1`, "env.mood: there is no such thing; there are ip, device_trusted, auth_age, assurance, hour and weekday"},
		{`cidr("10.0.0.0/8") == cidr("10.0.0.0/8")`, "cidr(\"10.0.0.0/8\") is not a column, an attribute of the caller or a literal"},
	} {
		_, err := rbac.Open(t.Context(), envConfig(c.when, rbac.Allow, time.Now()))
		require.EqualError(t, err, `rbac: policy refused: rule "env": condition: `+c.want, c.when)
	}
	cfg := envConfig(`env.assurance > 1`, rbac.Allow, time.Now())
	cfg.Env = nil
	_, err := rbac.Open(t.Context(), cfg)
	require.EqualError(t, err, `rbac: policy refused: rule "env": condition: env.assurance is unknown: set Config.Env`)
	cfg = envConfig(`env.hour > 1`, rbac.Allow, time.Now())
	cfg.Attrs = nil
	_, err = rbac.Open(t.Context(), cfg)
	require.EqualError(t, err, `rbac: policy refused: rule "env": condition: env.hour is that of the caller's zone: declare "zone" as a string in Config.Attrs`)
}

// envCondition writes a random condition on the environment, for condition.
func envCondition(r *rand.Rand) string {
	switch r.IntN(6) {
	case 0:
		return "env.ip in cidr(" + strconv.Quote(pick(r, []string{"10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32"})) + ")"
	case 1:
		return pick(r, []string{"env.device_trusted", "env.device_trusted == row.flag", "row.vip != env.device_trusted"})
	case 2:
		return "env.auth_age " + pick(r, []string{"<", ">=", "=="}) + ` duration("15m")`
	case 3:
		return pick(r, []string{"env.assurance >= 2", "env.assurance in [1, 9007199254740993]", "row.level < env.assurance", "env.assurance == row.big"})
	case 4:
		return pick(r, []string{"env.hour >= 8 && env.hour < 18", "row.small == env.hour", "env.hour in [0, 8, 23]"})
	}
	return pick(r, []string{"env.weekday in [1, 2, 3, 4, 5]", "env.weekday != 4", "row.small in [env.weekday, env.assurance]"})
}

// thingEnv is the environment of each of thingCallers; one has none.
func thingEnv(ctx context.Context) (rbac.Env, error) {
	switch c, _ := whoAsks(ctx); c.Tenant + c.ID {
	case "t1ann":
		return rbac.Env{IP: netip.MustParseAddr("::ffff:10.1.2.3"), DeviceTrusted: yes(), Assurance: 2, AuthTime: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}, nil
	case "t1Ann":
		return rbac.Env{IP: netip.MustParseAddr("2001:db8::1"), DeviceTrusted: no(), Assurance: 1}, nil
	}
	return rbac.Env{}, nil
}

// FuzzNetwork: a network is refused, or contains exactly the addresses that netip says it does.
func FuzzNetwork(f *testing.F) {
	for _, s := range []string{"10.0.0.0/8", "0.0.0.0/0", "::/0", "::ffff:0:0/96", "2001:db8::/32", "fe80::1%eth0/10", "010.0.0.0/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "", "a\"b"} {
		for _, ip := range []string{"10.1.2.3", "::ffff:10.1.2.3", "fe80::1%x", ""} {
			f.Add(s, ip)
		}
	}
	f.Fuzz(func(t *testing.T, network, ip string) {
		addr, _ := netip.ParseAddr(ip)
		a, err := rbac.Open(t.Context(), envConfig("env.ip in cidr("+strconv.Quote(network)+")", rbac.Allow, time.Now()))
		if err != nil {
			require.ErrorIs(t, err, rbac.ErrPolicy)
			return
		}
		p, err := netip.ParsePrefix(network)
		require.NoError(t, err, "accepted although it is no network")
		want := addr.IsValid() && p.Contains(addr.Unmap().WithZone(""))
		got := a.Check(inEnv(inContext(rbac.Caller{ID: "u"}), rbac.Env{IP: addr}), "read", &Doc{}) == nil
		require.Equal(t, want, got)
	})
}
