package privacy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

// Student is Pupil under another name, without the old logical names.
type Student struct {
	ID        string         `gorm:"primaryKey;size:36" privacy:"subject=student"`
	Owner     string         `gorm:"size:36"`
	Name      privacy.String `privacy:"mask=name"`
	Born      privacy.Date   `privacy:"mask=birthdate"`
	Code      privacy.String
	NameBorn  privacy.Index `privacy:"of=Name+Born,norm=name+exact"`
	CodeBorn  privacy.Index `privacy:"of=Code+Born,norm=digits+exact"`
	NameCode  privacy.Index `privacy:"of=Name+Code,norm=name+digits,bits=2"`
	CodeIndex privacy.Index `privacy:"of=Code,norm=digits"`
}

func (Student) TableName() string { return "pupils" }

// A compound index follows its parts when they are bound anew, one after the other.
func TestCompoundRebind(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		kek := newKEK(t)
		pupilHouse(t, openHouse(t, db, kek, nil))
		again := db.Reopen(t)
		v, err := privacy.Open(t.Context(), privacy.Config{KEK: kek, Gate: privacy.AllowAll, Record: privacy.Discard})
		require.NoError(t, err)
		require.NoError(t, again.Use(v))
		require.NoError(t, v.Register(t.Context(), again.DB, &Student{}))
		r, err := v.Rebind(t.Context(), again.DB, privacy.Rebinding{
			Model: &Student{},
			Names: map[string]string{"student.name": "pupil.name", "student.born": "pupil.born", "student.code": "pupil.code"},
			Was: func(row, subject string) (string, string) {
				return row, "pupil:" + strings.TrimPrefix(subject, "student:")
			},
		}, privacy.RotateOptions{Batch: 2})
		require.NoError(t, err)
		require.Equal(t, privacy.Done, r.Phase)
		var one Student
		require.NoError(t, again.DB.WithContext(t.Context()).Where(&Student{Name: privacy.New("王小明"), Born: day(1)}).First(&one).Error)
		require.Equal(t, "1", one.ID)
		found, err := v.Doctor(t.Context(), again.DB)
		require.NoError(t, err)
		for _, f := range found {
			require.Equal(t, "check", f.Kind, f.String())
		}
	})
}
