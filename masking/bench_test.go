package masking_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/confide-go/confide/masking"
)

const cleanText = "系统于今日完成例行维护，所有服务恢复正常，请各部门关注后续通知并及时反馈使用中的问题。项目组已经完成第三阶段的开发工作，" +
	"测试团队正在进行回归测试，预计下周发布新版本。会议纪要已经上传到共享目录，请大家查阅并补充意见，谢谢配合。"

const denseText = "联系人：张伟，手机号19999012345，邮箱zhangwei@example.com，身份证号999001199001011232，银行卡号9999990000000006，" +
	"住址：广东省深圳市南山区虚构路12号3栋501室，IP 192.0.2.17，车牌粤B12345。"

var naive = []*regexp.Regexp{
	regexp.MustCompile(`1[3-9]\d{9}`), regexp.MustCompile(`[\w.+-]+@[\w-]+\.[\w.]+`), regexp.MustCompile(`\d{17}[\dXx]`),
	regexp.MustCompile(`\d{16,19}`), regexp.MustCompile(`\d+\.\d+\.\d+\.\d+`), regexp.MustCompile(`[京沪粤][A-Z][A-Z0-9]{5}`),
}

func repeat(s string, n int) string { return strings.Repeat(s, n/len(s)+1) }

// BenchmarkScan masks 64 KiB of text in which there is nothing to find, and in which there is little else.
func BenchmarkScan(b *testing.B) {
	for _, c := range []struct{ name, text string }{
		{"clean", repeat(cleanText, 64<<10)},
		{"dense", repeat(denseText, 64<<10)},
		{"english", repeat("The service was restored at noon and all teams have been informed of the cause. ", 64<<10)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(c.text)))
			b.ReportAllocs()
			for b.Loop() {
				_ = masking.Text(c.text)
			}
		})
	}
	for _, c := range []struct{ name, text string }{{"clean", cleanText}, {"dense", denseText}} {
		b.Run("regexp-"+c.name, func(b *testing.B) { // what people write by hand
			text := repeat(c.text, 64<<10)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s := text
				for _, re := range naive {
					s = re.ReplaceAllString(s, "***")
				}
			}
		})
	}
	b.Run("none", func(b *testing.B) { // the floor: copy the text
		text := repeat(cleanText, 64<<10)
		buf := make([]byte, 0, len(text))
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			buf = append(buf[:0], text...)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.Run("phone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf = masking.AppendPhone(buf[:0], "19999012345")
		}
	})
	b.Run("hand-written", func(b *testing.B) {
		s := "19999012345"
		for b.Loop() {
			buf = append(append(append(buf[:0], s[:3]...), "****"...), s[7:]...)
		}
	})
	for _, c := range []struct {
		kind masking.Kind
		s    string
	}{
		{masking.KindPhone, "+86 199-9901-2345"}, {masking.KindEmail, "someone@example.com"}, {masking.KindName, "王小明"},
		{masking.KindID, "999001199001011232"}, {masking.KindCard, "9999 9900 0000 0006"}, {masking.KindAddress, "广东省深圳市南山区虚构路1号"},
	} {
		b.Run(string(c.kind)+"-any", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buf = masking.AppendMask(buf[:0], c.kind, masking.Partial, c.s)
			}
		})
	}
}

// BenchmarkSlog logs five attributes through the masking handler and without it, in turns, so that the
// ratio does not depend on what else the machine does.
func BenchmarkSlog(b *testing.B) {
	plain := slog.New(slog.NewJSONHandler(io.Discard, nil))
	masked := slog.New(masking.NewHandler(slog.NewJSONHandler(io.Discard, nil), masking.HandlerConfig{}))
	ctx := context.Background()
	log := func(l *slog.Logger, user string) {
		l.LogAttrs(ctx, slog.LevelInfo, "order placed", slog.String("user", user), slog.Int("items", 3),
			slog.String("state", "new"), slog.Duration("took", 1500), slog.Bool("gift", true))
	}
	for _, c := range []struct{ name, user string }{{"clean", "u-1842"}, {"masked", "call 19999012345"}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			x := ratio(b, func() { log(masked, c.user) }, func() { log(plain, c.user) })
			b.ReportMetric(x, "x/plain")
		})
	}
	b.Run("plain", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			log(plain, "u-1842")
		}
	})
	b.Run("handler-alone", func(b *testing.B) {
		alone := slog.New(masking.NewHandler(discard{}, masking.HandlerConfig{}))
		none := slog.New(discard{})
		b.ReportMetric(ratio(b, func() { log(alone, "u-1842") }, func() { log(none, "u-1842") }), "x/none")
	})
}

func BenchmarkJSON(b *testing.B) {
	object := `{"id":184467,"created_at":"2026-01-05T08:30:00Z","state":"paid","phone":"19999012345","note":"请在工作日上午联系，谢谢",` +
		`"items":[{"sku":"AB-1042","title":"无线键盘","price":129.5,"count":2},{"sku":"AB-2077","title":"显示器支架","price":249,"count":1}],"tags":["vip","return"]}`
	src := []byte("[" + strings.TrimSuffix(strings.Repeat(object+",", 200), ",") + "]")
	b.Run("mask", func(b *testing.B) {
		var p masking.Policy
		buf := make([]byte, 0, 2*len(src))
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			out, err := p.JSON(context.Background(), buf[:0], src)
			if err != nil || len(out) == 0 {
				b.Fatal(err)
			}
		}
	})
	b.Run("none", func(b *testing.B) {
		buf := make([]byte, 0, 2*len(src))
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			buf = append(buf[:0], src...)
		}
	})
}

type eight struct {
	ID      string `mask:"-"`
	Name    string `mask:"name"`
	Phone   string `mask:"phone"`
	Email   string `mask:"email"`
	Card    string `mask:"card"`
	IDCard  string `mask:"id"`
	State   string
	Visited int
}

func BenchmarkStruct(b *testing.B) {
	v := eight{"c-1", "王小明", "19999012345", "someone@example.com", "9999990000000006", "999001199001011232", "active", 3}
	plan, err := masking.NewPlan[eight](masking.Policy{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("plan", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plan.Copy(context.Background(), v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hand-written", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c := v
			c.Name, c.Phone, c.Email = masking.Name(v.Name), masking.Phone(v.Phone), masking.Email(v.Email)
			c.Card, c.IDCard = masking.Card(v.Card), masking.ID(v.IDCard)
		}
	})
}

func BenchmarkStream(b *testing.B) {
	text := []byte(repeat(denseText, 1<<20))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w := masking.Policy{}.NewWriter(context.Background(), io.Discard)
		if _, err := io.Copy(w, bytes.NewReader(text)); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// ratio runs a in the benchmark's loop and b just as often beside it, and returns their times' ratio.
func ratio(b *testing.B, ours, theirs func()) float64 {
	b.Helper()
	const batch = 64
	var spent [2]float64
	for b.Loop() {
		for i, f := range []func(){ours, theirs} {
			start := now()
			for range batch {
				f()
			}
			spent[i] += float64(now().Sub(start))
		}
	}
	return spent[0] / spent[1]
}
