package detect

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/zh"
)

// nameValue reads a name behind a key. Without a colon only a Han name that ends where words end is taken.
func nameValue(w string, at int, marked bool) (Span, bool) {
	start := skipBlank(w, at, marked)
	if start < len(w) && hasPrefix(w[start:], "我") { // 叫我小明
		start += len("我")
		at = start
	}
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
	"要求 表示 反映 投诉 来电 咨询 下单 付款 签收 女性 男性 出生 住在 家住 银行 微信 本人 您好 你好 同志 以及 或者 之前 之后 昨天 今天 明天 上午 下午 完成 开了 开具 开出 就行 就好 打来 去了 提出 办了 取件 送货 发来 认证 实名 注册 充值 退款 退货 离职 入职 请假 审批 审核 通过 负责 到访 就诊 入院 出院 复诊 缴费 报名 参加 " +
	"报案 回复 留言 发送 发起 操作 修改 删除 创建 更新 确认 同意 拒绝 收到 收货 寄出 签字 签署 称其 称自 自称 因为 由于 患有 主诉 工号 编号 账号 账户 护照 车牌 名下 本次 任职 毕业 就读 来自 等人 夫妇 家属"

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
		r, size := decode(w, i)
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
	"未知 匿名 保密 服务 系统 测试 用户 客服 客户 空白 不详 无名 空 暂无 向前 相关 相同 相应 路由 通用 通过 通知 贵公司 阳光 苗条 梅花 马上 马路 马桶 张家口 马来西 黄金 唐山 唐朝 段落 段代 常州 温州 郑州 徐州 杭州 罗马 万一 白天 石油 毛利 花园 钟头 孔雀 段子 余下 江湖 江南 黄昏 " +
	"黄牛 陈述 陈旧 许可 许多 谢谢 曾经 董事 周末 周年 周一 周二 周三 周四 周五 周六 周日 周边 周期 沈阳 何必 何况 林业 高中 高铁 方便 金牌 安全员 成都 武器 武装 孟加拉 秦皇岛 邓白氏 叶子"

func accept(w string, at, end int) int {
	name := w[at:end]
	if _, size := utf8.DecodeLastRuneInString(name); strings.Contains("人员者们吗呢吧了啊号", name[len(name)-size:]) || strings.Contains(name, "的") {
		return at
	}
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
		if !isHan(r) || r == '的' || i > 60 {
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
		case isNameDot(r) && part >= 1:
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

// closing finds the name on a line of its own behind 此致敬礼, which ends at w[:at].
func closing(w string, at int) (Span, bool) {
	start := at
	for start < len(w) && start-at < 12 {
		r, size := utf8.DecodeRuneInString(w[start:])
		if !strings.ContainsRune(" \n\r！!。，\u3000", r) {
			break
		}
		start += size
	}
	if !strings.Contains(w[at:start], "\n") {
		return Span{}, false
	}
	end := hanName(w, start, true)
	return Span{start, end, Name, Context, likely}, end > start && endsLine(w, end)
}

// nameBefore finds the name that ends at w[:at].
func nameBefore(w string, at int) (Span, bool) {
	if start := dottedBefore(w, at); start < at {
		return Span{start, at, Name, Context, likely}, true
	}
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

// speaker finds the name in front of a colon in the export of a chat: [2024-03-15 14:32] 王小明：.
func speaker(w string, key int) (Span, bool) {
	const longest = 4 * len("王")
	start := key
	for start > 0 && key-start <= longest {
		r, size := utf8.DecodeLastRuneInString(w[:start])
		if !isHan(r) {
			break
		}
		start -= size
	}
	if key-start < 2*len("王") || key-start > longest || start < 6 || w[start-1] != ' ' ||
		!(w[start-2] == ']' && isDigit(w[start-3]) || isDigit(w[start-2]) && isDigit(w[start-3]) && w[start-4] == ':') {
		return Span{}, false
	}
	surname := zh.Surname(w[start:])
	given := (key - start - surname) / len("王")
	if !zh.FrequentSurname(w[start:]) || given < 1 || given > 2 || accept(w, start, key) == start || slices.Contains(titles[:], w[start+surname:key]) {
		return Span{}, false
	}
	return Span{start, key, Name, Context, likely}, true
}

// dottedBefore returns the start of the name of several parts that ends at w[:at], or at.
func dottedBefore(w string, at int) int {
	const longest = 60
	start, part, dots := at, 0, 0
	for start > 0 && at-start < longest {
		r, size := utf8.DecodeLastRuneInString(w[:start])
		switch {
		case isHan(r):
			part++
		case isNameDot(r) && part > 0:
			dots, part = dots+1, 0
		default:
			size = 0
		}
		if size == 0 || part > 7 || dots > 0 && part > 2 && breaks(w, start) {
			break
		}
		start -= size
	}
	if dots == 0 || part == 0 || part > 7 {
		return at
	}
	return start
}

func isNameDot(r rune) bool { return r == 0xB7 || r == 0x2022 || r == 0x30FB || r == 0x2027 }
