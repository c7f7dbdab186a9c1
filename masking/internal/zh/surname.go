// Package zh holds the few word lists that Chinese names and addresses need.
package zh

import "unicode/utf8"

// compound are the surnames of two characters that are in use.
const compound = "欧阳 歐陽 司马 司馬 上官 诸葛 諸葛 夏侯 东方 東方 皇甫 尉迟 尉遲 公孙 公孫 慕容 令狐 司徒 司空 长孙 長孫 " +
	"宇文 端木 轩辕 軒轅 南宫 南宮 闻人 聞人 钟离 鍾離 呼延 澹台 澹臺 公冶 太史 申屠 公羊 赫连 赫連 濮阳 濮陽 淳于 单于 單于 " +
	"仲孙 仲孫 万俟 萬俟 东郭 東郭 南门 南門 百里 西门 西門 独孤 獨孤 拓跋 宗政 第五 纳兰 納蘭 完颜 完顏 梁丘 左丘 公良 " +
	"夹谷 夾谷 宰父 谷梁 段干 漆雕 乐正 樂正 壤驷 巫马 巫馬 公西 颛孙 子车 鲜于 鮮于 闾丘 亓官 司寇 达奚 爱新觉罗"

// single are the common surnames of one character; they cover well over 99 % of the population.
const single = "王李张劉刘陈陳杨楊黄黃赵趙周吴吳徐孙孫马馬朱胡郭何林高罗羅郑鄭梁谢謝宋唐许許邓鄧韩韓冯馮曹彭曾肖萧蕭田董袁潘于" +
	"蔡余杜叶葉程魏苏蘇吕呂丁任卢盧姚沈鍾钟姜崔谭譚陆陸范汪廖石金韦韋贾賈夏付方邹鄒熊白孟秦邱江尹薛闫阎閻段雷侯龙龍史陶黎贺賀" +
	"顾顧毛郝龚龔邵万萬钱錢严嚴覃武戴莫孔向汤湯常温溫康施文牛樊葛邢安齐齊易乔喬伍庞龐颜顏倪庄莊聂聶章鲁魯岳翟殷詹申欧歐耿关關兰蘭" +
	"焦俞左柳甘祝包宁寧尚符舒阮柯纪紀梅童凌毕畢单單季裴霍涂塗成苗谷盛曲翁冉骆駱蓝藍路游辛靳管柴蒙鲍鮑华華喻祁蒲房滕屈饶饒解牟" +
	"艾尤阳陽时時穆农農司卓古吉缪繆简簡车車项項连連芦蘆麦麥褚娄婁窦竇戚岑景党黨宫宮费費卜冷晏席卫衛米柏宗瞿桂全佟应應臧闵閔苟" +
	"邬鄔边邊卞姬师師和仇栾欒隋商刁沙荣榮巫寇桑郎甄丛叢仲虞敖巩鞏明佘池查麻苑迟遲邝鄺官封谈談匡鞠惠荆荊乐樂冀郁胥南班储儲原栗燕" +
	"楚鄢劳勞谌諶奚皮粟冼蔺藺楼樓盘盤满滿闻聞位厉厲伊仝区區郜海阚闞花权權强強帅帅屠豆朴盖蓋练練廉禹井祖漆巴丰豐支卿国國狄平计計" +
	"索宣晋晉相初门門云雲容敬来來扈晁芮都普阙闕浦戈伏鹿薄邸雍辜羊阿乌烏母裘亓修邰赫杭况況那宿鲜鮮印逯隆茹诺諾战戰慕危玉银銀亢嵇" +
	"公哈湛宾賓戎勾茅利於呼居揭干但尉冶斯元束檀衣信展阴陰昝智幸奉植衡富尧堯闭閉由"

// frequent are surnames that are common and seldom begin another word.
const frequent = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蔡蒋余杜叶苏魏吕丁沈姚卢姜崔钟谭陆汪范廖贾夏韦邹孟熊秦邱尹薛闫段雷侯龙陶黎贺顾毛郝龚邵钱严覃武戴莫孔汤" +
	"張劉陳楊黃趙吳孫馬羅鄭謝許韓馮鄧蕭葉蘇魏呂盧鐘鍾譚陸賈鄒龍賀顧龔錢嚴湯蔣"

var frequents = NewRunes(frequent)

// FrequentSurname reports whether name starts with a surname that is hardly ever anything else.
func FrequentSurname(name string) bool {
	r, _ := utf8.DecodeRuneInString(name)
	return frequents.Has(r) || CompoundSurname(name)
}

var (
	compounds = newSet(compound)
	singles   = NewRunes(single)
	firsts    = NewRunes(compound) // characters of compound surnames: a quick test
)

// CompoundSurname reports whether name starts with a surname of two characters.
func CompoundSurname(name string) bool {
	const two = len("欧阳")
	if len(name) < two {
		return false
	}
	r, _ := utf8.DecodeRuneInString(name)
	return firsts.Has(r) && compounds.has(name[:two])
}

// Surname returns the length in bytes of the surname name starts with, or 0.
func Surname(name string) int {
	if CompoundSurname(name) {
		return len("欧阳")
	}
	if r, size := utf8.DecodeRuneInString(name); singles.Has(r) {
		return size
	}
	return 0
}
