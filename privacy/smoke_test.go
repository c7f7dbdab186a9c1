package privacy_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func TestOneCustomersWay(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		in := customer("1", "王小明", "+86 138 0013 8000", "Wang@Example.com")
		require.NoError(t, h.gorm().Create(in).Error)
		require.NotContains(t, string(h.stored(t, "customers", "phone", "1")), "138")

		var c Customer
		require.NoError(t, h.gorm().Where(&Customer{Phone: privacy.New("13800138000")}).First(&c).Error)
		require.Equal(t, "1", c.ID)
		require.NotContains(t, fmt.Sprint(c.Phone), "0013")
		t.Log(fmt.Sprintf("%v %s %+v", c.Phone, c.Name, c))

		phone, err := c.Phone.Reveal(h.ctx, "call back about ticket 7")
		require.NoError(t, err)
		require.Equal(t, "+86 138 0013 8000", phone)
	})
}
