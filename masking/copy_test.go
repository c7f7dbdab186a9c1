package masking_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

type sealed string

func (s sealed) MaskAt(l masking.Level) string { return fmt.Sprintf("sealed at %v", l) }

type person struct {
	ID     string            `mask:"-"`
	Phone  string            `mask:"phone"`
	Email  *string           `mask:"email"`
	Names  []string          `mask:"name"`
	Pair   [2]string         `mask:"card"`
	Tags   map[string]string `mask:"id"`
	Extra  map[string]any
	Note   string
	Null   sql.NullString `mask:"phone"`
	Born   time.Time
	Sealed sealed
	Any    any
	Err    error
	friend string
}

func TestCopyMasksEveryShape(t *testing.T) {
	mail := "zhangsan@example.com"
	born := time.Date(1990, 3, 7, 0, 0, 0, 0, time.UTC)
	cause := errors.New("tel 13800138000")
	v := person{
		ID: "13800138000", Phone: "13800138000", Email: &mail, Names: []string{"张三"}, Pair: [2]string{"9999990000000006"},
		Tags: map[string]string{"a": "999001199001011232"}, Extra: map[string]any{"手机号": "13800138000", "n": []any{"tel 13800138000", 7}},
		Note: "tel 13800138000", Null: sql.NullString{String: "13800138000", Valid: true}, Born: born, Sealed: "x", Any: sealed("y"), Err: cause,
		friend: "kept",
	}
	c, err := masking.Copy(v, masking.Partial)
	require.NoError(t, err)
	shown := "z***@example.com"
	assert.Equal(t, "13800138000", c.ID)
	assert.Equal(t, "138****8000", c.Phone)
	assert.Equal(t, &shown, c.Email)
	assert.Equal(t, []string{"张*"}, c.Names)
	assert.Equal(t, [2]string{"************0006", ""}, c.Pair)
	assert.Equal(t, map[string]string{"a": "999***********1232"}, c.Tags)
	assert.Equal(t, map[string]any{"手机号": "138****8000", "n": []any{"tel 138****8000", 7}}, c.Extra)
	assert.Equal(t, "tel 138****8000", c.Note)
	assert.Equal(t, sql.NullString{String: "138****8000", Valid: true}, c.Null)
	assert.Equal(t, born, c.Born)
	assert.Equal(t, sealed("x"), c.Sealed, "a field that shows itself stays as it is")
	assert.Equal(t, "sealed at partial", c.Any)
	require.EqualError(t, c.Err, "tel 138****8000")
	require.ErrorIs(t, c.Err, cause)
	assert.Equal(t, "kept", c.friend)
	assert.Equal(t, "zhangsan@example.com", mail, "the original changed")
	assert.Equal(t, "张三", v.Names[0])
}

func TestCopyAtOtherLevels(t *testing.T) {
	v := person{Phone: "13800138000", Note: "tel 13800138000 at noon"}
	hidden, err := masking.Copy(v, masking.Hidden)
	require.NoError(t, err)
	assert.Equal(t, "******", hidden.Phone)
	assert.Equal(t, "tel ****** at noon", hidden.Note)
	full, err := masking.Copy(v, masking.Full)
	require.NoError(t, err)
	assert.Equal(t, v, full)
	beyond, err := masking.Copy(v, 200)
	require.NoError(t, err)
	assert.Equal(t, "******", beyond.Phone)
}

func TestCopyRefusesWhatItCannotMask(t *testing.T) {
	for want, err := range map[string]error{
		"a int64 has no masked form": copyError(struct {
			Phone int64 `mask:"phone"`
		}{}),
		"export the field": copyError(struct {
			phone string `mask:"phone"`
		}{}),
		"unknown word": copyError(struct {
			Phone string `mask:"fone"`
		}{}),
		"time.Time has no masked form": copyError(struct {
			Born time.Time `mask:"birthdate"`
		}{}),
		"func() has no masked form": copyError(struct {
			F func() `mask:"secret"`
		}{}),
		"[16]uint8 has no masked form": copyError(struct {
			ID [16]byte `mask:"id"`
		}{}),
	} {
		require.Error(t, err, want)
		assert.ErrorContains(t, err, want)
	}
}

func copyError[T any](v T) error {
	_, err := masking.Copy(v, masking.Partial)
	return err
}

func TestCopyLosesNoMapEntry(t *testing.T) {
	c, err := masking.Copy(map[string]int{"13800138000": 1, "13811118000": 2, "13822228000": 3}, masking.Partial)
	require.NoError(t, err)
	assert.Len(t, c, 3)
	for k := range c {
		assert.Contains(t, k, "138****8000")
	}
}

func TestPlanLevelDependsOnTheCaller(t *testing.T) {
	type role struct{}
	plan, err := masking.NewPlan[person](masking.Policy{Level: func(ctx context.Context) masking.Level {
		if ctx.Value(role{}) == "admin" {
			return masking.Full
		}
		return masking.Partial
	}})
	require.NoError(t, err)
	v := person{Phone: "13800138000"}
	c, err := plan.Copy(context.Background(), v)
	require.NoError(t, err)
	assert.Equal(t, "138****8000", c.Phone)
	c, err = plan.Copy(context.WithValue(context.Background(), role{}, "admin"), v)
	require.NoError(t, err)
	assert.Equal(t, "13800138000", c.Phone)
}

func TestPlanServesManyGoroutines(t *testing.T) {
	plan, err := masking.NewPlan[map[string]any](masking.Policy{})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				c, err := plan.Copy(context.Background(), map[string]any{"phone": "13800138000", "x": person{Phone: "13800138000"}})
				assert.NoError(t, err)
				assert.Equal(t, "138****8000", c["phone"])
				assert.Equal(t, "138****8000", c["x"].(person).Phone)
			}
		})
	}
	wg.Wait()
}

func TestCheckReportsEveryProblemAtOnce(t *testing.T) {
	type inner struct {
		IDCard string `json:"id_card"`
	}
	type forgotten struct {
		Phone    string
		Mobile2  *string
		Contact  string `json:"email"`
		Tel      string `gorm:"column:手机号;size:20"`
		X身份证号    string
		Password []byte
		Fine     string
		Declared string `mask:"-" json:"fax"`
		Age      int    `mask:"id"`
		Wrong    string `mask:"nosuch"`
		Inner    inner
		Sealed   sealed `json:"mobile"`
	}
	err := masking.Check[forgotten]()
	require.ErrorIs(t, err, masking.ErrUntagged)
	require.ErrorIs(t, err, masking.ErrField)
	require.ErrorIs(t, err, masking.ErrUnknown)
	for _, field := range []string{".Phone:", ".Mobile2:", ".Contact:", ".Tel:", ".X身份证号:", ".Password:", ".Age:", ".Wrong:", ".Inner.IDCard:"} {
		assert.ErrorContains(t, err, "forgotten"+field)
	}
	assert.ErrorContains(t, err, "add `mask:\"phone\"`, or `mask:\"-\"`")
	assert.NotContains(t, err.Error(), ".Fine")
	assert.NotContains(t, err.Error(), ".Declared")
	assert.NotContains(t, err.Error(), ".Sealed")
	assert.NoError(t, masking.Check[struct {
		Phone string `mask:"phone"`
		Name  string
	}]())
}

func TestShownCannotBeMistakenForData(t *testing.T) {
	data, err := json.Marshal([]masking.Shown{masking.Show(masking.KindPhone, masking.Partial, "13800138000"), masking.Show(masking.KindPhone, masking.Full, "13800138000"), masking.Show(masking.KindPhone, masking.Hidden, ""), {}})
	require.NoError(t, err)
	assert.Equal(t, `[{"masked":true,"hint":"138****8000"},"13800138000",{"masked":true,"hint":"******"},{"masked":true,"hint":""}]`, string(data))
	var back []masking.Shown
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, masking.Shown{Text: "138****8000", Level: masking.Partial}, back[0])
	assert.Equal(t, masking.Shown{Text: "13800138000", Level: masking.Full}, back[1])
	for _, bad := range []string{`{}`, `{"masked":false,"hint":"x"}`, `7`, `{"masked":"yes"}`} {
		var s masking.Shown
		require.ErrorIs(t, json.Unmarshal([]byte(bad), &s), masking.ErrSyntax, bad)
	}
	assert.Equal(t, masking.Hidden, masking.Show(masking.KindPhone, 9, "13800138000").Level)
	assert.Equal(t, masking.Hidden, masking.Show("fone", masking.Full, "13800138000").Level)
}

func TestLevelsReadAndWriteTheirNames(t *testing.T) {
	for _, l := range []masking.Level{masking.Hidden, masking.Token, masking.Partial, masking.Full} {
		text, err := l.MarshalText()
		require.NoError(t, err)
		var back masking.Level
		require.NoError(t, back.UnmarshalText(text))
		assert.Equal(t, l, back)
	}
	assert.Less(t, masking.Hidden, masking.Partial)
	assert.Less(t, masking.Partial, masking.Full)
	assert.Zero(t, masking.Hidden)
	l := masking.Full
	require.ErrorIs(t, l.UnmarshalText([]byte("FULL")), masking.ErrUnknown)
	assert.Equal(t, masking.Hidden, l)
	_, err := masking.Level(9).MarshalText()
	require.ErrorIs(t, err, masking.ErrUnknown)
	assert.Equal(t, "Level(9)", masking.Level(9).String())
	assert.Equal(t, "Profile(9)", masking.Profile(9).String())
	p, err := masking.ParseProfile("nosuch")
	require.ErrorIs(t, err, masking.ErrUnknown)
	assert.Equal(t, masking.Log, p, "an unknown profile is the strict one")
	_, err = masking.ParseKind("Phone")
	require.ErrorIs(t, err, masking.ErrUnknown)
	assert.ErrorContains(t, err, "the kinds are")
}
