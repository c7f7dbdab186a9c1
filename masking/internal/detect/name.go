package detect

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/zh"
)

// introductions come before a Latin name; least is how many words make it one.
var introductions = [...]struct {
	word  string
	least int
}{
	{"Mr. ", 1}, {"Mr ", 1}, {"Mrs. ", 1}, {"Mrs ", 1}, {"Ms. ", 1}, {"Ms ", 1}, {"Miss ", 1}, {"Mx. ", 1}, {"Dr. ", 1}, {"Dr ", 1},
	{"Prof. ", 1}, {"Professor ", 1}, {"Dear ", 1}, {"I'm ", 2}, {"I am ", 2}, {"name is ", 1}, {"named ", 1}, {"name's ", 1}, {"Name is ", 1},
}

// nameValue reads a name behind a key. Without a colon only a Han name that ends where words end is taken.
func nameValue(w string, at int, marked bool) (Span, bool) {
	start := skipBlank(w, at, marked)
	if start >= len(w) {
		return Span{}, false
	}
	if isUpper(w[start]) && marked {
		return latinName(w, start, 1)
	}
	if end := hanName(w, start, marked || start > at); end > start {
		return Span{start, end, Name, Context, likely}, true
	}
	if r, _ := utf8.DecodeRuneInString(w[start:]); marked && r >= utf8.RuneSelf && unicode.IsUpper(r) {
		return latinName(w, start, 1)
	}
	return Span{}, false
}

// afterName are words that can follow a name without a break.
const afterName = "先生 女士 小姐 老师 经理 医生 律师 教授 主任 同学 师傅 电话 手机 联系 身份 邮箱 地址 性别 年龄 今年 已经 申请 购买 预约 办理 登录 提交 " +
	"要求 表示 反映 投诉 来电 咨询 下单 付款 签收 女性 男性 出生 住在 家住 银行 微信 本人 您好 你好 同志 以及 或者 之前 之后 昨天 今天 明天 上午 下午"

const afterNameRunes = "的在是于和与及或说因被住男女已将向从来到给，。、先有对把为等也都又要想由"

// hanName returns the end of the Han name at w[at:], or at. The end is certain where something other than
// Han follows; sure says that a key stands before it, so that two characters of given name may be assumed.
func hanName(w string, at int, sure bool) int {
	if end := dottedName(w, at); end > at {
		return end
	}
	surname := zh.Surname(w[at:])
	if surname == 0 || !sure && !zh.FrequentSurname(w[at:]) {
		return at
	}
	var ends [6]int
	n, i := 0, at+surname
	for i < len(w) && n < len(ends) {
		r, size := utf8.DecodeRuneInString(w[i:])
		if !isHan(r) {
			break
		}
		i += size
		ends[n] = i
		n++
	}
	switch {
	case n == 0 || wordFollows(w[at+surname:]) || n > 2 && organisation(w[at:]):
		return at
	case n <= 2:
		if n == 2 && (follows(w[ends[0]:]) || inName(w[at:ends[1]])) {
			return accept(w, at, ends[0])
		}
		return accept(w, at, ends[n-1])
	case follows(w[ends[1]:]) && !follows(w[ends[0]:]):
		return accept(w, at, ends[1])
	case follows(w[ends[0]:]):
		return accept(w, at, ends[0])
	case sure && n == 3 && surname > len("王"):
		return accept(w, at, ends[1])
	case sure:
		return accept(w, at, ends[1])
	}
	return at
}

// inName rejects two-character given names that are words after a short name: 张三说.
func inName(s string) bool {
	_, size := utf8.DecodeLastRuneInString(s)
	return strings.Contains("说的在是和与于", s[len(s)-size:])
}

// notNames begin like a surname and are words.
const notNames = "方案 成本 会员 来电 来访 来信 来源 来自 方式 方法 时间 高级 金额 全部 任何 任意 于是 应该 安全 安装 温度 路径 程序 时候 包括 向导 成功 成员 连接 车辆 国家 和平 平台 平均 " +
	"关系 关于 常见 常用 明确 明细 水平 白色 黄色 黑色 红色 单位 单号 项目 文件 文档 文本 文字 元素 何时 钱包 江苏 安徽 宁波 武汉 石家庄 云南 " +
	"别名 姓名 名称 方面 管理 经理 花费 满意 满足 强制 支持 支付 权限 计划 计算 顾客 游客 符合 党员 谈判 解决 解释 连续 高度 双方 万元 边界 " +
	"左右 水果 米饭 房屋 房间 汽车 金融 农业 农村 宣传 广东 广西 湖南 湖北 河北 河南 海南 云端 信息 信用 信号 申请 查询 查看 易于 空间 时长 " +
	"未知 匿名 保密 服务 系统 测试 用户 客服 客户 空白 不详 无名 空 暂无 向前 相关 相同 相应 路由 通用 通过 通知 贵公司 阳光 苗条 梅花"

func accept(w string, at, end int) int {
	name := w[at:end]
	if len(name) >= 6 && (notNameSet.has(name) || notNameSet.has(name[:6])) {
		return at
	}
	return end
}

var (
	notNameSet       = newSet(notNames)
	afterNameSet     = newSet(afterName)
	afterNameRuneSet = zh.NewRunes(afterNameRunes)
	particleSet      = newSet(particles)
	notLatinNameSet  = newSet(notLatinNames)
)

// follows reports whether s begins with a word that can follow a name, or with no Han at all.
func follows(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	if !isHan(r) || afterNameRuneSet.Has(r) {
		return true
	}
	return wordFollows(s)
}

func wordFollows(s string) bool {
	const two = len("先生")
	return len(s) >= two && s[0] >= 0xE4 && afterNameSet.has(s[:two])
}

// organisation reports that the run of Han at the beginning of s ends like a company and not like a person.
func organisation(s string) bool {
	end := 0
	for i, r := range s {
		if !isHan(r) || i > 60 {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	for _, tail := range [...]string{"公司", "集团", "银行", "医院", "大学", "学院", "中心", "工厂", "商店", "超市", "酒店", "学校", "委员会", "事务所"} {
		if strings.Contains(s[:end], tail) {
			return true
		}
	}
	return false
}

// dottedName is a name of several parts with middle dots: 阿卜杜·买买提.
func dottedName(w string, at int) int {
	end, part, dots := at, 0, 0
	for i := at; i < len(w) && i-at < 60; {
		r, size := utf8.DecodeRuneInString(w[i:])
		switch {
		case isHan(r):
			if part++; part > 7 {
				return at
			}
		case (r == 0xB7 || r == 0x2022 || r == 0x30FB || r == 0x2027) && part >= 1:
			dots++
			part = 0
		default:
			if dots > 0 && part > 0 {
				return i
			}
			return at
		}
		i += size
		end = i
		if dots > 0 && part >= 2 && follows(w[end:]) {
			return end
		}
	}
	if dots > 0 && part > 0 {
		return end
	}
	return at
}

// titles follow a name.
var titles = [...]string{"先生", "女士", "小姐", "老师", "经理", "医生", "律师", "教授", "主任", "博士", "同学", "师傅", "院长", "局长", "同志"}

// titled finds the name in front of a title at w[at:]. A bare surname is left: too many people share it.
func titled(w string, at int) (Span, bool) {
	for _, t := range titles {
		if strings.HasPrefix(w[at:], t) {
			return nameBefore(w, at)
		}
	}
	return Span{}, false
}

// gendered finds the name in 张三，男，1980年出生 from the character behind the comma.
func gendered(w string, at int) (Span, bool) {
	after, _ := utf8.DecodeRuneInString(w[at+len("男"):])
	before, size := utf8.DecodeLastRuneInString(w[:at])
	if !strings.ContainsRune("，,（( ", before) || !strings.ContainsRune("，,。；）) \n", after) && at+len("男") < len(w) || size == 0 {
		return Span{}, false
	}
	span, ok := nameBefore(w, at-size)
	return span, ok && breaks(w, span.Start)
}

// nameBefore finds the name that ends at w[:at].
func nameBefore(w string, at int) (Span, bool) {
	var starts [4]int
	n, i := 0, at
	for n < len(starts) && i > 0 {
		r, size := utf8.DecodeLastRuneInString(w[:i])
		if !isHan(r) {
			break
		}
		i -= size
		starts[n] = i
		n++
	}
	best := -1
	for k := 1; k < n; k++ {
		surname := zh.Surname(w[starts[k]:at])
		given := (at - starts[k] - surname) / len("王")
		if surname == 0 || given < 1 || given > 2 || accept(w, starts[k], at) == starts[k] {
			continue
		}
		if surname > len("王") || best < 0 || breaks(w, starts[k]) {
			best = k
		}
		if breaks(w, starts[k]) && surname == len("王") {
			break
		}
	}
	if best < 0 {
		return Span{}, false
	}
	return Span{starts[best], at, Name, Context, likely}, true
}

// breaks reports whether a word can begin at w[at:]: after punctuation, a preposition, or a word that
// announces a name.
func breaks(w string, at int) bool {
	r, _ := utf8.DecodeLastRuneInString(w[:at])
	if !isHan(r) || strings.ContainsRune("由请找给和与是为叫对向的让把被跟同及或", r) {
		return true
	}
	top, _ := words.endingAt(w, at)
	return top&(tName|tPhone) != 0
}

// particles stand inside Latin names in lower case.
const particles = "de da do dos das del della di la le van von der den ten ter bin binti ibn al el y af av zu e"

// latinName reads capitalised words, initials and particles at w[at:].
func latinName(w string, at, least int) (Span, bool) {
	end, count, i := at, 0, at
	for count < 5 {
		size := capitalised(w[i:])
		if size == 0 {
			next := strings.IndexByte(w[i:min(len(w), i+8)], ' ')
			if count == 0 || next <= 0 || !particleSet.has(w[i:i+next]) {
				break
			}
			i += next + 1
			continue
		}
		if notLatinNameSet.has(w[i : i+size]) {
			break
		}
		count++
		i += size
		if i < len(w) && w[i] == '.' && size == 1 { // an initial
			i++
		}
		end = i
		if i+1 >= len(w) || w[i] != ' ' {
			break
		}
		i++
	}
	if count < least {
		return Span{}, false
	}
	return Span{at, end, Name, Context, likely}, true
}

const notLatinNames = "Sir Madam Customer Customers Team All Friend Friends Colleague Colleagues User Users Diary God Lord Client Support I The A An This That Is " +
	"Not No Yes Null None Unknown Phone Email Address Tel Mobile Date Number ID SSN Company And Or"

// capitalised returns the length of the capitalised word s begins with.
func capitalised(s string) int {
	r, size := utf8.DecodeRuneInString(s)
	if !unicode.IsUpper(r) {
		return 0
	}
	for size < len(s) {
		r, n := utf8.DecodeRuneInString(s[size:])
		if isHan(r) || !unicode.IsLetter(r) && !unicode.IsMark(r) && !((r == '\'' || r == '-' || r == 0x2019) && size+1 < len(s) && isLetterAt(s[size+n:])) {
			break
		}
		if r == '\'' && hasPrefix(s[size+1:], "s") && (len(s) == size+2 || !isLetter(s[size+2])) {
			break // John's
		}
		size += n
	}
	return size
}

func isLetterAt(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}
