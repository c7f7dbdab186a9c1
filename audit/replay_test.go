package audit_test

import (
	"errors"
	"fmt"
	"sort"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"pgregory.net/rapid"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

// replay applies the changes in the order of the log. Before must be what After
// of the last change was; commitments have another secret each time, so the values
// are compared by what they prove.
func (b *bench) replay(t require.TestingT, events []audit.Event, known []any) map[string]string {
	state := map[string]string{}
	for _, e := range events {
		secrets, err := b.log.Secrets(b.ctx, e)
		require.NoError(t, err)
		for _, c := range e.Changes {
			require.NotEqual(t, audit.AllRows, c.Row)
			key := e.Rows[c.Row].ID + "." + c.Field
			was, ok := state[key]
			if !ok && c.Field != "name" && c.Field != "visits" && c.Field != "email" {
				continue // created by the database's default
			}
			if !ok {
				was = "absent"
			}
			side := func(v audit.Value, after bool) string {
				if v.State != audit.Committed {
					return v.State.String()
				}
				for _, k := range known {
					before, is := e.Proves(c, secrets[c.Row], k)
					if after && is || !after && before {
						return fmt.Sprintf("=%v", k)
					}
				}
				return "unproved"
			}
			require.Equal(t, was, side(c.Before, false), "%s: %s was something else before event %d", e.Action, key, e.Seq)
			state[key] = side(c.After, true)
			require.NotEqual(t, "unproved", state[key])
		}
	}
	return state
}

// Whatever GORM does to rows, replaying the log gives what the rows are.
func TestReplayGivesTheRows(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := people(t, db)
		values := []any{"", "v1", "v2", "v3", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		for n := 10; n < 60; n++ {
			values = append(values, n)
		}
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			if run++; run > 60 || run > 10 && db.Engine != testdb.SQLite {
				return // enough; the servers take their time
			}
			b.ctx = as(t.Context(), audit.Actor{ID: "u", Tenant: fmt.Sprint("r", run)})
			b.empty(t)
			tx := b.WithContext(b.ctx)
			steps := rapid.IntRange(1, 8).Draw(rt, "steps")
			for range steps {
				step(rt, tx)
			}
			b.seal(t)
			state := b.replay(rt, b.events(t, audit.Query{OldestFirst: true}), values)
			want := map[string]string{}
			var rows []person
			require.NoError(rt, b.DB.DB.Unscoped().Find(&rows).Error)
			for _, r := range rows {
				want[r.ID+".name"], want[r.ID+".visits"] = "="+r.Name, fmt.Sprint("=", r.Visits)
				want[r.ID+".email"] = "null"
				if r.Email != nil {
					want[r.ID+".email"] = "=" + *r.Email
				}
			}
			got := map[string]string{}
			for key, v := range state {
				if v != "absent" {
					got[key] = v
				}
			}
			require.Equal(rt, want, got)
		})
		b.ctx = t.Context()
		audittest.CheckLog(t, b.log)
	})
}

// step does one random thing to the people a to d.
func step(rt *rapid.T, tx *gorm.DB) {
	id := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(rt, "id")
	name := rapid.SampledFrom([]string{"", "v1", "v2", "v3"}).Draw(rt, "name")
	visits := rapid.IntRange(0, 3).Draw(rt, "visits")
	some := tx.Select("id", "name", "visits", "email")
	var err error
	switch rapid.IntRange(0, 11).Draw(rt, "do") {
	case 0:
		err = some.Clauses(clause.OnConflict{DoNothing: true}).Create(&person{ID: id, Name: name, Visits: visits}).Error
	case 1:
		err = some.Clauses(clause.OnConflict{UpdateAll: true}).Create(&person{ID: id, Name: name, Visits: visits}).Error
	case 2:
		err = some.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).
			Create(&[]person{{ID: "a", Name: name}, {ID: "b", Name: name, Visits: visits}}).Error
	case 3:
		err = tx.Model(&person{ID: id}).Update("name", name).Error
	case 4:
		err = tx.Model(&person{}).Where("visits <= ?", visits).Updates(map[string]any{"name": name, "visits": gorm.Expr("visits + 1")}).Error
	case 5:
		err = tx.Model(&person{ID: id}).Select("name", "visits").Updates(person{Name: name, Visits: visits}).Error
	case 6:
		err = tx.Model(&person{}).Where("name = ?", name).UpdateColumn("visits", visits).Error
	case 7:
		err = tx.Unscoped().Delete(&person{ID: id}).Error
	case 8:
		err = tx.Unscoped().Where("visits > ?", visits).Delete(&person{}).Error
	case 9:
		err = tx.Transaction(func(tx *gorm.DB) error {
			_ = tx.Transaction(func(tx *gorm.DB) error {
				return errors.Join(tx.Model(&person{ID: id}).Update("name", "v3").Error, errTest)
			})
			return tx.Model(&person{ID: id}).Update("visits", visits).Error
		})
	case 10:
		err = tx.Model(&person{}).Where("id IN ?", []string{"a", id}).Where("name <> ?", name).Updates(map[string]any{"email": nil, "name": name}).Error
	case 11:
		err = some.Save(&person{ID: id, Name: name, Visits: visits}).Error
	}
	require.NoError(rt, err)
}

// Writers of the same rows wait for each other: no dead-lock that GORM's own
// statements would not have, no revision twice or missing, and the changes fit
// together one after the other.
func TestConcurrentWriters(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := people(t, db)
		tx := b.WithContext(b.ctx)
		require.NoError(t, tx.Select("id", "visits").Create(&[]person{{ID: "a"}, {ID: "b"}, {ID: "c"}}).Error)
		const writers, rounds = 4, 8
		var wg sync.WaitGroup
		for range writers {
			wg.Go(func() {
				for range rounds {
					err := b.WithContext(b.ctx).Model(&person{}).Where("id IN ?", []string{"c", "a", "b"}).Update("visits", gorm.Expr("visits + 1")).Error
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		b.seal(t)
		audittest.CheckLog(t, b.log)
		var values []any
		for n := range writers*rounds + 1 {
			values = append(values, n)
		}
		events := b.events(t, audit.Query{})
		sort.Slice(events, func(i, j int) bool { return events[i].Rows[0].Rev < events[j].Rows[0].Rev })
		state := b.replay(t, events, values)
		require.Equal(t, fmt.Sprint("=", writers*rounds), state["a.visits"])
		require.Len(t, events, 1+writers*rounds)
		for i, e := range events {
			for _, r := range e.Rows {
				require.EqualValues(t, i+1, r.Rev)
			}
		}
	})
}
