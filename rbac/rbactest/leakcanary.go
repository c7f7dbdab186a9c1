package rbactest

import (
	"fmt"
	"slices"

	"github.com/confide-go/confide/masking"
)

// perClass is how many rows of a class are planted: an order needs three.
const perClass = 3

// change says in what a world differs from the first.
type change struct {
	removed []string       // classes whose first row is not there
	twins   map[place]Twin // values that are others
}

// place is a field of the rows of a class.
type place struct{ class, field string }

// plant makes the rows, with a change or without.
func (l Leak) plant(c change) []Row {
	var rows []Row
	for i, class := range l.Classes {
		for j := range perClass {
			if j == 0 && slices.Contains(c.removed, class) {
				continue
			}
			n := i*perClass + j
			row := Row{ID: fmt.Sprintf("canary-%02d", n+1), Class: class, Values: map[string]string{}}
			for _, f := range l.Fields {
				row.Values[f.Name] = f.value(n, c.twins[place{class, f.Name}])
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func (f Field) value(n int, twin Twin) string {
	if f.Value != nil {
		return f.Value(n, twin)
	}
	// 10 to 49 rise, 99 to 60 fall.
	rank, far := 10+n, ""
	if twin != Base {
		rank = 99 - n
	}
	if twin == Far {
		far = "x"
	}
	switch f.Kind {
	case masking.KindPhone:
		return phone(n, rank, twin)
	case masking.KindEmail:
		return fmt.Sprintf("k%s%02dzqv@%sleak%d.example.com", far, rank, far, n)
	case masking.KindName:
		surname := "王"
		if twin == Far {
			surname = "欧阳"
		}
		return surname + string([]rune{rune(0x8300 + rank), rune(0x9500 + rank)})
	case masking.KindID:
		return identity(n, rank, twin)
	case masking.KindAddress:
		if twin == Far {
			return fmt.Sprintf("上海市浦东新区暅霭大道%02d弄%d号", rank, n)
		}
		return fmt.Sprintf("北京市朝阳区暅霭路%02d号院%d单元", rank, n)
	}
	return fmt.Sprintf("Zq%s%02d <b>O'Keeffe</b> & \"Søn\" \\ 茀%c n%d", far, rank, rune(0x9600+rank), n)
}

func phone(n, rank int, twin Twin) string {
	if twin == Far {
		return fmt.Sprintf("1860%02d3%04d", rank, 7300+13*n)
	}
	return fmt.Sprintf("139%02d58%04d", rank, 4107+7*n)
}

// identity returns a resident identity number with a right check digit. A near twin has the same last
// four characters, so its date of birth is one that gives the same check digit.
func identity(n, rank int, twin Twin) string {
	region := "110101"
	if twin == Far {
		region = "310115"
	}
	for day := 0; ; day++ {
		id := fmt.Sprintf("%s19%02d%02d%02d%03d", region, rank, 1+day/28%12, 1+day%28, 200+n)
		if check := checkDigit(id); check == "0123456789"[n%10] {
			return id + string(check)
		}
	}
}

func checkDigit(id string) byte {
	sum := 0
	for i, weight := range []int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2} {
		sum += int(id[i]-'0') * weight
	}
	return "10X98765432"[sum%11]
}
