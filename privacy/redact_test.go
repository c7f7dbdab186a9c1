package privacy_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/masking"
	"github.com/confide-go/confide/privacy"
)

// hiding has a sealed value in an unexported field, where fmt may call no method.
type hiding struct {
	inner privacy.String
	prefs privacy.Value[Prefs]
}

type page struct{ Phone privacy.String }

// Whatever a program prints, before and after a value is saved, the value is not in it.
func TestNothingPrintsAValue(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	made := customer("1", "Canarino Luís", "+55 (12) 3923-5555", "luisg@embraer.com.br")
	made.Prefs = privacy.NewValue(Prefs{Diet: "Vegan"})
	check := func(t *testing.T, c *Customer) {
		t.Helper()
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%p", "%e", "%30s", "%-30v", "%.3s", "%U", "%c", "% x"} {
			hidden(t, verb, fmt.Sprintf(verb, c.Phone), fmt.Sprintf(verb, &c.Phone), fmt.Sprintf(verb, c.Prefs), fmt.Sprintf(verb, *c), fmt.Sprintf(verb, c),
				fmt.Sprintf(verb, []privacy.String{c.Phone, c.Name}), fmt.Sprintf(verb, map[string]privacy.String{"k": c.Email}),
				fmt.Sprintf(verb, hiding{c.Name, c.Prefs}), fmt.Sprintf(verb, &hiding{c.Phone, c.Prefs}), fmt.Sprintf(verb, c.PhoneIndex))
		}
		var logged bytes.Buffer
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "phone", c.Phone, "prefs", c.Prefs, "customer", c, "index", c.PhoneIndex)
		slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "phone", c.Phone, "prefs", &c.Prefs, "customer", *c)
		hidden(t, "slog", logged.String())
		b, err := json.Marshal(c)
		require.NoError(t, err)
		hidden(t, "json", string(b))
		b, err = xml.Marshal(page{c.Phone})
		require.NoError(t, err)
		hidden(t, "xml", string(b))
		require.Error(t, gob.NewEncoder(&bytes.Buffer{}).Encode(c))
		var html strings.Builder
		require.NoError(t, template.Must(template.New("").Parse(`{{.Phone}} {{printf "%v" .Name}} {{.}} <script>x({{.Email}}, {{.}})</script>`)).Execute(&html, c))
		hidden(t, "template", html.String())
		func() {
			defer func() { hidden(t, "panic", fmt.Sprint(recover())) }()
			panic(c)
		}()
	}
	t.Run("before it is saved", func(t *testing.T) { check(t, made) })
	require.NoError(t, h.gorm().Create(made).Error)
	t.Run("after it is saved", func(t *testing.T) { check(t, made) })
	var read Customer
	require.NoError(t, h.gorm().First(&read).Error)
	t.Run("after it is read", func(t *testing.T) { check(t, &read) })
}

func hidden(t *testing.T, how string, outs ...string) {
	t.Helper()
	for _, out := range outs {
		for _, needle := range []string{"narino", "Luís", "3923", "luisg", "Vegan"} {
			require.NotContains(t, out, needle, "printed by %s", how)
			require.NotContains(t, strings.ToLower(out), fmt.Sprintf("%x", needle), "printed by %s", how)
		}
	}
}

// Crash reporters and pretty printers walk unexported fields by reflection.
func TestReflectionDoesNotReachAValue(t *testing.T) {
	var out strings.Builder
	dumpAll(&out, reflect.ValueOf(customer("1", "Canarino Luís", "+55 (12) 3923-5555", "luisg@embraer.com.br")), 0)
	require.Contains(t, out.String(), "e3", "the dumper reaches plain fields")
	hidden(t, "reflection", out.String())
}

func dumpAll(w *strings.Builder, v reflect.Value, depth int) {
	if depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			dumpAll(w, v.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			dumpAll(w, v.Field(i), depth+1)
		}
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			w.Write(v.Bytes())
			return
		}
		for i := range v.Len() {
			dumpAll(w, v.Index(i), depth+1)
		}
	case reflect.String:
		w.WriteString(v.String())
	}
}

func TestWhatIsShown(t *testing.T) {
	h := newHouse(t, testdb.New(t, testdb.SQLite))
	c := customer("1", "王小明", "13800138000", "wang@example.com")
	require.Equal(t, "[sealed]", c.Phone.String())
	require.NoError(t, h.gorm().Create(c).Error)
	require.Equal(t, "138****8000", fmt.Sprint(c.Phone))
	require.Equal(t, "     138****8000", fmt.Sprintf("%16s", c.Phone))
	require.Equal(t, "138****8000     |", fmt.Sprintf("%-16v|", c.Phone))
	require.Equal(t, `"138****8000"`, fmt.Sprintf("%q", c.Phone))
	require.Equal(t, "privacy(138****8000)", fmt.Sprintf("%#v", c.Phone))
	require.Equal(t, "138****8000", c.Phone.MaskAt(masking.Partial))
	require.Equal(t, "138****8000", c.Phone.MaskAt(masking.Full), "full values leave through Reveal only")
	require.Equal(t, "[sealed]", c.Phone.MaskAt(masking.Hidden))
	var _ masking.Masker = c.Phone
	var _ masking.Masker = c.Prefs

	b, err := json.Marshal(c.Phone)
	require.NoError(t, err)
	require.JSONEq(t, `{"masked":true,"hint":"138****8000"}`, string(b))
	var back privacy.String
	require.ErrorContains(t, json.Unmarshal(b, &back), "a mask is not a value")
	require.NoError(t, json.Unmarshal([]byte(`"13900139000"`), &back))
	require.True(t, back.Valid())
	require.Error(t, json.Unmarshal([]byte(`12`), &back))
	require.NoError(t, json.Unmarshal([]byte(`null`), &back))
	require.True(t, back.IsNull())

	var prefs privacy.Value[Prefs]
	require.NoError(t, json.Unmarshal([]byte(`{"Diet":"vegan"}`), &prefs))
	require.True(t, prefs.Valid())
	b, err = json.Marshal(prefs)
	require.NoError(t, err)
	require.ErrorContains(t, json.Unmarshal(b, &prefs), "a mask is not a value")
	err = json.Unmarshal([]byte(`{"Calls":"secret"}`), &prefs)
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

// NULL, empty and absent stay distinct through the database and back.
func TestNullEmptyAbsent(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		h := newHouse(t, db)
		in := &Customer{ID: "1", Name: privacy.New(""), Phone: privacy.Null()}
		require.True(t, in.Email.IsZero())
		require.NoError(t, h.gorm().Create(in).Error)
		var c Customer
		require.NoError(t, h.gorm().First(&c).Error)
		require.Equal(t, []bool{true, false, false}, []bool{c.Name.Valid(), c.Name.IsNull(), c.Name.IsZero()})
		require.Equal(t, "", reveal(t, c.Name))
		require.Equal(t, []bool{false, true, false}, []bool{c.Phone.Valid(), c.Phone.IsNull(), c.Phone.IsZero()})
		require.True(t, c.Email.IsNull(), "absent is stored as NULL")
		require.True(t, c.Prefs.IsNull())
		_, err := c.Phone.Reveal(h.ctx, "test")
		require.ErrorIs(t, err, privacy.ErrUnbound)
		require.ErrorContains(t, err, "no value")

		require.NoError(t, h.gorm().Save(&Customer{ID: "1", Owner: "e4"}).Error)
		require.NoError(t, h.gorm().First(&c).Error)
		require.True(t, c.Name.Valid(), "an absent field overwrote a stored value")
	})
}

func TestAValueThatJSONCannotHold(t *testing.T) {
	type bad struct{ C chan int }
	v := privacy.NewValue(bad{})
	_, err := v.Reveal(t.Context(), "test")
	require.ErrorIs(t, err, privacy.ErrUnreadable)
	require.ErrorContains(t, err, "JSON cannot hold")
}
