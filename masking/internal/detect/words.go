package detect

import (
	"strings"
	"unicode/utf8"

	"github.com/confide-go/confide/masking/internal/zh"
)

// topicList is a list of words, an underscore standing for a space inside one.
type topicList struct {
	topic topic
	words string
}

var topicWords = []topicList{
	{tPhone, `phone tel telephone mobile cell cellphone call contact fax dial ring sms whatsapp hotline phoneno phonenumber
		mobileno tel_no text_me reach_me my_number phone_number_is line answering messages_to message_to registered hotline ph mob viber signal telegram
		电话 电話 電話 手机 手機 手机号 手机号码 電話號碼 手機號碼 电话号码 联系方式 聯絡 联系 联络 致电 拨打 座机 固话 传真 来电 去电 热线 我的号码 打给
		联系电话 联系号码 短信 呼叫 微信同号 同号 mobile_phone 本机号码 预留号码 机主 通话 拨 call_me`},
	{tPhone, `telefon telefonnummer rufnummer handy handynummer mobil mobiltelefon mobilnummer festnetz durchwahl téléphone tél numéro_de_téléphone
		teléfono móvil celular telefono cellulare recapito telefone telemóvel telefoonnummer telefoon mobiel gsm komórka puhelin matkapuhelin cep_telefonu
		nomor_telepon telepon no_hp điện_thoại callback_number contact_number reachable reach_us my_cell your_number his_number her_number
		msisdn phone_no phone_num mobile_no mobile_num 携帯 携帯電話 電話番号 連絡先 전화 전화번호 휴대폰 핸드폰 휴대전화 연락처 联系手机 連絡電話 聯絡電話 行動電話 手机尾号 来电号码 呼入号码 收件电话 寄件电话 手机号是 热线电话`},
	{tBirth, `geb geboren geburtsdatum geburtstag né_le née_le date_de_naissance nato_il nata_il data_di_nascita nacido_el nacida_el nacimiento fecha_de_nacimiento
		nascido_em nascida_em data_de_nascimento geboortedatum urodzony urodzona född birthday_is born_on born_in 生年月日 생년월일 出生年 诞辰 诞生 诞生于`},
	{tAddress, `anschrift adresse adres dirección direccion indirizzo endereço adress osoite domicilio wohnhaft_in home_address billing_address shipping_address mailing_address
		postal_address delivery_address residential_address address_is 住所地 送货地址 寄件地址 发货地址 聯絡地址 通訊地址 戶籍地址 送貨地址 住處 居住地 办公地址 公司地址 单位地址 详细地址 房屋坐落 坐落于 现居 现居住 地址在 地址是`},
	{tCard, `card cc credit debit visa mastercard amex unionpay card_number cardno pan maestro discover jcb
		银行卡 银行卡号 卡号 信用卡 借记卡 储蓄卡 銀行卡 銀行帳號 卡號 银联 账号 账户 帐号 帐户 银行账号 收款账号 开户行 工行 建行 农行 中行 招行 交行 打款 转账到 转账至 尾号
		account bank_account account_number acct`},
	{tID, `身份证 身份证号 身份证号码 身份證 身分證 身分證字號 证件号 证件号码 證件號碼 公民身份号码 居民身份证 居住证 居留证 永居证 idcard id_card id_number
		id_no identity national_id hkid 香港身份证 香港身份證 台湾身份证 統一證號 sfz sfzh resident_id citizen_id nric idno 身份号码 居住證`},
	{tSSN, `ssn social_security social_security_number social_security_no soc_sec`},
	{tPassport, `passport passport_number passport_no 护照 護照 护照号 护照号码`},
	{tPermit, `通行证 通行證 回乡证 回鄉證 台胞证 臺胞證 台胞證 港澳居民 来往内地 往来港澳 往来台湾 来往大陆 home_return_permit travel_permit mainland_travel_permit`},
	{tMilitary, `军官证 軍官證 士兵证 士官证 文职证 军人证 军官 义务兵证 军官证号 军人保障卡 military_id military`},
	{tBirth, `出生 出生日期 出生年月 出生于 生日 生于 生於 birthday born dob date_of_birth birth birthdate birth_date d.o.b`},
	{tVersion, `version ver v release build firmware sdk section chapter kernel oid openssl 版本 版本号 固件 补丁 章节 升级到 内核 node python golang jdk`},
	{tCode, `order license licence driver_license order_id order_no order_number orderno orderid invoice tracking tracking_number waybill serial sn s/n batch lot sku upc ean barcode isbn issn
		trace traceid trace_id span spanid request requestid request_id uuid guid timestamp ts epoch nonce commit revision ticket case_number transaction transactionid txid imei imsi
		iccid model part_number zip postcode postal po hash checksum offset port pid thread seq sequence msgid
		订单 订单号 单号 编号 訂單 訂單編號 流水 流水号 交易号 序列号 批次 批号 快递单号 运单号 物流单号 发票 发票号 合同号 合同编号 工单 工单号 工号 学号 货号 型号 条码 条形码 商品编码 物料
		时间戳 追踪 链路 请求id 邮编 邮政编码 端口 版号 备案号 税号 票号 凭证号 报价单 采购单 设备号 资产编号 仓库 库位 任务id 会话id 参考号 受理号 案件号 课程号 准考证号 会员号 工程号 单据号 商户号
		消息id 日志id 业务号 房间号 会议号`},
	{tMoney, `amount price total sum balance cost 金额 总额 合计 价格 余额 总价 销售额 营收 人民币 浏览量 播放量 访问量 点击 人口 数量 面积 公里 产量 字节 bytes size length population views`},
	{tQQ, `qq qq号 qq号码 扣扣 企鹅号`},
	{tWeChat, `wechat wechat_id weixin wx vx 微信 微信号 微信id 威信`},
	{tGeo, `gps coordinates location lat latitude longitude lng lon 坐标 经纬度 经度 纬度 定位 位置`},
	{tUSCC, `统一社会信用代码 社会信用代码 信用代码 uscc 营业执照 营业执照号 纳税人识别号 credit_code`},
	{tHK, `香港 hong_kong hongkong hk 港 澳门 macau macao 澳門`},
	{tName, `本人 出租方 承租方 甲方 乙方 买受人 出卖人 被申请人 申诉人 上诉人 被上诉人 姓名 名字 联系人 聯絡人 收件人 收货人 寄件人 发件人 客户姓名 真实姓名 持卡人 户名 患者 患者姓名 申请人 投保人 被保险人 受益人 法定代表人 法人 负责人 经办人
		监护人 家长 学生 员工 业主 租客 房东 乘客 旅客 乘机人 入住人 预订人 投诉人 报案人 嫌疑人 被告 原告 证人 当事人 委托人 代理人 借款人 担保人 开户人 收款人 付款人 汇款人 参会人 签收人 客户 紧急联系人
		审核人 审批人 承办人 制单人 记录人 登记人 报告人 操作人 责任人 联络人 介绍人 推荐人 发货人 收貨人 收款方 付款方 户主 车主 房主 买家 卖家 司机 驾驶员 快递员 骑手 医生 医师 护士 班主任 用户 会员 签名 署名 落款
		家属 配偶 承办 法人代表 我的名字 被保人 出借人 租赁方 买方 卖方 丙方 委托方 受托方 聯繫人 申請人 負責人 客戶 病人 候选人 面试人 领取人 取件人 送货人 派件员 被执行人 申请执行人 律师 法官
		name full_name customer_name first_name last_name contact_name patient cardholder holder recipient`},
	{tAddress, `地址 住址 收货地址 家庭住址 居住地址 通讯地址 联系地址 收件地址 户籍地址 现住址 住所 户籍 家住 住在 位于 寄到 送到 送至 寄往 寄至 address addr street residence`},
	{tSecret, `password passwd pwd passphrase secret token api_key apikey api-key access_key accesskey secret_key secretkey private_key access_token refresh_token auth_token client_secret
		authorization credential 密码 口令 密钥 令牌 登录密码 支付密码 验证码 动态码 取款密码 cvv cvc passcode pin_code otp sessionid session_id cookie bearer x-api-key aws_secret_access_key`},
	{tPlate, `车牌 车牌号 车牌号码 车辆 号牌 plate license_plate 粤牌`},
	{tIBAN, `iban`},
	{tDesk, `office desk home work direct private 公司 办公 办公室 宅电 家里`},
	{tNetwork, `ip ip_address ip地址 host ipv4 ipv6 mac mac地址 server addr client remote 服务器 来源ip`},
}

// The characters outside ASCII, digits and marks aside, at which a recogniser is asked.
var (
	plateSet = zh.NewRunes(plateRegions)
	titleSet = zh.NewRunes(firstOfTitles())
	keySet   = zh.NewRunes(keyEndRunes)
)

// keyEndRunes end the words behind which a value can follow without a colon.
const keyEndRunes = "名人叫户者主客生长工址住码令信号方字员机师戶属是礼"

func firstOfTitles() string {
	var b strings.Builder
	for _, t := range titles {
		r, _ := utf8.DecodeRuneInString(t)
		b.WriteRune(r)
	}
	return b.String()
}
