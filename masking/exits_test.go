package masking_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html/template"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

var screen masking.Policy

func at(l masking.Level) masking.Policy {
	return masking.Policy{Level: func(context.Context) masking.Level { return l }}
}

func TestJSONMasksAndKeepsTheRest(t *testing.T) {
	for in, want := range map[string]string{
		` { "b" : 1.50, "a":[true,null,"x"] } `:            ` { "b" : 1.50, "a":[true,null,"x"] } `,
		`{"phone":"13800138000","a":"tel 13800138000"}`:    `{"phone":"138****8000","a":"tel 138****8000"}`,
		`{"手机号码":"13800138000","邮箱":"zs@example.com"}`:     `{"手机号码":"138****8000","邮箱":"z***@example.com"}`,
		`{"phone":["13800138000",{"x":13900000000}]}`:      `{"phone":["138****8000",{"x":"139****0000"}]}`,
		`{"password":{"a":1,"b":[true,"x"],"c":null}}`:     `{"password":{"a":"******","b":["******","******"],"c":null}}`,
		`{"13800138000":1,"note":"\u0031\u0033800138000"}`: `{"138****8000":1,"note":"138****8000"}`,
		`{"order_id":"13800138000","ts":1748503543012}`:    `{"order_id":"13800138000","ts":1748503543012}`,
		`{"note":"a\"b 13800138000 \u4e2d\n"}`:             `{"note":"a\"b 138****8000 中\u000a"}`,
		`13800138000`:                                      `"138****8000"`,
		`"13800138000"`:                                    `"138****8000"`,
		"\"\xff\"":                                         "\"\uFFFD\"",
	} {
		got, err := screen.JSON(context.Background(), nil, []byte(in))
		require.NoError(t, err, in)
		assert.Equal(t, want, string(got))
	}
}

func TestJSONGivesNothingForInvalidInput(t *testing.T) {
	for _, in := range []string{"", "{", `{"phone":"13800138000"`, `{"phone":13800138000,}`, `[1 2]`, `{"a" 1}`, `{a:1}`, "\"\n\"", `"\x"`, `01`, `1.`, `-`, `tru`, `{} {}`, `"a`, `"\`, `1e`} {
		got, err := screen.JSON(context.Background(), []byte("before"), []byte(in))
		require.ErrorIs(t, err, masking.ErrSyntax, in)
		assert.NotContains(t, err.Error(), "138")
		assert.ErrorContains(t, err, "at byte")
		assert.Equal(t, "before", string(got))
	}
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	_, err := screen.JSON(context.Background(), nil, []byte(deep))
	require.ErrorIs(t, err, masking.ErrSyntax)
}

func TestJSONAtOtherLevels(t *testing.T) {
	in := []byte(`{"phone":"13800138000","a":"tel 13800138000"}`)
	full, err := at(masking.Full).JSON(context.Background(), nil, in)
	require.NoError(t, err)
	assert.Equal(t, string(in), string(full))
	hidden, err := at(masking.Hidden).JSON(context.Background(), nil, in)
	require.NoError(t, err)
	assert.Equal(t, `{"phone":"******","a":"tel ******"}`, string(hidden))
}

func TestFormatIsSafeUnderEveryVerb(t *testing.T) {
	v := base{"13800138000"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%30v", "%T"} {
		for _, x := range []any{v, &v, "13800138000", []byte("13800138000"), 13800138000, []any{"13800138000"}, errors.New("13800138000")} {
			shown := fmt.Sprintf(verb, screen.Format(context.Background(), x))
			assert.NotContains(t, shown, "13800138000", verb)
			assert.NotContains(t, shown, fmt.Sprintf("%x", "13800138000"), verb)
			assert.NotContains(t, shown, fmt.Sprintf("%X", "13800138000"), verb)
		}
	}
	assert.Equal(t, "{Phone:138****8000}", fmt.Sprintf("%+v", screen.Format(context.Background(), v)))
	assert.Equal(t, "{13800138000}", fmt.Sprint(at(masking.Full).Format(context.Background(), v)))
	assert.Equal(t, "******", fmt.Sprint(screen.Format(context.Background(), struct {
		P int `mask:"phone"`
	}{1})), "what cannot be masked is not shown")
}

func TestRecordMasksCellsAndDefusesFormulas(t *testing.T) {
	kinds := []masking.Kind{masking.KindPhone, "", "-", masking.KindName}
	got := screen.Record(context.Background(), kinds, []string{"+86 13800138000", "=cmd|' 13800138000", "-1+2", "张三", "@tel 13800138000"})
	assert.Equal(t, []string{"'+86 138****8000", "'=cmd|' 138****8000", "'-1+2", "张*", "'@tel 138****8000"}, got)
	assert.Equal(t, []string{"", "'\uFF1D1"}, screen.Record(context.Background(), nil, []string{"", "\uFF1D1"}))
}

func TestTemplatesMaskAndEscape(t *testing.T) {
	page := template.Must(template.New("").Funcs(screen.Funcs(context.Background())).Parse(
		`{{mask "phone" .Phone}} {{mask "name" .Name}} {{masktext .Note}} {{mask "phone" .Sealed}} {{mask "phone" .Nil}}|{{mask "phone" .Number}}`))
	var out bytes.Buffer
	name := "<b>"
	require.NoError(t, page.Execute(&out, map[string]any{"Phone": "13800138000", "Name": &name, "Note": "<i> 13800138000", "Sealed": sealed("x"), "Number": 13800138000, "Nil": nil}))
	assert.Equal(t, "138****8000 *** &lt;i&gt; 138****8000 sealed at partial |138****8000", out.String())
	bad := template.Must(template.New("").Funcs(screen.Funcs(context.Background())).Parse(`{{mask "fone" .}}`))
	err := bad.Execute(&out, "13800138000")
	require.ErrorContains(t, err, "unknown word")
	assert.NotContains(t, err.Error(), "13800138000")
}

type coded struct{ code int }

func (coded) Error() string { return "row of 13800138000" }

func TestErrorsStayRecognisable(t *testing.T) {
	cause := fmt.Errorf("save: %w", coded{7})
	err := screen.Error(context.Background(), cause)
	require.EqualError(t, err, "save: row of 138****8000")
	var c coded
	require.ErrorAs(t, err, &c)
	assert.Equal(t, 7, c.code)
	require.ErrorIs(t, err, coded{7})
	require.NoError(t, screen.Error(context.Background(), nil))
	plain := errors.New("no rows")
	assert.Same(t, plain, screen.Error(context.Background(), plain))
	assert.Equal(t, cause, at(masking.Full).Error(context.Background(), cause))
}

func TestReportsHoldNoValues(t *testing.T) {
	r := masking.Find("电话13800138000，邮箱zs@example.com，再打13900000000")
	assert.Equal(t, "2 phone, 1 email", r.String())
	assert.Equal(t, map[masking.Kind]int{masking.KindPhone: 2, masking.KindEmail: 1}, r.Counts())
	assert.Equal(t, masking.Finding{Kind: masking.KindPhone, Rule: "shape", Start: 6, End: 17}, r[0])
	assert.NotContains(t, fmt.Sprintf("%+v", r), "138")
	assert.Equal(t, "nothing", masking.Find("").String())
}

type echo struct{}

func (echo) Token(k masking.Kind, value string) string { return fmt.Sprintf("<%s:%d>", k, len(value)) }

func TestTokensReplaceValuesAndFinds(t *testing.T) {
	p := at(masking.Token)
	assert.Equal(t, "******", p.Mask(context.Background(), masking.KindPhone, "13800138000"), "no key, nothing shown")
	p.Tokens = echo{}
	assert.Equal(t, "<phone:11>", p.Mask(context.Background(), masking.KindPhone, "13800138000"))
	assert.Equal(t, "tel <phone:11> now", p.Text(context.Background(), "tel 13800138000 now"))
	assert.Equal(t, "tel <phone:11> now", p.Mask(context.Background(), masking.KindText, "tel 13800138000 now"))
	assert.Equal(t, "******", p.Mask(context.Background(), "fone", "13800138000"))
}

func TestPolicyLevelGetsAContext(t *testing.T) {
	p := masking.Policy{Level: func(ctx context.Context) masking.Level {
		assert.NotNil(t, ctx)
		return masking.Full
	}}
	var none context.Context
	assert.Equal(t, "x", p.Text(none, "x"))
}

func TestTextKeepsDirectionControlsBalanced(t *testing.T) {
	assert.Equal(t, "\u202e138****8000\u202c x", masking.Text("\u202e13800138000\u202c x"))
	assert.Equal(t, "a\u202e 138****8000\u202c b", masking.Text("a\u202e 1380013\u202c8000 b"))
	assert.Equal(t, "a 138****8000\u2067 b\u2069", masking.Text("a 13800138\u2067000 b\u2069"))
}
