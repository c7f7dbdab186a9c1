package synthetic_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/masking/synthetic"
)

func TestEverythingMadeUpIsRecognised(t *testing.T) {
	s := synthetic.New(1)
	for range 500 {
		for kind, text := range map[masking.Kind]string{
			masking.KindPhone: s.Phone(), masking.KindEmail: s.Email(), masking.KindCard: s.Card(), masking.KindIP: s.IP(),
			masking.KindID: s.ResidentID(), masking.KindAddress: s.Address(),
		} {
			r := masking.Find(text)
			require.Len(t, r, 1, "%s %s", kind, text)
			assert.Equal(t, kind, r[0].Kind)
			assert.Equal(t, len(text), r[0].End-r[0].Start, text)
		}
		for _, text := range []string{s.USPhone(), s.IPv6(), "姓名：" + s.Name(), "Name: " + s.LatinName()} {
			assert.Len(t, masking.Find(text), 1, text)
		}
	}
}

func TestTheSeedDecidesEverything(t *testing.T) {
	a, b, c := synthetic.New(5), synthetic.New(5), synthetic.New(6)
	same := 0
	for range 50 {
		v := a.ResidentID() + a.Card()
		assert.Equal(t, v, b.ResidentID()+b.Card())
		if v == c.ResidentID()+c.Card() {
			same++
		}
	}
	assert.Zero(t, same)
}

func ExampleSource_Phone() {
	fmt.Println(synthetic.New(1).Phone()[:5])
	// Output: 19999
}
