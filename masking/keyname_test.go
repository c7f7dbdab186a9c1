package masking_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

func TestKindOfName(t *testing.T) {
	for name, want := range map[string]masking.Kind{
		"phone_number": masking.KindPhone, "PhoneNumber": masking.KindPhone, "customer.phone": masking.KindPhone, "手机号": masking.KindPhone,
		"身份证": masking.KindID, "birthday": masking.KindBirthDate, "name": "", "note": "", "": "", "phone_index": "",
	} {
		require.Equal(t, want, masking.KindOfName(name), name)
	}
}
