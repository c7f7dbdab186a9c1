package alert_test

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/alert"
)

var hookKey = []byte("twenty-four bytes or more")

// receiver answers with these statuses, one after the other, and keeps what it got.
type receiver struct {
	answers []int
	after   string
	headers []http.Header
	bodies  [][]byte
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.headers, r.bodies = append(r.headers, q.Header), append(r.bodies, body)
	if r.after != "" {
		w.Header().Set("Retry-After", r.after)
	}
	w.WriteHeader(r.answers[min(len(r.bodies), len(r.answers))-1])
}

func hook(t *testing.T, r *receiver) (alert.Webhook, *[]time.Duration) {
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	var waits []time.Duration
	return alert.Webhook{URL: server.URL + "/token-" + canary, Key: hookKey, Now: func() time.Time { return monday },
		Wait: func(ctx context.Context, d time.Duration) error { waits = append(waits, d); return ctx.Err() }}, &waits
}

func TestWebhook(t *testing.T) {
	a := alert.Alert{ID: "id-1", Rule: "gap", Tenant: "main", Actor: "王", Time: monday, Seq: 7, Count: 3, Detail: "events were lost"}
	r := &receiver{answers: []int{500, 429, 204}}
	h, waits := hook(t, r)
	require.NoError(t, h.Deliver(t.Context(), a))
	require.Equal(t, []time.Duration{time.Second, 2 * time.Second}, *waits)
	require.Len(t, r.bodies, 3)
	for i := range r.bodies {
		require.Equal(t, "id-1", r.headers[i].Get("Webhook-Id"), "the same for each attempt")
		got, err := alert.ReadWebhook(hookKey, r.headers[i], r.bodies[i], monday.Add(4*time.Minute))
		require.NoError(t, err)
		require.Equal(t, a, got)
	}
}

// The signature of the standard's own example.
func TestWebhookSignatureIsThatOfTheStandard(t *testing.T) {
	key, err := base64.StdEncoding.DecodeString("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	require.NoError(t, err)
	header := http.Header{}
	header.Set("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek")
	header.Set("Webhook-Timestamp", "1614265330")
	header.Set("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
	_, err = alert.ReadWebhook(key, header, []byte(`{"test": 2432232314}`), time.Unix(1614265330, 0))
	require.ErrorContains(t, err, "the webhook's body is not an alert", "the signature is right, what it signs is no alert")
}

func TestWebhookGivesUp(t *testing.T) {
	for _, c := range []struct {
		answer   int
		after    string
		attempts int
		posts    int
		waits    []time.Duration
	}{
		{500, "", 0, 4, []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second}},
		{503, "7", 2, 2, []time.Duration{7 * time.Second}},
		{503, "99999", 2, 2, []time.Duration{30 * time.Second}},
		{408, "-5", 2, 2, []time.Duration{time.Second}},
		{400, "", 0, 1, nil},
		{410, "", 0, 1, nil},
		{302, "", 0, 1, nil},
	} {
		r := &receiver{answers: []int{c.answer}, after: c.after}
		h, waits := hook(t, r)
		h.Attempts = c.attempts
		err := h.Deliver(t.Context(), alert.Alert{ID: "x"})
		require.ErrorContains(t, err, "the receiver answered with status ")
		require.NotContains(t, err.Error(), canary)
		require.Len(t, r.bodies, c.posts, "%d", c.answer)
		require.Equal(t, c.waits, *waits, "%d", c.answer)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	for _, url := range []string{server.URL + "/" + canary, "://" + canary} {
		err := alert.Webhook{URL: url, Key: hookKey, Attempts: 2, Wait: func(context.Context, time.Duration) error { return nil }}.Deliver(t.Context(), alert.Alert{})
		require.Error(t, err)
		require.NotContains(t, err.Error(), canary, "a URL may hold a token")
	}
	require.ErrorIs(t, alert.Webhook{URL: server.URL, Key: []byte("short")}.Deliver(t.Context(), alert.Alert{}), audit.ErrInvalid)
	gone, cancel := context.WithCancel(t.Context())
	r := &receiver{answers: []int{500}}
	h, waits := hook(t, r)
	cancel()
	require.Error(t, h.Deliver(gone, alert.Alert{}))
	require.Empty(t, *waits, "nobody waits for an answer any more")
}

func TestForgedWebhooks(t *testing.T) {
	r := &receiver{answers: []int{200}}
	h, _ := hook(t, r)
	require.NoError(t, h.Deliver(t.Context(), alert.Alert{ID: "id-1", Rule: "gap"}))
	read := func(change func(header http.Header, body *[]byte), now time.Time) error {
		header, body := r.headers[0].Clone(), []byte(string(r.bodies[0]))
		change(header, &body)
		_, err := alert.ReadWebhook(hookKey, header, body, now)
		return err
	}
	nothing := func(http.Header, *[]byte) {}
	require.NoError(t, read(nothing, monday))
	require.NoError(t, read(func(h http.Header, _ *[]byte) {
		h.Set("Webhook-Signature", "v1a,AAAA v1,AAAA "+h.Get("Webhook-Signature"))
	}, monday), "one of several keys")
	for name, err := range map[string]error{
		"old":       read(nothing, monday.Add(6*time.Minute)),
		"of later":  read(nothing, monday.Add(-6*time.Minute)),
		"body":      read(func(_ http.Header, b *[]byte) { *b = []byte(strings.Replace(string(*b), "gap", "gas", 1)) }, monday),
		"id":        read(func(h http.Header, _ *[]byte) { h.Set("Webhook-Id", "id-2") }, monday),
		"time":      read(func(h http.Header, _ *[]byte) { h.Set("Webhook-Timestamp", "1795251601") }, time.Unix(1795251601, 0)),
		"no time":   read(func(h http.Header, _ *[]byte) { h.Del("Webhook-Timestamp") }, monday),
		"unsigned":  read(func(h http.Header, _ *[]byte) { h.Del("Webhook-Signature") }, monday),
		"empty MAC": read(func(h http.Header, _ *[]byte) { h.Set("Webhook-Signature", "v1,") }, monday),
	} {
		require.ErrorIs(t, err, audit.ErrInvalid, name)
	}
}
