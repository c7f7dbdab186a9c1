package alert

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/confide-go/confide/audit"
)

// Webhook posts alerts as JSON, signed as www.standardwebhooks.com says: the headers
// webhook-id (the same for every delivery of an alert), webhook-timestamp and
// webhook-signature, "v1," and the HMAC-SHA-256 of id, timestamp and body, with full
// stops between, in base64. ReadWebhook is the other side.
type Webhook struct {
	URL      string
	Key      []byte       // shared with the receiver, at least 24 bytes
	Client   *http.Client // nil is one that waits ten seconds and follows no redirection
	Attempts int          // 0 is 4
	Now      func() time.Time
	Wait     func(ctx context.Context, d time.Duration) error // between attempts; nil waits, 1, 2, 4, ... seconds
}

const mostWait = 30 * time.Second

// Deliver implements Deliverer. What the receiver refuses (a status of 400 and above
// other than 408 and 429) is not repeated here; the watcher will.
func (h Webhook) Deliver(ctx context.Context, a Alert) error {
	if len(h.Key) < 24 {
		return fmt.Errorf("%w: Webhook.Key has %d bytes; give 24 random ones or more", audit.ErrInvalid, len(h.Key))
	}
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("alert: webhook: %w", err)
	}
	attempts, wait := h.Attempts, time.Second
	if attempts <= 0 {
		attempts = 4
	}
	for attempt := 1; ; attempt++ {
		again, after, err := h.post(ctx, a.ID, body)
		if err == nil || !again || attempt >= attempts {
			return err
		}
		if werr := h.wait(ctx, min(max(wait, after), mostWait)); werr != nil {
			return errors.Join(err, werr)
		}
		wait *= 2
	}
}

// post tells whether another attempt may help, and when the receiver wants it.
func (h Webhook) post(ctx context.Context, id string, body []byte) (again bool, after time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return false, 0, errors.New("alert: webhook: Webhook.URL is not one") // it may hold a token
	}
	stamp := strconv.FormatInt(h.now().Unix(), 10)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Webhook-Id", id)
	r.Header.Set("Webhook-Timestamp", stamp)
	r.Header.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(webhookMAC(h.Key, id, stamp, body)))
	client := h.Client
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	response, err := client.Do(r)
	if err != nil {
		return ctx.Err() == nil, 0, errors.New("alert: webhook: the receiver does not answer") // the error would hold the URL
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return false, 0, nil
	default:
		seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
		again = code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
		return again, time.Duration(seconds) * time.Second, fmt.Errorf("alert: webhook: the receiver answered with status %d", code)
	}
}

func (h Webhook) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

func (h Webhook) wait(ctx context.Context, d time.Duration) error {
	if h.Wait != nil {
		return h.Wait(ctx, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func webhookMAC(key []byte, id, stamp string, body []byte) []byte {
	m := hmac.New(sha256.New, key)
	fmt.Fprintf(m, "%s.%s.", id, stamp)
	m.Write(body)
	return m.Sum(nil)
}

// webhookAge is how old a request may be: an older one may be a recording.
const webhookAge = 5 * time.Minute

// ReadWebhook checks the signature and the age of a request, and reads its alert.
// The receiver remembers Alert.ID for at least ten minutes and ignores repetitions.
func ReadWebhook(key []byte, header http.Header, body []byte, now time.Time) (Alert, error) {
	id, stamp := header.Get("Webhook-Id"), header.Get("Webhook-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if age := now.Sub(time.Unix(seconds, 0)); err != nil || age > webhookAge || age < -webhookAge {
		return Alert{}, fmt.Errorf("%w: the webhook's timestamp is missing or not of the last five minutes", audit.ErrInvalid)
	}
	for sig := range strings.FieldsSeq(header.Get("Webhook-Signature")) {
		text, _ := strings.CutPrefix(sig, "v1,")
		mac, err := base64.StdEncoding.DecodeString(text)
		if err != nil || !hmac.Equal(mac, webhookMAC(key, id, stamp, body)) {
			continue
		}
		var a Alert
		if err := json.Unmarshal(body, &a); err != nil || a.ID != id {
			return Alert{}, fmt.Errorf("%w: the webhook's body is not an alert", audit.ErrInvalid)
		}
		return a, nil
	}
	return Alert{}, fmt.Errorf("%w: the webhook's signature is not valid", audit.ErrInvalid)
}
