package privacy_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// The test binary is also the process that is killed: it rotates until it is done, with every page slow
// enough to be hit in the middle.
const rotateChild = "CONFIDE_PRIVACY_ROTATE"

func TestMain(m *testing.M) {
	if job := os.Getenv(rotateChild); job != "" {
		if err := rotateAlone(job); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A job for the child: engine, DSN, KEK, time and kind, one a line.
func rotateAlone(job string) error {
	part := strings.Split(job, "\n")
	raw, err := hex.DecodeString(part[2])
	if err != nil {
		return err
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(raw)))
	if err != nil {
		return err
	}
	kek, err := aead.New(handle)
	if err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, part[3])
	if err != nil {
		return err
	}
	ctx := context.Background()
	v, err := privacy.Open(ctx, privacy.Config{KEK: plainKEK{kek}, Gate: privacy.AllowAll, Record: privacy.Discard, Region: "CN", Now: func() time.Time { return at }})
	if err != nil {
		return err
	}
	db, err := gorm.Open(testdb.Dialector(part[0], part[1]), &gorm.Config{Logger: logger.Discard})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Use(v), v.Migrate(ctx, db, &Customer{}, &Invoice{}, &Plain{})); err != nil {
		return err
	}
	pages := 0
	_, err = v.Rotate(ctx, db, privacy.KeyKind(part[4]), privacy.RotateOptions{Batch: 1, Progress: func(privacy.Rotation) {
		if pages++; pages == 4 {
			fmt.Println("in the middle")
			select {} // until it is killed
		}
	}})
	return err
}

// A rotation that is killed with signal 9 in the middle is finished by another process, while a third and a
// fourth write, create and erase; and nothing is lost.
func TestKilledRotation(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
		require.NoError(t, err)
		var raw bytes.Buffer
		require.NoError(t, insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&raw)))
		primitive, err := aead.New(handle)
		require.NoError(t, err)
		kek := &countingKEK{AEADWithContext: plainKEK{primitive}}
		c := newClock()
		h, other := openAt(t, db, kek, c), openAt(t, db.Reopen(t), kek, c)
		const n = 10
		fill(t, h, n)
		for _, kind := range []privacy.KeyKind{privacy.SubjectKeys, privacy.DataKey, privacy.IndexKey} {
			require.Contains(t, []privacy.Phase{privacy.Announced, privacy.Done, privacy.Promoted}, h.beginAnnounced(t, kind))
			c.pass(wait)
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), rotateChild+"="+strings.Join([]string{db.Engine, db.DSN, hex.EncodeToString(raw.Bytes()), c.Now().Format(time.RFC3339), string(kind)}, "\n"))
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			line := make([]byte, 256)
			k, _ := out.Read(line)
			require.Equal(t, "in the middle\n", string(line[:k]))
			require.NoError(t, cmd.Process.Kill())
			require.Error(t, cmd.Wait())
			whole(t, other, n)

			stop := make(chan struct{})
			var wg sync.WaitGroup
			odd := make([]error, 3)
			for w, writer := range []*house{h, other, other} {
				wg.Go(func() { odd[w] = scribble(writer, fmt.Sprint(kind, w), n, stop) })
			}
			var jobs sync.WaitGroup
			fail := make([]error, 2)
			for j, rotating := range []*house{h, other} {
				jobs.Go(func() {
					_, fail[j] = rotating.vault.Rotate(rotating.ctx, rotating.db.DB, kind, privacy.RotateOptions{Batch: 3})
				})
			}
			jobs.Wait()
			close(stop)
			wg.Wait()
			require.NoError(t, errors.Join(append(odd, fail...)...))
			c.pass(wait)
			h.rotate(t, kind)
			_, err = h.retire(kind)
			require.NoError(t, err)
			whole(t, h, n)
			whole(t, openAt(t, db.Reopen(t), kek, c), n)
		}
	})
}

// beginAnnounced announces a tenant's key. Persons' keys are not announced.
func (h *house) beginAnnounced(t testing.TB, kind privacy.KeyKind) privacy.Phase {
	t.Helper()
	if kind == privacy.SubjectKeys {
		return privacy.Announced
	}
	return h.rotate(t, kind).Phase
}

// scribble updates what is there, creates persons and erases some of them.
func scribble(h *house, name string, n int, stop chan struct{}) error {
	for i := range 25 {
		select {
		case <-stop:
			return nil
		default:
		}
		id := fmt.Sprint(i % n)
		err := h.gorm().Model(&Customer{ID: id}).Updates(Customer{Name: privacy.New("Name " + id), Phone: privacy.New("138 0013 " + fmt.Sprintf("%04d", i%n))}).Error
		fresh := fmt.Sprint("x-", name, "-", i)
		if err == nil {
			err = h.gorm().Create(customer(fresh, "Name", "1390000"+fmt.Sprintf("%04d", i), fresh+"@example.com")).Error
		}
		if err == nil && i%3 == 0 {
			_, err = h.vault.Erase(h.ctx, h.db.DB, "customer:"+fresh)
		}
		if err != nil && !expected(err) {
			return fmt.Errorf("writer %s, round %d: %w", name, i, err)
		}
	}
	return nil
}
