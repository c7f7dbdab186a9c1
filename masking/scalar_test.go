package masking_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/confide-go/confide/masking"
)

func TestScalarsFollowTheConventions(t *testing.T) {
	assert.Equal(t, "138****8000", masking.Phone("13800138000"))
	assert.Equal(t, "+86 138****8000", masking.Phone("+86 13800138000"))
	assert.Equal(t, "0755-*****678", masking.Phone("0755-12345678"))
	assert.Equal(t, "d***@gmail.com", masking.Email("dave.smith@gmail.com"))
	assert.Equal(t, "欧阳**", masking.Name("欧阳娜娜"))
	assert.Equal(t, "J*** S****", masking.Name("John Smith"))
	assert.Equal(t, "110***********4610", masking.ID("110101199003074610"))
	assert.Equal(t, "************1234", masking.Card("9999991234561234"))
	assert.Equal(t, "广东省深圳市南山区****", masking.Address("广东省深圳市南山区科技园路1号"))
}

func TestUnreadableValuesShowNothing(t *testing.T) {
	for _, k := range masking.Kinds() {
		if k == masking.KindText || k == masking.KindName || k == masking.KindChat {
			continue
		}
		for _, s := range []string{"hello", "\xff\xfe", "12", "@", "......"} {
			assert.Equal(t, "******", masking.Mask(k, masking.Partial, s), "%s %q", k, s)
		}
	}
	assert.Equal(t, "******", masking.Mask("fone", masking.Full, "13800138000"))
	assert.Equal(t, "******", masking.Mask(masking.KindPhone, 9, "13800138000"))
}
