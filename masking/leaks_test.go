package masking_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// Every case is a way in which another library leaked, crashed or masked the wrong thing. Each runs against
// our API; seen names where it was seen.
type leak struct {
	seen string
	run  func(t *testing.T) string // what a reader would see
	gone []string                  // must not be in it
	kept []string                  // must be in it
}

func text(s string) func(*testing.T) string {
	return func(*testing.T) string { return masking.Text(s) }
}

func copied[T any](v T) func(*testing.T) string {
	return func(t *testing.T) string {
		c, err := masking.Copy(v, masking.Partial)
		require.NoError(t, err)
		data, err := json.Marshal(c)
		require.NoError(t, err)
		return fmt.Sprintf("%+v %s", c, data)
	}
}

func logged(args ...any) func(*testing.T) string {
	return func(*testing.T) string {
		var out bytes.Buffer
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(masking.NewHandler(h, masking.HandlerConfig{})).Info("event", args...)
		}
		return out.String()
	}
}

type secretValuer struct{ password string }

func (s secretValuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("password", s.password), slog.String("note", "tel 13800138000"))
}

type base struct {
	Phone string `mask:"phone"`
}

type embedding struct {
	base
	Note string
}

type cyclic struct {
	Next  *cyclic
	Phone string `mask:"phone"`
}

type uuid [16]byte

var phoneText = "13800138000"

var leaks = []leak{
	{"Presidio #1607: a timestamp taken for a card", text("at 1748503543012 ms"), nil, []string{"1748503543012"}},
	{"Presidio #2075: MasterCard 2-series not found", text("card 2223003122003222"), []string{"222300312200"}, nil},
	{"Presidio #2075: UnionPay of 19 digits not found", text("pay 6212345678900000003 now"), []string{"621234567890"}, nil},
	{"Presidio #2073: Chinese in front hides the number (\\b)", text("身分證字號A100000001"), []string{"A100000001"}, nil},
	{"latitude #4318: 250 300 1000 taken for a telephone number", text("sizes 250 300 1000"), nil, []string{"250 300 1000"}},
	{"langfuse #2717: one card counted three times", func(*testing.T) string { return masking.Find("card 4111 1111 1111 1111").String() }, nil, []string{"1 card"}},
	{"godlp: spaced and prefixed mobiles missed", text("138 0013 8000, +8613800138000"), []string{"0013 8000", "13800138000"}, nil},
	{"godlp: full-width digits missed", text("手机１３８００１３８０００"), []string{"１３８００１３８０００"}, nil},
	{"godlp: 卡号 directly before a card missed", text("卡号6212345678900000003"), []string{"621234567890"}, nil},
	{"godlp: plates in text missed", text("车牌京A00001"), []string{"京A00001"}, nil},
	{"godlp: invalid UTF-8 out of a cut in the middle of a character", func(*testing.T) string { return masking.Name("欧阳娜娜") }, []string{"\xef\xbc", "娜"}, []string{"欧阳**"}},
	{"godlp: long input returned unmasked", func(*testing.T) string { return masking.Text(strings.Repeat("很长。", 1<<18) + "13800138000") }, []string{phoneText}, nil},
	{"godlp: the caller's object changed", func(t *testing.T) string {
		v := base{phoneText}
		_, err := masking.Copy(&v, masking.Partial)
		require.NoError(t, err)
		return v.Phone
	}, nil, []string{phoneText}},
	{"go-masker: 010-12345678 shown in full", func(*testing.T) string { return masking.Phone("010-12345678") }, []string{"12345678", "2345678"}, nil},
	{"go-masker #30: a long e-mail shown", func(*testing.T) string { return masking.Email("christopher.jonathan@example.com") }, []string{"jonathan", "chr"}, nil},
	{"go-masker #15: a bad e-mail panics", func(*testing.T) string { return masking.Email("@") + masking.Email("a@") + masking.Email("") }, []string{"@"}, nil},
	{"go-masker: 14 of 18 digits of an ID shown", func(*testing.T) string { return masking.ID("999001199001011232") }, []string{"9990011990"}, nil},
	{"go-masker: 13 of 19 digits of a card shown", func(*testing.T) string { return masking.Card("6212345678900000003") }, []string{"6212"}, nil},
	{"go-masker: an emoji family torn apart", func(*testing.T) string { return masking.Name("👨‍👩‍👧某") }, []string{"👨", "👧"}, nil},
	{"go-masker: map[string]string in clear", copied(map[string]string{"phone": phoneText, "a": "tel " + phoneText}), []string{phoneText}, nil},
	{"go-masker: any, []byte and *string dropped", copied(struct {
		A any     `mask:"phone"`
		B []byte  `mask:"phone"`
		C *string `mask:"phone"`
	}{phoneText, []byte(phoneText), &phoneText}), []string{phoneText}, []string{"138****8000"}},
	{"go-mask: an unknown tag prints the secret", func(*testing.T) string {
		_, err := masking.Copy(struct {
			P string `mask:"phnoe"`
		}{phoneText}, masking.Partial)
		return fmt.Sprint(err)
	}, []string{phoneText}, []string{"phnoe", "unknown"}},
	{"go-mask: tag names matched by prefix", func(*testing.T) string {
		_, err := masking.Copy(struct {
			P string `mask:"phonebook"`
		}{phoneText}, masking.Partial)
		return fmt.Sprint(err)
	}, nil, []string{"unknown"}},
	{"go-mask PR 3: a map of a named type panics", copied(map[masking.Kind]string{"phone": phoneText}), []string{phoneText}, nil},
	{"golang-masking-tool #13: uuid.UUID panics", copied(struct{ ID uuid }{uuid{1}}), nil, nil},
	{"houbb #21: a cycle overflows the stack", func(*testing.T) string {
		c := &cyclic{Phone: phoneText}
		c.Next = c
		_, err := masking.Copy(c, masking.Partial)
		return fmt.Sprint(err)
	}, []string{phoneText}, []string{"contains itself"}},
	{"houbb #24: nil in nested values panics", copied(struct {
		A *base
		B []*base
		C map[string]*base
		D any
		E error
	}{B: []*base{nil}, C: map[string]*base{"x": nil}}), nil, nil},
	{"masq #28: embedded fields vanish", copied(embedding{base{phoneText}, "tel " + phoneText}), []string{phoneText}, []string{"138****8000"}},
	{"masq #23: a decoding error crashes the process", logged("err", func() error {
		var v struct{ N int }
		return json.Unmarshal([]byte(`{"N":"13800138000"}`), &v)
	}()), nil, []string{"cannot unmarshal"}},
	{"masq: the whole message replaced for one find", logged("note", "call 13800138000 at noon"), []string{phoneText}, []string{"call 138****8000 at noon"}},
	{"masq: numbers, map keys and bytes leak", logged("num", 13800138000, "m", map[string]int{phoneText: 1}, "b", []byte("tel "+phoneText), "f", 13800138000.0),
		[]string{phoneText, "dGVsIDEz", "1.3800138e+10"}, []string{"138****8000"}},
	{"golang #62731: a group called data or behind LogValuer in clear", logged("user", secretValuer{"hunter2-long"}, slog.Group("data", "password", "hunter2-long")), []string{"hunter2-long", phoneText}, nil},
	{"agent-framework-go #622: LogValuer never resolved", logged(slog.Any("v", []any{secretValuer{"x"}, "tel " + phoneText})), []string{phoneText}, nil},
	{"mcpd #268: attributes set with With leak", func(*testing.T) string {
		var out bytes.Buffer
		slog.New(masking.NewHandler(slog.NewTextHandler(&out, nil), masking.HandlerConfig{})).With("password", "hunter2-long").WithGroup("g").Info("x", "phone", phoneText)
		return out.String()
	}, []string{"hunter2-long", phoneText}, nil},
	{"OTel #37239: the body of the record not covered", func(*testing.T) string {
		var out bytes.Buffer
		slog.New(masking.NewHandler(slog.NewTextHandler(&out, nil), masking.HandlerConfig{})).Info("sent to " + phoneText)
		return out.String()
	}, []string{phoneText}, nil},
	{"hutool: a@qq.com returned as it is", func(*testing.T) string { return masking.Email("a@example.com") }, []string{"a@"}, nil},
	{"hutool #3209: a card with spaces masked wrong", func(*testing.T) string { return masking.Card("6212 3456 7890 0000 003") }, []string{"6212", "7890"}, []string{"0 003"}},
	{"hutool: plates of another length returned as they are", func(*testing.T) string { return masking.Mask(masking.KindPlate, masking.Partial, "京A123") }, []string{"123"}, nil},
	{"Dataphin: one mask for every length tells the length of a secret", func(*testing.T) string {
		return fmt.Sprint(masking.Mask(masking.KindSecret, masking.Partial, "ab") == masking.Mask(masking.KindSecret, masking.Partial, strings.Repeat("ab", 99)))
	}, nil, []string{"true"}},
	{"json-masker: a number stays a number", func(t *testing.T) string {
		out, err := masking.Policy{}.JSON(context.Background(), nil, []byte(`{"phone":13800138000,"n":{"mobile":[13800138000]}}`))
		require.NoError(t, err)
		return string(out)
	}, []string{phoneText}, []string{`"138****8000"`}},
	{"argus #12: 任何评 taken for a name", text("联系人：任何评论都可以"), nil, []string{"任何评论"}},
	{"errors wrapped for a log keep their text", func(*testing.T) string {
		err := fmt.Errorf("save: %w", errors.New("duplicate 13800138000"))
		masked := masking.Policy{}.Error(context.Background(), err)
		return fmt.Sprintf("%v %+v %#v %s", masked, masked, masked.Error(), errors.Unwrap(masked))
	}, []string{phoneText}, []string{"138****8000"}},
}

func TestLeaksOfOthers(t *testing.T) {
	require.GreaterOrEqual(t, len(leaks), 25)
	for _, l := range leaks {
		t.Run(l.seen, func(t *testing.T) {
			shown := l.run(t)
			for _, s := range l.gone {
				assert.NotContains(t, shown, s)
			}
			for _, s := range l.kept {
				assert.Contains(t, shown, s)
			}
		})
	}
}
