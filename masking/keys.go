package masking

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// kindOfKey tells the kind of a value from the name it stands under: a log attribute, a JSON member, a
// struct field, a column. It knows phone_number, PhoneNumber, customer.phone and 手机号, and returns "" for
// a name that says nothing.
func kindOfKey(key string) Kind {
	const longest = 48
	if len(key) < 2 || len(key) > longest {
		return ""
	}
	var buf [longest]byte
	n, word := 0, 0 // word: start of the last word
	lower := false
	for i := range len(key) {
		c := key[i]
		switch {
		case c >= 'A' && c <= 'Z':
			if lower {
				word = n
			}
			buf[n] = c | 0x20
			n++
			lower = false
		case c >= utf8.RuneSelf:
			return kindOfHanKey(key)
		case c >= 'a' && c <= 'z', c-'0' < 10:
			buf[n] = c
			n++
			lower = true
		default:
			word, lower = n, false
		}
	}
	for n > word+1 && buf[n-1]-'0' < 10 { // phone2
		n--
	}
	if n < 2 {
		return ""
	}
	if k := kindOfWords(buf[:n]); k != "" || word == 0 {
		return k
	}
	return kindOfLastWord(buf[word:n])
}

// plainKey reports that a name is made of ASCII letters and marks alone. Nothing personal fits in there.
func plainKey(key string) bool {
	for i := range len(key) {
		if c := key[i]; !isLetter(c) && c != '_' && c != '.' && c != '-' && c != ' ' {
			return false
		}
	}
	return true
}

// kindOfWords knows whole keys, in lower case and without separators.
func kindOfWords(key []byte) Kind {
	switch string(key) {
	case "phonenumber", "phoneno", "mobileno", "mobilenumber", "cellphone", "contactnumber", "faxnumber":
		return KindPhone
	case "emailaddress", "mailaddress":
		return KindEmail
	case "fullname", "realname", "firstname", "lastname", "surname", "givenname", "familyname", "customername",
		"contactname", "personname", "patientname", "cardholder", "holdername", "xingming":
		return KindName
	case "idcard", "idcardno", "idcardnumber", "idno", "idnumber", "identitycard", "identityno", "identitynumber",
		"residentid", "nationalid", "sfz", "sfzh", "shenfenzheng":
		return KindID
	case "bankcard", "bankcardno", "cardno", "cardnumber", "creditcard", "creditcardnumber", "debitcard", "pan",
		"bankaccount", "accountnumber":
		return KindCard
	case "homeaddress", "streetaddress", "postaladdress", "billingaddress", "shippingaddress", "mailingaddress",
		"address", "street":
		return KindAddress
	case "licenseplate", "plateno", "platenumber", "carplate":
		return KindPlate
	case "passportno", "passportnumber":
		return KindPassport
	case "uscc", "creditcode", "socialcreditcode":
		return KindUSCC
	case "clientip", "remoteip", "ipaddress", "ipaddr", "userip":
		return KindIP
	case "macaddress", "macaddr":
		return KindMAC
	case "socialsecuritynumber":
		return KindSSN
	case "birthdate", "birthday", "dateofbirth", "dob":
		return KindBirthDate
	case "apikey", "secretkey", "privatekey", "accesskey", "accesstoken", "refreshtoken", "authorization", "pwd",
		"setcookie", "xapikey", "pin", "cvv", "cvc", "otp":
		return KindSecret
	case "wechat", "wechatid", "weixin", "openid", "unionid", "qq", "qqnumber":
		return KindChat
	}
	return kindOfLastWord(key)
}

// kindOfLastWord knows what customer_phone ends with.
func kindOfLastWord(word []byte) Kind {
	switch string(word) {
	case "phone", "mobile", "telephone", "tel", "fax", "msisdn":
		return KindPhone
	case "email", "mail":
		return KindEmail
	case "idcard":
		return KindID
	case "iban":
		return KindIBAN
	case "ssn":
		return KindSSN
	case "passport":
		return KindPassport
	case "ip":
		return KindIP
	case "birthday", "birthdate":
		return KindBirthDate
	case "password", "passwd", "passphrase", "secret", "token", "credential", "credentials", "cookie", "jwt":
		return KindSecret
	}
	return ""
}

// kindOfHanKey knows the Chinese headings of forms and spreadsheets by what they end with.
func kindOfHanKey(key string) Kind {
	key = strings.TrimRightFunc(key, func(r rune) bool { return !unicode.IsLetter(r) })
	for _, w := range hanKeys {
		if strings.HasSuffix(key, w.word) {
			return w.kind
		}
	}
	return ""
}

var hanKeys = [...]struct {
	word string
	kind Kind
}{
	{"手机", KindPhone}, {"手机号", KindPhone}, {"手机号码", KindPhone}, {"电话", KindPhone}, {"电话号码", KindPhone},
	{"联系方式", KindPhone}, {"邮箱", KindEmail}, {"电子邮件", KindEmail}, {"邮箱地址", KindEmail}, {"姓名", KindName},
	{"联系人", KindName}, {"收件人", KindName}, {"收货人", KindName}, {"身份证", KindID}, {"身份证号", KindID},
	{"身份证号码", KindID}, {"证件号", KindID}, {"证件号码", KindID}, {"银行卡", KindCard}, {"银行卡号", KindCard},
	{"卡号", KindCard}, {"银行账号", KindCard}, {"地址", KindAddress}, {"住址", KindAddress}, {"车牌", KindPlate},
	{"车牌号", KindPlate}, {"车牌号码", KindPlate}, {"护照", KindPassport}, {"护照号", KindPassport},
	{"护照号码", KindPassport}, {"信用代码", KindUSCC}, {"出生日期", KindBirthDate}, {"生日", KindBirthDate},
	{"密码", KindSecret}, {"口令", KindSecret}, {"令牌", KindSecret}, {"验证码", KindSecret}, {"微信", KindChat},
	{"微信号", KindChat}, {"QQ号", KindChat}, {"军官证", KindMilitary}, {"军官证号", KindMilitary},
}
