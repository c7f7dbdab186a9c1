package masking_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/confide-go/confide/masking"
)

func ExamplePhone() {
	fmt.Println(masking.Phone("138 0013 8000"))
	fmt.Println(masking.Phone("+86 13800138000"))
	fmt.Println(masking.Phone("0755-80001234"))
	fmt.Println(masking.Phone("not a number"))
	// Output:
	// 138 **** 8000
	// +86 138****8000
	// 0755-*****234
	// ******
}

func ExampleText() {
	fmt.Println(masking.Text("联系人：张三，电话13800138000，订单号13800138000，邮箱zhangsan@example.com"))
	// Output: 联系人：张*，电话138****8000，订单号13800138000，邮箱z***@example.com
}

func ExampleFind() {
	report := masking.Find("请致电 13800138000 或写信到 zhangsan@example.com")
	fmt.Println(report)
	for _, f := range report {
		fmt.Println(f.Kind, f.Rule, f.Start, f.End)
	}
	// Output:
	// 1 phone, 1 email
	// phone shape 10 21
	// email shape 35 55
}

func ExampleCopy() {
	type Customer struct {
		ID    string `mask:"-"`
		Name  string `mask:"name"`
		Phone string `mask:"phone"`
		Note  string
	}
	shown, err := masking.Copy(Customer{"c-1", "欧阳娜娜", "13800138000", "called from 010-80001234"}, masking.Partial)
	fmt.Printf("%+v %v\n", shown, err)
	// Output: {ID:c-1 Name:欧阳** Phone:138****8000 Note:called from 010-*****234} <nil>
}

func ExampleCheck() {
	type Customer struct {
		Phone  string
		IDCard string `mask:"idcard"`
	}
	fmt.Println(masking.Check[Customer]())
	// Output:
	// masking: masking_test.Customer.Phone: field looks personal and has no mask tag: add `mask:"phone"`, or `mask:"-"`
	// masking_test.Customer.IDCard: masking: kind "idcard": unknown word: the kinds are [phone email name id card address plate passport permit military uscc ip mac iban ssn birthdate geo secret chat text]
}

func ExampleNewHandler() {
	plain := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(masking.NewHandler(plain, masking.HandlerConfig{}))
	log.Info("reset for 13800138000", "password", "hunter2", "order_id", 13800138000, "card", []byte("4111 1111 1111 1111"))
	// Output: level=INFO msg="reset for 138****8000" password=****** order_id=13800138000 card="**** **** **** 1111"
}

func ExamplePolicy_JSON() {
	out, err := masking.Policy{}.JSON(context.Background(), nil, []byte(`{"phone": 13800138000, "note": "邮箱 zhangsan@example.com", "n": 1}`))
	fmt.Println(string(out), err)
	// Output: {"phone": "138****8000", "note": "邮箱 z***@example.com", "n": 1} <nil>
}

func ExamplePolicy_NewReader() {
	r := masking.Policy{Profile: masking.Log}.NewReader(context.Background(), strings.NewReader("tel 13800138000\n"))
	text, err := io.ReadAll(r)
	fmt.Print(string(text), err)
	// Output:
	// tel 138******00
	// <nil>
}

func ExampleShown() {
	data, err := json.Marshal([]masking.Shown{
		masking.Show(masking.KindPhone, masking.Partial, "13800138000"),
		masking.Show(masking.KindPhone, masking.Full, "13800138000"),
	})
	fmt.Println(string(data), err)
	// Output: [{"masked":true,"hint":"138****8000"},"13800138000"] <nil>
}

// A level that depends on the caller: here on a role in the context.
func ExamplePolicy() {
	type role struct{}
	policy := masking.Policy{Level: func(ctx context.Context) masking.Level {
		switch ctx.Value(role{}) {
		case "support":
			return masking.Partial
		case "auditor":
			return masking.Full
		}
		return masking.Hidden
	}}
	for _, who := range []string{"guest", "support", "auditor"} {
		fmt.Println(who, policy.Mask(context.WithValue(context.Background(), role{}, who), masking.KindPhone, "13800138000"))
	}
	// Output:
	// guest ******
	// support 138****8000
	// auditor 13800138000
}
