// Package synthetic makes up personal data for demos and tests that belongs to nobody: from ranges kept for
// documentation where there are such (RFC 2606, 5737, 3849, 555-01xx), and otherwise from ranges no one
// has been given: resident IDs of region 999, cards of issuer 999999, mobile numbers that start with 19999.
// The last of these are not reserved by anyone and may be given out one day.
//
//	s := synthetic.New(1)
//	s.Phone()      // 19999xxxxxx
//	s.ResidentID() // 999… with a right check character
//
// The same seed gives the same data.
package synthetic

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Source makes up values. It is not safe for use by several goroutines.
type Source struct{ rng *rand.Rand }

// New returns a source whose values depend on the seed alone.
func New(seed uint64) *Source {
	return &Source{rand.New(rand.NewPCG(seed, 0x636f6e66696465))}
}

// Phone returns a mainland mobile number.
func (s *Source) Phone() string { return fmt.Sprintf("19999%06d", s.rng.IntN(1_000_000)) }

// USPhone returns a number of the 555-01xx range.
func (s *Source) USPhone() string {
	return fmt.Sprintf("+1-%d-555-01%02d", 201+s.rng.IntN(700), s.rng.IntN(100))
}

// Email returns an address in a domain of RFC 2606.
func (s *Source) Email() string {
	domain := [...]string{"example.com", "example.org", "example.net"}[s.rng.IntN(3)]
	return fmt.Sprintf("user%04d@%s", s.rng.IntN(10_000), domain)
}

// IP returns an IPv4 address of RFC 5737.
func (s *Source) IP() string {
	net := [...]string{"192.0.2", "198.51.100", "203.0.113"}[s.rng.IntN(3)]
	return fmt.Sprintf("%s.%d", net, 1+s.rng.IntN(254))
}

// IPv6 returns an address of RFC 3849.
func (s *Source) IPv6() string {
	return fmt.Sprintf("2001:db8:%x::%x", 1+s.rng.IntN(0xfffe), 1+s.rng.IntN(0xfffe))
}

// Card returns a card number of 16 digits with a right Luhn digit.
func (s *Source) Card() string {
	digits := []byte(fmt.Sprintf("999999%09d", s.rng.IntN(1_000_000_000)))
	sum := 0
	for i, c := range digits {
		v := int(c - '0')
		if i%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return string(append(digits, byte('0'+(10-sum%10)%10)))
}

// ResidentID returns an identity number of 18 characters with a right check character.
func (s *Source) ResidentID() string {
	born := time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, s.rng.IntN(20_000))
	id := fmt.Sprintf("999%03d%s%03d", s.rng.IntN(1000), born.Format("20060102"), s.rng.IntN(1000))
	sum := 0
	for i, weight := range [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(id[i]-'0') * weight
	}
	return id + string("10X98765432"[sum%11])
}

// Name returns one of the names that stand for anybody in Chinese.
func (s *Source) Name() string {
	return [...]string{"张三", "李四", "王五", "赵六", "钱七", "孙八", "周九", "吴十", "欧阳某某", "司马某"}[s.rng.IntN(10)]
}

// LatinName returns a name from the casts of protocol descriptions.
func (s *Source) LatinName() string {
	given := [...]string{"Alice", "Bob", "Carol", "Dave", "Eve", "Mallory", "Peggy", "Trent", "Victor", "Walter"}
	return given[s.rng.IntN(10)] + " Example"
}

// Address returns an address in a street that does not exist.
func (s *Source) Address() string {
	city := [...]string{"北京市海淀区", "上海市浦东新区", "广东省深圳市南山区", "浙江省杭州市西湖区"}[s.rng.IntN(4)]
	return fmt.Sprintf("%s虚构路%d号%d栋%d室", city, 1+s.rng.IntN(999), 1+s.rng.IntN(30), 101+s.rng.IntN(2000))
}
