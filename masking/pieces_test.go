package masking_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/masking"
)

// Long texts are looked at in pieces. Wherever the seams fall, the result is that of the text as a whole.
func TestPiecesOfLongTextsDoNotShow(t *testing.T) {
	var b strings.Builder
	for i, d := range ownCorpus(t) {
		b.WriteString(d.text)
		b.WriteString([]string{"\n", " ", "，", "\xff", ""}[i%5])
	}
	text := b.String()
	require.Greater(t, len(text), 16<<10)
	for pad := range 150 {
		s := strings.Repeat("x", pad*17) + text[:min(len(text), 12<<10)]
		require.Equal(t, written(t, 1<<20, s), masking.Text(s), "behind %d bytes", pad*17)
	}
	require.Equal(t, written(t, 1<<20, text), masking.Text(text))
}

type wide struct {
	Phones [20]string `mask:"phone"`
	Notes  []string   `mask:"text"`
	Names  map[string]string
	Any    any
	More   *wide
	Last   string `mask:"name"`
}

// The masks of a struct are pieces of one string, as many as have room in it; they do not mix.
func TestManyFieldsKeepTheirOwnMasks(t *testing.T) {
	const phone, shown = "19999012345", "199****2345"
	long := strings.Repeat("无事发生，", 60) + "电话" + phone
	v := wide{Notes: []string{long, phone, "", long}, Names: map[string]string{"full_name": "王小明", "mobile": phone}, Any: []any{phone, map[string]any{"phone": phone}}, Last: "王小明"}
	for i := range v.Phones {
		v.Phones[i] = phone
	}
	v.Phones[7], v.Phones[8] = "", strings.Repeat("1", 300)
	inner := v
	v.More = &inner
	plan, err := masking.NewPlan[wide](masking.Policy{})
	require.NoError(t, err)
	c, err := plan.Copy(context.Background(), v)
	require.NoError(t, err)
	for _, got := range []wide{c, *c.More} {
		for i, p := range got.Phones {
			require.Equal(t, masking.Phone(v.Phones[i]), p, i)
		}
		require.Equal(t, []string{masking.Text(long), shown, "", masking.Text(long)}, got.Notes)
		require.Equal(t, map[string]string{"full_name": "王**", "mobile": shown}, got.Names)
		require.Equal(t, []any{shown, map[string]any{"phone": shown}}, got.Any)
		require.Equal(t, "王**", got.Last)
	}
	require.Equal(t, phone, v.Phones[0])
}
