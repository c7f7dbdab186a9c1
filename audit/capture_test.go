package audit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/audit"
	"github.com/confide-go/confide/audit/audittest"
	"github.com/confide-go/confide/internal/testdb"
)

type person struct {
	ID      string `gorm:"primaryKey;size:36"`
	Name    string
	Email   *string `gorm:"size:100;uniqueIndex"`
	Phone   string  `audit:"mask=phone"`
	Status  string  `audit:"plain"`
	Visits  int
	Scratch string `audit:"-"`
	Photo   []byte
	Gone    gorm.DeletedAt
	Pets    []pet
	Tags    []tag `gorm:"many2many:person_tags"`
}

type pet struct {
	ID       uint   `gorm:"primaryKey"`
	Name     string `audit:"plain"`
	PersonID *string
}

type tag struct {
	ID   uint `gorm:"primaryKey"`
	Name string
}

type visit struct {
	Person string `gorm:"primaryKey;size:36" audit:"subject=person"`
	Day    int    `gorm:"primaryKey;autoIncrement:false"`
	Note   string
}

type label struct {
	ID   uint   `gorm:"primaryKey"`
	Name string `gorm:"size:64;uniqueIndex"`
	Text string
}

const canary = "kanarie-" // no stored byte of the log may hold it

func secret(word string) string { return canary + word }

func ref(s string) *string { return &s }

// known are all values the tests ever write: a commitment is shown as the one it proves.
var known = []any{"", 0, 1, 2, 3, 5, 7, secret("ann"), secret("bob"), secret("cy"), secret("ann@x"), secret("bob@x"), "138" + "0013" + "8000",
	[]byte{}, []byte{1, 2}, "p1", "p2", "p3", "new", "q1"}

// told shows an event with its changes. A commitment must prove exactly one of
// the known values, or it is a "?": times, which the tests cannot know.
func (b *bench) told(t *testing.T, e audit.Event) string {
	t.Helper()
	secrets, err := b.log.Secrets(b.ctx, e)
	require.NoError(t, err)
	side := func(c audit.Change, v audit.Value, after bool) string {
		switch v.State {
		case audit.Plain, audit.Masked:
			return v.State.String() + "=" + v.Text
		case audit.Committed:
			for _, k := range known {
				was, is := e.Proves(c, secrets[c.Row], k)
				if after && is || !after && was {
					if n, ok := k.(int); ok {
						return fmt.Sprint(n)
					}
					return fmt.Sprintf("%q", k)
				}
			}
			return "?"
		}
		return v.State.String()
	}
	s := line(e)
	for _, c := range e.Changes {
		row := "*"
		if c.Row != audit.AllRows {
			row = e.Rows[c.Row].ID
		}
		s += fmt.Sprintf("; %s.%s %s>%s", row, c.Field, side(c, c.Before, false), side(c, c.After, true))
	}
	return s
}

func diffed(c *audit.Config) {
	c.Diff = &audit.Diff{Except: []string{"sessions"}}
	c.Ignore = []string{"ignored_things"}
	c.MostRows = 4
}

// people makes a bench with empty tables for the cases.
func people(t *testing.T, db testdb.DB) *bench {
	t.Helper()
	b := setUp(t, db, diffed)
	require.NoError(t, b.AutoMigrate(&tag{}, &person{}, &pet{}, &visit{}, &label{}, &session{}))
	return b
}

// empty takes all rows away, past the plugin, and lets generated keys begin anew.
func (b *bench) empty(t *testing.T) {
	t.Helper()
	if b.Engine == testdb.Postgres {
		b.exec(t, "TRUNCATE person_tags, pets, visits, labels, sessions, tags, people RESTART IDENTITY CASCADE")
		return
	}
	for _, table := range []string{"person_tags", "pets", "visits", "labels", "sessions", "tags", "people"} {
		b.exec(t, "DELETE FROM "+table)
	}
	if b.Engine == testdb.SQLite {
		b.exec(t, "DELETE FROM sqlite_sequence WHERE name NOT LIKE 'confide%'")
		return
	}
	for _, table := range []string{"pets", "labels", "tags"} {
		b.exec(t, "ALTER TABLE "+table+" AUTO_INCREMENT = 1")
	}
}

// captured runs one statement on two people and returns what the tenant's log says of it.
func (b *bench) captured(t *testing.T, tenant string, do func(tx *gorm.DB) error) []string {
	t.Helper()
	b.ctx = as(t.Context(), audit.Actor{ID: "u3", Tenant: tenant})
	b.empty(t)
	tx := b.WithContext(b.ctx)
	require.NoError(t, tx.Create(&[]person{{ID: "p1", Name: secret("ann"), Email: ref(secret("ann@x")), Status: "new"}, {ID: "p2", Visits: 5}}).Error)
	require.NoError(t, do(tx))
	b.seal(t)
	events := b.events(t, audit.Query{OldestFirst: true})
	require.Len(t, events[0].Rows, 2)
	var got []string
	for _, e := range events[1:] {
		got = append(got, b.told(t, e))
	}
	return got
}

// stored is every byte of the log's tables.
func (b *bench) stored(t *testing.T) string {
	t.Helper()
	b.ctx = t.Context()
	var all strings.Builder
	tables, err := b.Migrator().GetTables()
	require.NoError(t, err)
	for _, table := range tables {
		if !strings.HasPrefix(table, "confide_audit_") {
			continue
		}
		pool, err := b.DB.DB.DB()
		require.NoError(t, err)
		rows, err := pool.QueryContext(b.ctx, "SELECT * FROM "+table)
		require.NoError(t, err)
		columns, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, places := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				places[i] = &values[i]
			}
			require.NoError(t, rows.Scan(places...))
			for _, v := range values {
				if raw, ok := v.([]byte); ok {
					v = string(raw)
				}
				fmt.Fprintln(&all, v)
			}
		}
		require.NoError(t, rows.Err())
		require.NoError(t, rows.Close())
	}
	return all.String()
}

var captureCases = []struct {
	name string
	do   func(tx *gorm.DB) error
	want []string
}{
	{"create", func(tx *gorm.DB) error {
		return tx.Create(&person{ID: "q1", Name: secret("bob"), Phone: "13800138000", Status: "vip", Photo: []byte{1, 2}}).Error
	}, []string{`person.create [q1@1] (email gone id name phone photo scratch status visits); q1.email absent>null; q1.gone absent>null; q1.name absent>"kanarie-bob"; q1.phone absent>masked=138****8000; q1.photo absent>"\x01\x02"; q1.status absent>plain=vip; q1.visits absent>0`}},
	{"create from a map", func(tx *gorm.DB) error {
		return tx.Model(&person{}).Create(map[string]any{"id": "q1", "name": secret("bob")}).Error
	}, []string{`person.create [q1@1] (id name); q1.name absent>"kanarie-bob"`}},
	{"create with a generated key", func(tx *gorm.DB) error { return tx.Create(&pet{Name: "Rex", PersonID: ref("p1")}).Error },
		[]string{`pet.create [1@1] (name person_id); 1.name absent>plain=Rex; 1.person_id absent>"p1"`}},
	{"create in batches", func(tx *gorm.DB) error {
		return tx.Select("id", "name").CreateInBatches(&[]person{{ID: "p3", Name: secret("cy")}, {ID: "q1"}, {ID: "new"}}, 2).Error
	}, []string{`person.create [p3@1 q1@1] (id name); p3.name absent>"kanarie-cy"; q1.name absent>""`, `person.create [new@1] (id name); new.name absent>""`}},
	{"generics create", func(tx *gorm.DB) error {
		return gorm.G[label](tx).Create(tx.Statement.Context, &label{Name: secret("bob"), Text: secret("cy")})
	}, []string{`label.create [1@1] (name text); 1.name absent>"kanarie-bob"; 1.text absent>"kanarie-cy"`}},
	{"update a column", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p1"}).Update("name", secret("bob")).Error
	}, []string{`person.update [p1@2] (name); p1.name "kanarie-ann">"kanarie-bob"`}},
	{"update by struct", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p1"}).Updates(person{Name: secret("ann"), Status: "old", Visits: 2}).Error
	}, []string{`person.update [p1@2] (name status visits); p1.status plain=new>plain=old; p1.visits 0>2`}},
	{"update by map", func(tx *gorm.DB) error {
		return tx.Model(&person{}).Where("id = ?", "p1").Updates(map[string]any{"email": nil, "name": ""}).Error
	}, []string{`person.update [p1@2] (email name); p1.email "kanarie-ann@x">null; p1.name "kanarie-ann">""`}},
	{"update an expression", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p2"}).Update("visits", gorm.Expr("visits + ?", 2)).Error
	}, []string{`person.update [p2@2] (visits); p2.visits 5>7`}},
	{"update column without hooks", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p1"}).UpdateColumn("name", secret("cy")).Error
	}, []string{`person.update [p1@2] (name); p1.name "kanarie-ann">"kanarie-cy"`}},
	{"update columns", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p1"}).UpdateColumns(map[string]any{"visits": 3, "photo": []byte{1, 2}}).Error
	}, []string{`person.update [p1@2] (photo visits); p1.photo null>"\x01\x02"; p1.visits 0>3`}},
	{"generics update", func(tx *gorm.DB) error {
		_, err := gorm.G[person](tx).Where("id = ?", "p2").Update(tx.Statement.Context, "name", secret("cy"))
		return err
	}, []string{`person.update [p2@2] (name); p2.name "">"kanarie-cy"`}},
	{"generics delete", func(tx *gorm.DB) error {
		_, err := gorm.G[pet](tx).Where("id = ?", 1).Delete(tx.Statement.Context)
		return err
	}, nil},
	{"update what is so already", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p1"}).Update("name", secret("ann")).Error
	}, nil},
	{"a column that is left out", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p1"}).Update("scratch", secret("ann")).Error
	}, []string{`person.update [p1@2] (scratch)`}},
	{"bulk update", func(tx *gorm.DB) error {
		return tx.Model(&person{}).Where("visits >= ?", 0).Update("name", secret("cy")).Error
	}, []string{`person.update [p1@2 p2@2] (name); p1.name "kanarie-ann">"kanarie-cy"; p2.name "">"kanarie-cy"`}},
	{"bulk update that spares some", func(tx *gorm.DB) error {
		return tx.Model(&person{}).Where("id IN ?", []string{"p1", "p2"}).Where("visits = ?", 5).Or("name = ?", "nobody").Update("visits", 7).Error
	}, []string{`person.update [p2@2] (visits); p2.visits 5>7`}},
	{"global update", func(tx *gorm.DB) error {
		return tx.Session(&gorm.Session{AllowGlobalUpdate: true}).Unscoped().Model(&person{}).Update("visits", 1).Error
	}, []string{`person.update [p1@2 p2@2] (visits); p1.visits 0>1; p2.visits 5>1`}},
	{"save", func(tx *gorm.DB) error {
		return tx.Save(&person{ID: "p1", Name: secret("ann"), Email: ref(secret("bob@x")), Status: "new"}).Error
	}, []string{`person.update [p1@2] (email gone name phone photo scratch status visits); p1.email "kanarie-ann@x">"kanarie-bob@x"`}},
	{"save of a new one", func(tx *gorm.DB) error { return tx.Save(&visit{Person: "p1", Day: 3, Note: secret("ann")}).Error },
		[]string{`visit.upsert [p1,3@1] (day note person); p1,3.note absent>"kanarie-ann"`}},
	{"upsert", func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Select("id", "name").Create(&[]person{{ID: "p1", Name: secret("bob")}, {ID: "q1", Name: secret("cy")}}).Error
	}, []string{`person.upsert [p1@2 q1@1] (id name); p1.name "kanarie-ann">"kanarie-bob"; q1.name absent>"kanarie-cy"`}},
	{"upsert on another index", func(tx *gorm.DB) error {
		if err := tx.Create(&label{Name: secret("ann"), Text: secret("ann")}).Error; err != nil {
			return err
		}
		return tx.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"text"})}).
			Create(&[]label{{Name: secret("ann"), Text: secret("bob")}}).Error
	}, []string{`label.create [1@1] (name text); 1.name absent>"kanarie-ann"; 1.text absent>"kanarie-ann"`,
		`label.upsert [1@2] (name text); 1.text "kanarie-ann">"kanarie-bob"`}},
	{"insert ignored", func(tx *gorm.DB) error {
		return tx.Clauses(clause.OnConflict{DoNothing: true}).Select("id", "name").Create(&[]person{{ID: "p1", Name: secret("bob")}, {ID: "q1", Name: secret("cy")}}).Error
	}, []string{`person.create [q1@1] (id name); q1.name absent>"kanarie-cy"`}},
	{"soft delete", func(tx *gorm.DB) error { return tx.Delete(&person{ID: "p1"}).Error },
		[]string{`person.delete [p1@2] (gone) soft=true; p1.gone null>?`}},
	{"soft delete by condition", func(tx *gorm.DB) error { return tx.Where("visits = ?", 5).Delete(&person{}).Error },
		[]string{`person.delete [p2@2] (gone) soft=true; p2.gone null>?`}},
	{"delete", func(tx *gorm.DB) error { return tx.Unscoped().Delete(&person{ID: "p1"}).Error },
		[]string{`person.delete [p1@2] (email gone id name phone photo scratch status visits); p1.email "kanarie-ann@x">absent; p1.gone null>absent; p1.name "kanarie-ann">absent; p1.phone masked=>absent; p1.photo null>absent; p1.status plain=new>absent; p1.visits 0>absent`}},
	{"delete by condition", func(tx *gorm.DB) error {
		if err := tx.Create(&[]visit{{"p1", 1, secret("ann")}, {"p1", 2, ""}, {"p2", 1, ""}}).Error; err != nil {
			return err
		}
		return tx.Where("person = ?", "p1").Delete(&visit{}).Error
	}, []string{`visit.create [p1,1@1 p1,2@1 p2,1@1] (day note person); p1,1.note absent>"kanarie-ann"; p1,2.note absent>""; p2,1.note absent>""`,
		`visit.delete [p1,1@2 p1,2@2] (day note person); p1,1.note "kanarie-ann">absent; p1,2.note "">absent`}},
	{"a composite key moves", func(tx *gorm.DB) error {
		if err := tx.Create(&visit{"p1", 1, secret("ann")}).Error; err != nil {
			return err
		}
		return tx.Model(&visit{}).Where("day = ?", 1).Update("day", 2).Error
	}, []string{`visit.create [p1,1@1] (day note person); p1,1.note absent>"kanarie-ann"`, `visit.update [p1,1@2 p1,2@1] (day); p1,1.day 1>2`}},
	{"append to has many", func(tx *gorm.DB) error {
		return tx.Model(&person{ID: "p1"}).Association("Pets").Append(&pet{Name: "Rex"})
	}, []string{`pet.upsert [1@1] (name person_id); 1.name absent>plain=Rex; 1.person_id absent>"p1"`}},
	{"replace in has many", func(tx *gorm.DB) error {
		one, two := pet{Name: "Rex", PersonID: ref("p1")}, pet{Name: "Tom"}
		if err := errors.Join(tx.Create(&one).Error, tx.Create(&two).Error); err != nil {
			return err
		}
		return tx.Model(&person{ID: "p1"}).Association("Pets").Replace(&two)
	}, []string{`pet.create [1@1] (name person_id); 1.name absent>plain=Rex; 1.person_id absent>"p1"`,
		`pet.create [2@1] (name person_id); 2.name absent>plain=Tom; 2.person_id absent>null`,
		`pet.upsert [2@2] (id name person_id); 2.person_id null>"p1"`, `pet.update [1@2] (person_id); 1.person_id "p1">null`}},
	{"append and clear many to many", func(tx *gorm.DB) error {
		tags := tx.Model(&person{ID: "p1"}).Association("Tags")
		return errors.Join(tags.Append(&tag{Name: "red"}, &tag{Name: "blue"}), tags.Clear())
	}, nil}, // judged below
	{"above the bound", func(tx *gorm.DB) error {
		if err := tx.Select("id").Create(&[]person{{ID: "x1"}, {ID: "x2"}, {ID: "x3"}}).Error; err != nil {
			return err
		}
		return tx.Model(&person{}).Where("id <> ?", "none").Updates(map[string]any{"name": secret("cy"), "status": "x", "email": nil, "visits": gorm.Expr("7"), "phone": "13800138000"}).Error
	}, nil}, // judged below
	{"table without diff", func(tx *gorm.DB) error { return tx.Create(&session{ID: "1"}).Error }, []string{`session.create [1@1] (id)`}},
	{"rolled back", func(tx *gorm.DB) error {
		_ = tx.Transaction(func(tx *gorm.DB) error {
			return errors.Join(tx.Model(&person{ID: "p1"}).Update("name", secret("bob")).Error, errTest)
		})
		return nil
	}, nil},
	{"nothing found", func(tx *gorm.DB) error {
		return tx.Model(&person{}).Where("name = ?", "nobody").Update("visits", 1).Error
	}, nil},
	{"a literal that looks like a parameter", func(tx *gorm.DB) error {
		return tx.Model(&person{}).Where("name <> '$9' AND visits = ?", 5).Update("visits", 7).Error
	}, []string{`person.update [p2@2] (visits); p2.visits 5>7`}},
}

func TestCapture(t *testing.T) {
	testdb.EachInFull(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := people(t, db)
		for i, c := range captureCases {
			t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
				got := b.captured(t, fmt.Sprint("t", i), c.do)
				t.Log(strings.Join(got, "\n"))
				switch c.name {
				case "append and clear many to many":
					requireTags(t, got)
				case "above the bound":
					requireBulk(t, got)
				default:
					require.Equal(t, c.want, got)
				}
			})
		}
		audittest.CheckLog(t, b.log)
		all := b.stored(t)
		require.NotContains(t, all, canary, "a value got into the log")
		require.NotContains(t, all, "13800138000", "a masked value got into the log")
		require.Contains(t, all, "138****8000", "the search finds what is there")
	})
}

func requireTags(t *testing.T, got []string) {
	t.Helper()
	require.Len(t, got, 3, got)
	require.True(t, strings.HasPrefix(got[0], "tag.create [1@1 2@1] (name);"), got[0])
	require.Contains(t, got[1], " [p1,1@1 p1,2@1] (person_id tag_id)")
	require.Contains(t, got[2], ".delete [p1,1@2 p1,2@2] (person_id tag_id)")
}

func requireBulk(t *testing.T, got []string) {
	t.Helper()
	require.Len(t, got, 2, got)
	require.Regexp(t, `^person\.update \[\] \(email name phone status visits\) count=5 where=[0-9a-f]{16}; `+
		`\*\.email unknown>null; \*\.name unknown>"kanarie-cy"; \*\.phone unknown>masked=138\*\*\*\*8000; \*\.status unknown>plain=x; \*\.visits unknown>unknown$`, got[1])
}

// The predicate's fingerprint is that of its shape: values do not go into it.
func TestBulkFingerprints(t *testing.T) {
	prints := map[string]string{}
	for name, do := range map[string]func(tx *gorm.DB) *gorm.DB{
		"a": func(tx *gorm.DB) *gorm.DB { return tx.Where("id > ?", "a") },
		"b": func(tx *gorm.DB) *gorm.DB { return tx.Where("ID  >  ?", "b") },
		"c": func(tx *gorm.DB) *gorm.DB { return tx.Where("id >= ?", "a") },
	} {
		b := people(t, testdb.New(t, testdb.SQLite))
		b.captured(t, "main", func(tx *gorm.DB) error {
			if err := tx.Select("id").Create(&[]person{{ID: "x1"}, {ID: "x2"}, {ID: "x3"}}).Error; err != nil {
				return err
			}
			return do(tx.Model(&person{})).Update("visits", 7).Error
		})
		e := b.events(t, audit.Query{Limit: 1})[0]
		for _, a := range e.Attrs {
			if a.Key == "where" {
				prints[name] = a.Value.String()
			}
		}
	}
	require.Len(t, prints["a"], 16)
	require.Equal(t, prints["a"], prints["b"])
	require.NotEqual(t, prints["a"], prints["c"])
}

func TestAnAliasDoesNotHideATable(t *testing.T) {
	for _, engine := range []string{testdb.SQLite, testdb.Postgres} { // MySQL takes an alias in UPDATE only with the columns qualified
		t.Run(engine, func(t *testing.T) {
			got := people(t, testdb.New(t, engine)).captured(t, "main", func(tx *gorm.DB) error {
				return tx.Table("people AS ignored_things").Where("ignored_things.visits = ?", 5).Update("visits", 7).Error
			})
			require.Len(t, got, 1, "the alias of an ignored table hid the write")
			require.Contains(t, got[0], "count=1")
		})
	}
}

// A row that only its subject column ties to a person is forgotten with the person.
func TestForget(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := people(t, db)
		b.captured(t, "main", func(tx *gorm.DB) error {
			return errors.Join(tx.Create(&[]visit{{"p1", 1, secret("ann")}, {"p2", 1, secret("bob")}}).Error,
				tx.Model(&person{ID: "p1"}).Update("name", secret("bob")).Error)
		})
		proved := func(words ...any) int {
			n := 0
			for _, e := range b.events(t, audit.Query{}) {
				secrets, err := b.log.Secrets(b.ctx, e)
				require.NoError(t, err)
				for _, c := range e.Changes {
					for _, w := range words {
						before, after := e.Proves(c, secrets[c.Row], w)
						if before || after {
							n++
						}
					}
				}
			}
			return n
		}
		require.Equal(t, 3, proved(secret("ann")), "created, in the visit, before the update")
		require.Equal(t, 2, proved(secret("bob")), "in the visit of p2, after the update of p1")
		require.Zero(t, proved(secret("cy"), "kanarie-an", ""+secret("ann")+" "), "a value that never was is proved")

		err := b.log.Forget(b.ctx, "person:p1")
		require.ErrorIs(t, err, audit.ErrInvalid)
		require.ErrorContains(t, err, "use WithTx")
		require.ErrorIs(t, b.Transaction(func(tx *gorm.DB) error {
			return errors.Join(b.log.Forget(audit.WithTx(b.ctx, tx), "person:p1"), errTest)
		}), errTest)
		require.Equal(t, 3, proved(secret("ann")), "a rolled back erasure destroyed secrets")

		require.NoError(t, b.Transaction(func(tx *gorm.DB) error {
			return b.log.Forget(audit.WithTx(b.ctx, tx), "person:p1")
		}))
		b.seal(t)
		audittest.CheckLog(t, b.log)
		require.Zero(t, proved(secret("ann"), secret("ann@x")), "a guess about an erased person can be checked")
		require.Equal(t, 1, proved(secret("bob")), "only p2's visit is left")
		e := b.events(t, audit.Query{Limit: 1})[0]
		require.Equal(t, "subject.erased person:p1 [destroyed=3]", fmt.Sprint(e.Action, " ", e.Subject, " ", e.Attrs))
	})
}

// What a commitment proves depends on everything it is about.
func TestProvesNothingElse(t *testing.T) {
	b := people(t, testdb.New(t, testdb.SQLite))
	b.captured(t, "main", func(tx *gorm.DB) error {
		return tx.Model(&person{}).Where("1 = 1").Updates(map[string]any{"name": secret("cy"), "email": nil}).Error
	})
	e := b.events(t, audit.Query{Limit: 1})[0]
	secrets, err := b.log.Secrets(b.ctx, e)
	require.NoError(t, err)
	var c audit.Change
	for _, c = range e.Changes {
		if c.Field == "name" && c.Row == 0 {
			break
		}
	}
	is := func(e audit.Event, c audit.Change, key []byte, v any) [2]bool {
		was, is := e.Proves(c, key, v)
		return [2]bool{was, is}
	}
	key := secrets[0]
	require.Equal(t, [2]bool{true, false}, is(e, c, key, secret("ann")))
	require.Equal(t, [2]bool{false, true}, is(e, c, key, secret("cy")))
	require.Equal(t, [2]bool{}, is(e, c, key, nil))
	require.Equal(t, [2]bool{}, is(e, c, secrets[1], secret("cy")), "another row's secret")
	require.Equal(t, [2]bool{}, is(e, c, nil, secret("cy")), "no secret")
	require.Equal(t, [2]bool{}, is(e, c, append(slices.Clone(key), 0), secret("cy")), "a secret that HMAC pads to the same")
	other := c
	other.Field = "email"
	require.Equal(t, [2]bool{}, is(e, other, key, secret("cy")), "another field")
	swapped := c
	swapped.Before, swapped.After = c.After, c.Before
	require.Equal(t, [2]bool{}, is(e, swapped, key, secret("cy")), "before and after exchanged")
	moved := e
	moved.Rows = []audit.Row{{ID: "p9"}, e.Rows[1]}
	require.Equal(t, [2]bool{}, is(moved, c, key, secret("cy")), "another row")
	moved = e
	moved.Resource = "pet"
	require.Equal(t, [2]bool{}, is(moved, c, key, secret("cy")), "another resource")
}

func TestDiffRefuses(t *testing.T) {
	type wrong struct {
		ID   string `gorm:"primaryKey;size:36"`
		Name string `audit:"mask=fone"`
	}
	db := testdb.New(t, testdb.SQLite)
	b := setUp(t, db, diffed)
	require.NoError(t, b.AutoMigrate(&wrong{}))
	err := b.WithContext(b.ctx).Create(&wrong{ID: "1", Name: secret("ann")}).Error
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "wrongs.name")
	require.NotContains(t, err.Error(), canary)

	cfg := b.cfg
	cfg.Store = struct{ audit.Store }{b.cfg.Store}
	_, err = audit.Open(t.Context(), cfg)
	require.ErrorIs(t, err, audit.ErrInvalid)
	require.ErrorContains(t, err, "SecretStore")
}

// Times are proved as times.
func TestProvesTimes(t *testing.T) {
	type moment struct {
		ID string `gorm:"primaryKey;size:36"`
		At time.Time
	}
	testdb.Each(t, func(t *testing.T, db testdb.DB) {
		t.Parallel()
		b := setUp(t, db, diffed)
		require.NoError(t, b.AutoMigrate(&moment{}))
		at := time.Date(2026, 11, 30, 19, 0, 0, 123000000, time.FixedZone("x", 8*3600))
		require.NoError(t, b.WithContext(context.WithoutCancel(b.ctx)).Create(&moment{"1", at}).Error)
		b.seal(t)
		e := b.events(t, audit.Query{Limit: 1})[0]
		secrets, err := b.log.Secrets(b.ctx, e)
		require.NoError(t, err)
		_, is := e.Proves(e.Changes[0], secrets[0], at)
		require.True(t, is)
		_, is = e.Proves(e.Changes[0], secrets[0], at.Add(time.Millisecond))
		require.False(t, is)
	})
}
