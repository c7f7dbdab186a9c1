package rbac_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/rbac"
)

func TestNamesOfRights(t *testing.T) {
	for right, name := range map[rbac.Right]string{rbac.Match: "match", everyRight: "match,range,sort,aggregate,export", rbac.ShowOnly: "show_only", rbac.Sort | rbac.Export: "sort,export"} {
		require.Equal(t, name, right.String())
		got, err := rbac.ParseRight(name)
		require.NoError(t, err)
		require.Equal(t, right, got)
	}
	for _, name := range []string{"", "match,", "match,match", "Match", " match", "all", "read"} {
		got, err := rbac.ParseRight(name)
		require.ErrorContains(t, err, "name each of match, range, sort, aggregate, export once, or show_only alone", name)
		require.Zero(t, got)
	}
	_, err := rbac.Right(64).MarshalText()
	require.EqualError(t, err, "rbac: Right(64) is not a right")
}

// Rights that say something else than they do are refused when the policy is written.
func TestPolicyWithImpossibleRights(t *testing.T) {
	a, err := rbac.Open(t.Context(), rbac.Config{Caller: whoAsks, Record: rbac.Discard, Resources: []rbac.Resource{{Model: &Vault{}}}, Policies: rbac.NewMemory(rbac.Policy{})})
	require.NoError(t, err)
	for want, f := range map[string]rbac.FieldRule{
		`Right(64) is not a right`:                                                             {Field: "owner", Rights: 64},
		`match,Right(128) is not a right`:                                                      {Field: "owner", Rights: rbac.Match | 128},
		`show_only stands alone: leave it out, or the others`:                                  {Field: "owner", Rights: rbac.Match | rbac.ShowOnly},
		`range without match: who may compare by < finds every value out, so give both`:        {Field: "*", Rights: rbac.Range},
		`is the blind index of phone: give the right on phone`:                                 {Field: "phone_hash", Rights: rbac.Match},
		`is sealed: the database knows no order of it, so neither sort nor range can be given`: {Field: "phone", Rights: rbac.Sort},
	} {
		f.Role, f.Resource = rbac.Everyone, "vault"
		err := a.Validate(rbac.Policy{Fields: []rbac.FieldRule{f}})
		require.EqualError(t, err, `rbac: policy refused: field rule vault.`+f.Field+` of role "*": `+want)
		require.ErrorIs(t, err, rbac.ErrPolicy)
	}
	require.NoError(t, a.Validate(rbac.Policy{Fields: []rbac.FieldRule{{Role: rbac.Everyone, Resource: "vault", Field: "*", Level: masking.Partial, Rights: everyRight}}}))
}

func TestExplainRight(t *testing.T) {
	a := cardAuthorizer(t,
		rbac.FieldRule{Role: "a", Field: "phone", Level: masking.Partial, Rights: rbac.Match, When: "row.owner == caller.id"},
		rbac.FieldRule{Role: "a", Field: "name", Level: masking.Full},
		rbac.FieldRule{Role: "c", Field: "phone", Level: masking.Partial, Rights: rbac.Match | rbac.Range | rbac.Sort},
	)
	explain := func(who string, right rbac.Right, field, owner string) rbac.Explanation {
		x, err := a.ExplainRight(inContext(rbac.Caller{ID: who}), right, field, &Card{ID: "k", Owner: owner, Phone: "13812345678"})
		require.NoError(t, err)
		require.Equal(t, right.String(), x.Action)
		require.NotContains(t, x.English+x.Chinese, "138")
		return x
	}
	x := explain("a", rbac.Match, "phone", "a")
	require.True(t, x.Allowed)
	require.Equal(t, `a (roles: a) may find rows by card.phone: a field rule of role "a" gives it where row.owner == caller.id (policy version 1).`, x.English)
	require.Equal(t, `a（角色：a）可以对 card.phone 按值匹配：角色“a”的字段规则在满足 row.owner == caller.id 时授予该权限（策略版本 1）。`, x.Chinese)
	x = explain("a", rbac.Match, "phone", "x")
	require.False(t, x.Allowed)
	require.Equal(t, `a (roles: a) may not find rows by card.phone: the right match is missing: no field rule of these roles gives it; that of role "a" does not hold: row.owner == caller.id; one of role "c" would (policy version 1).`, x.English)
	require.Equal(t, `a（角色：a）不可以对 card.phone 按值匹配：缺少权限 match：这些角色的字段规则均未授予；角色“a”的规则不满足：row.owner == caller.id；角色“c”的规则会授予（策略版本 1）。`, x.Chinese)
	x = explain("a", rbac.Sort, "Phone", "a")
	require.Equal(t, `a (roles: a) may not sort by card.phone: the right sort is missing: no field rule of these roles gives it; one of role "c" would (policy version 1).`, x.English)
	require.Equal(t, `a（角色：a）不可以对 card.phone 排序：缺少权限 sort：这些角色的字段规则均未授予；角色“c”的规则会授予（策略版本 1）。`, x.Chinese)
	require.Contains(t, explain("a", rbac.Export, "phone", "a").Chinese, "导出：缺少权限 export")
	require.Contains(t, explain("a", rbac.Range, "phone", "a").Chinese, "按范围查询：缺少权限 range")
	require.Contains(t, explain("a", rbac.Aggregate, "phone", "a").Chinese, "分组统计：缺少权限 aggregate")
	require.True(t, explain("b", rbac.Export, "name", "x").Allowed, "full gives all, also to those who inherit it")
	require.Contains(t, explain("nobody", rbac.Match, "id", "x").Chinese, "主键和租户列人人可用")
	require.False(t, explain("nobody", rbac.Export, "id", "x").Allowed)

	_, err := a.ExplainRight(inContext(rbac.Caller{ID: "a"}), rbac.Match|rbac.Sort, "phone", &Card{})
	require.EqualError(t, err, `rbac: explain: "match,sort" is not one right: ask for match, range, sort, aggregate or export`)
	_, err = a.ExplainRight(inContext(rbac.Caller{ID: "a"}), rbac.Match, "nope", &Card{})
	require.ErrorContains(t, err, `rbac: explain: card has no field "nope"; it has id, owner`)
	_, err = a.ExplainRight(t.Context(), rbac.Match, "phone", &Card{})
	require.ErrorIs(t, err, rbac.ErrNoCaller)
}

func FuzzParseRight(f *testing.F) {
	for _, s := range []string{"match", "match,sort", "show_only", "", ",", "range,match", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := rbac.ParseRight(s)
		if err != nil {
			require.Zero(t, r)
			return
		}
		again, err := rbac.ParseRight(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}
