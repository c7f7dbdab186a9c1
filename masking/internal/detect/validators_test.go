package detect

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The values are published examples: of the standards themselves, of card schemes' test pages, of RFCs and
// of python-stdnum.

func TestResidentCheck(t *testing.T) {
	// GB 11643-1999, annex: 11010519491231002X and 440524188001010014.
	for _, s := range []string{"11010519491231002X", "440524188001010014"} {
		assert.True(t, residentCheck([]byte(s)), s)
		for c := byte('0'); c <= '9'; c++ {
			if wrong := s[:17] + string(c); wrong != s {
				assert.False(t, residentCheck([]byte(wrong)), wrong)
			}
		}
	}
}

func TestCreditCodeCheck(t *testing.T) {
	// python-stdnum, stdnum.cn.uscc; GB 32100-2015 example 91350100M000100Y43.
	for _, s := range []string{"91110000600037341L", "91350100M000100Y43", "911201163409833307"} {
		assert.True(t, creditCode([]byte(s)), s)
		next := (strings.IndexByte(usccAlphabet, s[17]) + 1) % len(usccAlphabet)
		assert.False(t, creditCode([]byte(s[:17]+usccAlphabet[next:next+1])), s)
	}
	for _, s := range []string{"A1110000600037342L", "91110000600037342L", "91110000600037341I", "9111000060003734", "91990000600037341L"} {
		assert.False(t, creditCode([]byte(s)), s)
	}
}

func TestLuhn(t *testing.T) {
	for _, s := range []string{"4111111111111111", "5555555555554444", "2223003122003222", "378282246310005", "30569309025904",
		"6011111111111117", "3530111333300000", "79927398713", "6212345678900000003", "9999990000000006"} {
		assert.True(t, luhn([]byte(s)), s)
		last := s[len(s)-1]
		assert.False(t, luhn([]byte(s[:len(s)-1]+string('0'+(last-'0'+1)%10))), s)
	}
}

func TestMod97(t *testing.T) {
	for _, s := range []string{"GB82WEST12345698765432", "DE89370400440532013000", "FR1420041010050500013M02606", "NL91ABNA0417164300",
		"CH9300762011623852957", "SA0380000000608010167519", "NO9386011117947"} {
		assert.True(t, mod97([]byte(s)), s)
		assert.Equal(t, len(s), ibanLength(s[0], s[1]), s)
		assert.False(t, mod97([]byte(s[:len(s)-1]+string('0'+(s[len(s)-1]-'0'+1)%10))), s)
	}
}

func TestIslandChecks(t *testing.T) {
	for _, s := range []string{"A123456789", "A100000001"} {
		assert.True(t, taiwanCheck(s), s)
	}
	assert.False(t, taiwanCheck("A123456788"))
	assert.False(t, taiwanCheck("A323456789"))
	assert.True(t, hongKongCheck("A123456", '3'))
	assert.True(t, hongKongCheck("C123456", '9'))
	assert.True(t, hongKongCheck("AB987654", '3'))
	assert.False(t, hongKongCheck("A123456", '4'))
}

func TestBarCodesAreNotCards(t *testing.T) {
	assert.True(t, ean13([]byte("4006381333931")))
	assert.False(t, ean13([]byte("4006381333932")))
}

func TestCalendar(t *testing.T) {
	assert.True(t, dateIn([]byte("20000229")))
	assert.True(t, dateIn([]byte("19491231")))
	for _, s := range []string{"19000229", "20010229", "20001301", "20000001", "20000100", "17991231", "99990101"} {
		assert.False(t, dateIn([]byte(s)), s)
	}
}

func TestProvinceCodes(t *testing.T) {
	known := 0
	for a := byte('0'); a <= '9'; a++ {
		for b := byte('0'); b <= '9'; b++ {
			if provinceCode([]byte{a, b}) {
				known++
			}
		}
	}
	assert.Equal(t, 5+3+7+6+5+5+1+3+2, known)
}

func TestWordsStandByThemselves(t *testing.T) {
	for text, want := range map[string]topic{
		"my phone": tPhone, "api_key": tSecret, "apiKey": tSecret, "API-KEY": tSecret, "customerPhone": tPhone, "手机号码": tPhone, "订单号": tCode,
		"microphone": 0, "telephoneless": 0, "cardigan": 0, "discard": 0, "手续": 0,
	} {
		top, _ := words.endingAt(text, len(text))
		assert.Equal(t, want, top, text)
	}
	top, _ := near("my phones ", 10)
	assert.Equal(t, tPhone, top, "a plural")
	top, _ = near("phonetic ", 9)
	assert.Zero(t, top)
	top, _ = words.endingAt("phonetic", len("phone"))
	assert.Zero(t, top)
}

func TestTheNearestWordDecides(t *testing.T) {
	for text, want := range map[string]topic{
		"订单号 1，电话": tPhone, "电话 1，订单号": tCode, "电话：\n": tPhone, "电话。好的": 0, "电话\n好的": 0, "": 0, "无": 0,
	} {
		nearest, _ := near(text, len(text))
		assert.Equal(t, want, nearest, text)
	}
}
