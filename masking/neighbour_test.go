package masking_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/confide-go/confide/masking"
)

// What stands beside a number decides whether it is whole. Chinese glued to it does not make it longer;
// letters, digits and decimals do.
func TestNeighboursOfANumber(t *testing.T) {
	values := map[masking.Kind]string{
		masking.KindPhone: "13800138000", masking.KindID: "999102196503124527", masking.KindCard: "4111111111111111", masking.KindIP: "192.0.2.17",
		masking.KindSSN: "078-05-1120", masking.KindMAC: "00:00:5e:00:53:01",
	}
	for k, v := range values {
		for _, around := range []string{"%", "在%上", "（%）", "“%”", " %\n", "，%。", "号码%是", "\u200b%\u200b", "<%>", "[%]", "'%'", "值%；", "%，", "x:%", "值=%"} {
			found := masking.Find(strings.Replace(around, "%", v, 1))
			if assert.Len(t, found, 1, "%s in %q", k, around) {
				assert.Equal(t, k, found[0].Kind, around)
				assert.Equal(t, len(v), found[0].End-found[0].Start, around)
			}
		}
		beside := []string{"a%", "%a", "x%y", "_%", "%_"}
		if k != masking.KindIP && k != masking.KindMAC {
			beside = append(beside, "9%", "%9", "\uFF11%", "%\uFF11")
		}
		for _, around := range beside {
			for _, f := range masking.Find(strings.Replace(around, "%", v, 1)) {
				assert.NotEqual(t, k, f.Kind, "%s in %q", k, around)
			}
		}
	}
	for _, s := range []string{
		"13800138000.5", "0.13800138000", "13800138000%", "$13800138000", "￥13800138000", "€13800138000", "SKU-13800138000", "13800138000-12345678",
		"1.192.0.2.17", "192.0.2.17.1", "v192.0.2.17", "192.0.2.17-beta", "#13800138000", "v1.2.3.4", "138-0013-8000-99", "第13800138000号",
	} {
		assert.Empty(t, masking.Find(s), s)
	}
}

// A number keeps to itself: each of these would be found but for one thing.
func TestNearMissesAreNotFound(t *testing.T) {
	for _, s := range []string{
		"12800138000", "1380013800", "138001380001", "4111111111111112", "9111111111111111", "999102196503124520", "999102196513124520", "009102196503124528",
		"GB82WEST12345698765433", "XX82WEST12345698765432", "192.0.2.256", "192.0.2", "000-12-3456", "666-12-3456", "078-00-1120", "91350100M000100Y44",
		"00:00:5e:00:53", "京I00001", "A123456(4)", "250 300 1000", "2024-01-15", "10:30:00", "a@b", "@example.com",
	} {
		assert.Empty(t, masking.Find(s), s)
	}
}

// The negative corpus holds nothing.
func TestKnownFalseFinds(t *testing.T) {
	for _, line := range lines(t, "testdata/corpus/negative.txt") {
		assert.Empty(t, masking.Find(line), line)
	}
}

// A number or a secret that goes on in the next line is one.
func TestFindsOverLines(t *testing.T) {
	for text, want := range map[string]string{
		"card 4111 1111\n1111 1111 ok": "4111 1111\n1111 1111", "4111-1111-\n1111-1111": "4111-1111-\n1111-1111",
		"手机 138 0013\n8000": "138 0013\n8000", "138-0013-\r\n8000": "138-0013-\r\n8000", "call 202-555-\n0143 now": "202-555-\n0143",
		"a 13800=\n138000 b": "13800=\n138000", "12 4111 1111\n1111 1111": "4111 1111\n1111 1111",
		`password: "` + strings.Repeat(`ab cd \" `, 200) + `" tail`: strings.Repeat(`ab cd \" `, 200),
		"pwd='" + strings.Repeat("a b ", 900) + "', next":           strings.Repeat("a b ", 900),
	} {
		found := masking.Find(text)
		if assert.Len(t, found, 1, "%.60q", text) {
			assert.Equal(t, want, text[found[0].Start:found[0].End], "%.60q", text)
		}
	}
	for _, s := range []string{"10 20\n30 40", "1380013\n8000", "2024-01-02\n2024-01-03", "4111 1111\n1111 1112", "4111 1111\n\n1111 1111"} {
		assert.Empty(t, masking.Find(s), "%q", s)
	}
}
