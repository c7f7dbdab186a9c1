package privacy_test

import (
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/confide-go/confide/internal/testdb"
	"github.com/confide-go/confide/privacy"
)

func writePaths() []path {
	return append(createPaths(), updatePaths()...)
}

func fresh(id string) *Customer { return customer(id, newName, newPhone, newEmail) }

// isNew checks that a row holds the new values and is found by them.
func (m *maze) isNew(id string) {
	m.t.Helper()
	name, phone, email := m.read(id)
	m.equal([]string{newName, newPhone, newEmail}, []string{name, phone, email})
	m.equal([]string{id}, m.found("4907112842222"))
}

func createPaths() []path {
	const g = "Create"
	return []path{
		{g, "Create(&struct)", "", func(m *maze) error {
			c := fresh("3")
			require.NoError(m.t, m.gorm().Create(c).Error)
			m.equal(newPhone, reveal(m.t, c.Phone))
			m.isNew("3")
			return nil
		}},
		{g, "Create(struct)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(*fresh("3")).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Create(&slice)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create(&[]Customer{*fresh("3")}).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Create(slice of pointers)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Create([]*Customer{fresh("3")}).Error)
			m.isNew("3")
			return nil
		}},
		{g, "CreateInBatches", "", func(m *maze) error {
			list := []Customer{*fresh("3"), *customer("4", "Canarino", "1", "2"), *customer("5", "Canarino", "1", "2")}
			require.NoError(m.t, m.gorm().CreateInBatches(&list, 2).Error)
			m.equal(newPhone, reveal(m.t, list[0].Phone))
			m.isNew("3")
			return nil
		}},
		{g, "Create(map)", "", func(m *maze) error {
			in := map[string]any{"ID": "3", "name": privacy.New(newName), "phone": privacy.New(newPhone), "Email": privacy.New(newEmail)}
			require.NoError(m.t, m.gorm().Model(&Customer{}).Create(in).Error)
			require.NotContains(m.t, in, "phone_index", "the caller's map was changed")
			m.isNew("3")
			return nil
		}},
		{g, "Create([]map)", "", func(m *maze) error {
			in := []map[string]any{{"id": "3", "name": privacy.New(newName), "phone": privacy.New(newPhone), "email": privacy.New(newEmail)}}
			require.NoError(m.t, m.gorm().Model(&Customer{}).Create(in).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Create with Select", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Select("ID", "Phone").Create(fresh("3")).Error)
			name, phone, _ := m.read("3")
			m.equal([]string{"NULL", newPhone}, []string{name, phone})
			m.equal([]string{"3"}, m.found(newPhone))
			return nil
		}},
		{g, "Create with Omit", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Omit("Phone").Create(fresh("3")).Error)
			_, phone, _ := m.read("3")
			m.equal("NULL", phone)
			m.equal(0, len(m.found(newPhone)))
			return nil
		}},
		{g, "Create with an index set by hand", "", func(m *maze) error {
			c := fresh("3")
			c.PhoneIndex = privacy.Index(newPhone)
			require.NoError(m.t, m.gorm().Create(c).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Create with associations", "", func(m *maze) error {
			c := fresh("3")
			c.Invoices = []Invoice{{ID: "i3", BillingName: privacy.New(newName)}}
			require.NoError(m.t, m.gorm().Create(c).Error)
			m.equal(newName, reveal(m.t, c.Invoices[0].BillingName))
			var i Invoice
			require.NoError(m.t, m.gorm().First(&i, "id = ?", "i3").Error)
			m.equal(newName, reveal(m.t, i.BillingName))
			m.isNew("3")
			return nil
		}},
		{g, "Association.Append", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).Association("Invoices").Append(&Invoice{ID: "i3", BillingName: privacy.New(newName)}))
			var i Invoice
			require.NoError(m.t, m.gorm().First(&i, "id = ?", "i3").Error)
			m.equal("1", i.CustomerID)
			m.equal(newName, reveal(m.t, i.BillingName))
			return nil
		}},
		{g, "Association.Append moves a row to another person", "constraint", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "2"}).Association("Invoices").Append(&Invoice{ID: "i1", BillingName: privacy.New(newName)})
		}},
		{g, "gorm.G Create", "", func(m *maze) error {
			require.NoError(m.t, gorm.G[Customer](m.db.DB).Create(m.ctx, fresh("3")))
			m.isNew("3")
			return nil
		}},
		{g, "SkipDefaultTransaction", "", func(m *maze) error {
			tx := m.gorm().Session(&gorm.Session{SkipDefaultTransaction: true})
			require.NoError(m.t, tx.Create(fresh("3")).Error)
			m.isNew("3")
			return nil
		}},
		{g, "SkipHooks", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Session(&gorm.Session{SkipHooks: true}).Create(fresh("3")).Error)
			m.isNew("3")
			return nil
		}},
		{g, "PrepareStmt", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Session(&gorm.Session{PrepareStmt: true}).Create(fresh("3")).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Transaction, nested", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Transaction(func(tx *gorm.DB) error {
				return tx.Transaction(func(tx *gorm.DB) error { return tx.Create(fresh("3")).Error })
			}))
			m.isNew("3")
			return nil
		}},
		{g, "Transaction rolled back, then created again", "", func(m *maze) error {
			c := fresh("3")
			boom := gorm.ErrInvalidData
			require.ErrorIs(m.t, m.gorm().Transaction(func(tx *gorm.DB) error {
				require.NoError(m.t, tx.Create(c).Error)
				return boom
			}), boom)
			require.NoError(m.t, m.gorm().Create(c).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Create fails on a duplicate, then with another id", "", func(m *maze) error {
			c := fresh("1")
			require.Error(m.t, m.gorm().Create(c).Error)
			c.ID = "3"
			require.NoError(m.t, m.gorm().Create(c).Error)
			m.isNew("3")
			return nil
		}},
		{g, "OnConflict DoNothing", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Clauses(clause.OnConflict{DoNothing: true}).Create(fresh("1")).Error)
			_, phone, _ := m.read("1")
			m.equal(anaPhone, phone)
			return nil
		}},
		{g, "OnConflict UpdateAll", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Clauses(clause.OnConflict{UpdateAll: true}).Create(fresh("1")).Error)
			m.isNew("1")
			return nil
		}},
		{g, "OnConflict UpdateAll, absent fields stay", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Clauses(clause.OnConflict{UpdateAll: true}).Create(&Customer{ID: "1", Owner: "e4"}).Error)
			name, phone, _ := m.read("1")
			m.equal([]string{anaName, anaPhone}, []string{name, phone})
			return nil
		}},
		{g, "OnConflict UpdateAll, a batch with a field absent in some rows", "absent in some rows", func(m *maze) error {
			return m.gorm().Clauses(clause.OnConflict{UpdateAll: true}).Create([]*Customer{fresh("1"), {ID: "2"}}).Error
		}},
		{g, "OnConflict AssignmentColumns", "", func(m *maze) error {
			on := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name", "phone", "email"})}
			require.NoError(m.t, m.gorm().Clauses(on).Create(fresh("1")).Error)
			m.isNew("1")
			return nil
		}},
		{g, "OnConflict Assignments with a sealed value", "cannot seal an assigned value", func(m *maze) error {
			on := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"phone": privacy.New(newPhone)})}
			return m.gorm().Clauses(on).Create(fresh("1")).Error
		}},
		{g, "OnConflict Assignments with plaintext", "cannot seal an assigned value", func(m *maze) error {
			on := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.Assignments(map[string]any{"phone": newPhone})}
			return m.gorm().Clauses(on).Create(fresh("1")).Error
		}},
		{g, "OnConflict on a row of another person", "constraint", func(m *maze) error {
			on := clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"billing_name"})}
			return m.gorm().Clauses(on).Create(&Invoice{ID: "i1", CustomerID: "2", BillingName: privacy.New(bobName)}).Error
		}},
		{g, "Save(new)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Save(fresh("3")).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Save(&slice)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Save(&[]Customer{*fresh("1")}).Error)
			m.isNew("1")
			return nil
		}},
		{g, "FirstOrCreate by struct, three times", "", func(m *maze) error {
			for range 3 {
				c := Customer{ID: "3"}
				require.NoError(m.t, m.gorm().Where(&Customer{Phone: privacy.New(newPhone)}).Attrs(Customer{ID: "3", Name: privacy.New(newName), Email: privacy.New(newEmail)}).FirstOrCreate(&c).Error)
				c = Customer{}
				require.NoError(m.t, m.gorm().Where(&Customer{Phone: privacy.New(newPhone)}).FirstOrCreate(&c).Error)
				m.equal("3", c.ID)
			}
			m.isNew("3")
			return nil
		}},
		{g, "FirstOrCreate with Assign(map), found", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().Where("id = ?", "1").Assign(map[string]any{"phone": privacy.New(newPhone)}).FirstOrCreate(&c).Error)
			_, phone, _ := m.read("1")
			m.equal(newPhone, phone)
			m.equal([]string{"1"}, m.found(newPhone))
			return nil
		}},
		{g, "FirstOrInit", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().Where(&Customer{Phone: privacy.New(newPhone)}).FirstOrInit(&c, Customer{ID: "3"}).Error)
			c.Name, c.Email = privacy.New(newName), privacy.New(newEmail)
			require.NoError(m.t, m.gorm().Create(&c).Error)
			m.isNew("3")
			return nil
		}},
		{g, "Clauses(Returning)", "", func(m *maze) error {
			c := fresh("3")
			require.NoError(m.t, m.gorm().Clauses(clause.Returning{}).Create(c).Error)
			m.equal(newPhone, reveal(m.t, c.Phone))
			m.isNew("3")
			return nil
		}},
		{g, "id missing", "is empty", func(m *maze) error { return m.gorm().Create(fresh("")).Error }},
		{g, "person missing", "is empty", func(m *maze) error {
			return m.gorm().Create(&Invoice{ID: "i9", BillingName: privacy.New(newName)}).Error
		}},
		{g, "Create(map) with plaintext", "stored as plaintext", func(m *maze) error {
			return m.gorm().Model(&Customer{}).Create(map[string]any{"id": "3", "phone": newPhone}).Error
		}},
		{g, "Create(map) with an expression", "stored as plaintext", func(m *maze) error {
			return m.gorm().Model(&Customer{}).Create(map[string]any{"id": "3", "phone": gorm.Expr("?", newPhone)}).Error
		}},
		{g, "Table(name).Create(map)", "without its model", func(m *maze) error {
			return m.gorm().Table("customers").Create(map[string]any{"id": "3", "phone": newPhone}).Error
		}},
		{g, "a value read from another row", "another row, field or person", func(m *maze) error {
			var a Customer
			require.NoError(m.t, m.gorm().First(&a, "id = ?", "1").Error)
			return m.gorm().Create(&Customer{ID: "3", Phone: a.Phone}).Error
		}},
		{g, "a value that is sealed already", "already a sealed one", func(m *maze) error {
			return m.gorm().Create(&Customer{ID: "3", Phone: privacy.New(string(m.stored(m.t, "customers", "phone", "1")))}).Error
		}},
		{g, "DryRun", "dry run", func(m *maze) error {
			return m.gorm().Session(&gorm.Session{DryRun: true}).Create(fresh("3")).Error
		}},
	}
}

func updatePaths() []path {
	const g = "Update"
	load := func(m *maze, id string) *Customer {
		var c Customer
		require.NoError(m.t, m.gorm().First(&c, "id = ?", id).Error)
		return &c
	}
	phoneIs := func(m *maze, id, want string) {
		m.t.Helper()
		_, phone, _ := m.read(id)
		m.equal(want, phone)
		if want != "NULL" {
			m.equal([]string{id}, m.found(want))
		}
	}
	return []path{
		{g, "Save(loaded), nothing changed keeps the ciphertext", "", func(m *maze) error {
			before := m.stored(m.t, "customers", "phone", "1")
			c := load(m, "1")
			c.Owner = "e4"
			require.NoError(m.t, m.gorm().Save(c).Error)
			m.equal(before, m.stored(m.t, "customers", "phone", "1"))
			phoneIs(m, "1", anaPhone)
			return nil
		}},
		{g, "Save(loaded and changed)", "", func(m *maze) error {
			c := load(m, "1")
			c.Phone = privacy.New(newPhone)
			require.NoError(m.t, m.gorm().Save(c).Error)
			m.equal(newPhone, reveal(m.t, c.Phone))
			phoneIs(m, "1", newPhone)
			m.equal(0, len(m.found(anaPhone)))
			return nil
		}},
		{g, "Save(loaded in part) leaves the rest", "", func(m *maze) error {
			var c Customer
			require.NoError(m.t, m.gorm().Select("id", "owner", "name").First(&c, "id = ?", "1").Error)
			require.NoError(m.t, m.gorm().Save(&c).Error)
			phoneIs(m, "1", anaPhone)
			return nil
		}},
		{g, "Save of a row whose person is another column", "", func(m *maze) error {
			var i Invoice
			require.NoError(m.t, m.gorm().First(&i, "id = ?", "i1").Error)
			i.Total = 99
			require.NoError(m.t, m.gorm().Save(&i).Error)
			var again Invoice
			require.NoError(m.t, m.gorm().First(&again, "id = ?", "i1").Error)
			m.equal(99, again.Total)
			m.equal(anaName, reveal(m.t, again.BillingName))
			return nil
		}},
		{g, "Updates(struct)", "", func(m *maze) error {
			c := load(m, "1")
			require.NoError(m.t, m.gorm().Model(c).Updates(Customer{Phone: privacy.New(newPhone)}).Error)
			m.equal(newPhone, reveal(m.t, c.Phone))
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "Updates(struct) with Null empties value and index", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(load(m, "1")).Updates(Customer{Phone: privacy.Null()}).Error)
			phoneIs(m, "1", "NULL")
			m.equal(0, len(m.found(anaPhone)))
			return nil
		}},
		{g, "Updates(struct with its id)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Updates(&Customer{ID: "1", Phone: privacy.New(newPhone)}).Error)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "Updates(map)", "", func(m *maze) error {
			in := map[string]any{"phone": privacy.New(newPhone), "Owner": "e9"}
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).Updates(in).Error)
			m.equal(2, len(in))
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "Updates(map) with nil", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).Updates(map[string]any{"Phone": nil}).Error)
			phoneIs(m, "1", "NULL")
			m.equal(0, len(m.found(anaPhone)))
			return nil
		}},
		{g, "Update(column)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).Update("phone", privacy.New(newPhone)).Error)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "UpdateColumn, UpdateColumns", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).UpdateColumn("phone", privacy.New(bobPhone)).Error)
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).UpdateColumns(Customer{Phone: privacy.New(newPhone)}).Error)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "Select(column).Updates(struct)", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).Select("Phone").Updates(Customer{Phone: privacy.New(newPhone), Name: privacy.New(newName)}).Error)
			phoneIs(m, "1", newPhone)
			name, _, _ := m.read("1")
			m.equal(anaName, name)
			return nil
		}},
		{g, "Where(id).Update", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Customer{}).Where("id = ?", "1").Update("phone", privacy.New(newPhone)).Error)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "Where(sealed field).Update", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Customer{}).Where(&Customer{Email: privacy.New(anaEmail)}).Update("phone", privacy.New(newPhone)).Error)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "Update of a row whose person is another column", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Invoice{ID: "i1"}).Update("billing_name", privacy.New(newName)).Error)
			var i Invoice
			require.NoError(m.t, m.gorm().First(&i, "id = ?", "i1").Error)
			m.equal(newName, reveal(m.t, i.BillingName))
			return nil
		}},
		{g, "Update with the wrong person in memory", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Invoice{ID: "i1", CustomerID: "2"}).Update("billing_name", privacy.New(newName)).Error)
			var i Invoice
			require.NoError(m.t, m.gorm().First(&i, "id = ?", "i1").Error)
			m.equal(newName, reveal(m.t, i.BillingName))
			return nil
		}},
		{g, "Update that matches no row", "", func(m *maze) error {
			res := m.gorm().Model(&Customer{}).Where("id = ?", "nobody").Update("phone", privacy.New(newPhone))
			m.equal(int64(0), res.RowsAffected)
			return res.Error
		}},
		{g, "Update of plain columns of many rows", "", func(m *maze) error {
			res := m.gorm().Model(&Customer{}).Where("owner = ?", "e3").Update("owner", "e5")
			m.equal(int64(2), res.RowsAffected)
			phoneIs(m, "1", anaPhone)
			return res.Error
		}},
		{g, "gorm.G Update", "", func(m *maze) error {
			n, err := gorm.G[Customer](m.db.DB).Where("id = ?", "1").Update(m.ctx, "phone", privacy.New(newPhone))
			require.NoError(m.t, err)
			m.equal(1, n)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "gorm.G Updates", "", func(m *maze) error {
			_, err := gorm.G[Customer](m.db.DB).Where("id = ?", "1").Updates(m.ctx, Customer{Phone: privacy.New(newPhone)})
			require.NoError(m.t, err)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "gorm.G Set(Assignment)", "", func(m *maze) error {
			_, err := gorm.G[Customer](m.db.DB).Where("id = ?", "1").Set(clause.Assignment{Column: clause.Column{Name: "phone"}, Value: privacy.New(newPhone)}).Update(m.ctx)
			require.NoError(m.t, err)
			phoneIs(m, "1", newPhone)
			return nil
		}},
		{g, "Clauses(Returning)", "", func(m *maze) error {
			if m.db.Engine == testdb.MySQL {
				return nil // it has no UPDATE ... RETURNING, and says so
			}
			var c Customer
			require.NoError(m.t, m.gorm().Model(&c).Clauses(clause.Returning{}).Where("id = ?", "1").Update("owner", "e7").Error)
			m.equal(anaPhone, reveal(m.t, c.Phone))
			return nil
		}},
		{g, "an unchanged value out of a projection", "", func(m *maze) error {
			var phones []privacy.String
			require.NoError(m.t, m.gorm().Model(&Customer{}).Where("id = ?", "1").Pluck("phone", &phones).Error)
			require.NoError(m.t, m.gorm().Model(&Customer{ID: "1"}).Update("phone", phones[0]).Error)
			phoneIs(m, "1", anaPhone)
			return nil
		}},
		{g, "a value out of a projection of another row", "another row, field or person", func(m *maze) error {
			var phones []privacy.String
			require.NoError(m.t, m.gorm().Model(&Customer{}).Where("id = ?", "2").Pluck("phone", &phones).Error)
			return m.gorm().Model(&Customer{ID: "1"}).Update("phone", phones[0]).Error
		}},
		{g, "another field's value", "another row, field or person", func(m *maze) error {
			c := load(m, "1")
			c.Phone = c.Email
			return m.gorm().Save(c).Error
		}},
		{g, "Update with plaintext", "stored as plaintext", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).Update("phone", newPhone).Error
		}},
		{g, "Updates(map) with plaintext", "stored as plaintext", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).Updates(map[string]any{"Phone": newPhone}).Error
		}},
		{g, "Updates(struct of another type) with plaintext", "stored as plaintext", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).Updates(struct{ Phone string }{newPhone}).Error
		}},
		{g, "UpdateColumn with plaintext", "stored as plaintext", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).UpdateColumn("phone", newPhone).Error
		}},
		{g, "Update with an expression", "stored as plaintext", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).Update("phone", gorm.Expr("?", newPhone)).Error
		}},
		{g, "Update of a plain column from a sealed one", "cannot be answered on sealed values", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).Update("owner", gorm.Expr("phone")).Error
		}},
		{g, "gorm.G Update with plaintext", "stored as plaintext", func(m *maze) error {
			_, err := gorm.G[Customer](m.db.DB).Where("id = ?", "1").Update(m.ctx, "phone", newPhone)
			return err
		}},
		{g, "gorm.G Set with plaintext", "stored as plaintext", func(m *maze) error {
			_, err := gorm.G[Customer](m.db.DB).Where("id = ?", "1").Set(clause.Assignment{Column: clause.Column{Name: "phone"}, Value: newPhone}).Update(m.ctx)
			return err
		}},
		{g, "Table(name).Updates(map)", "without its model", func(m *maze) error {
			return m.gorm().Table("customers").Where("id = ?", "1").Updates(map[string]any{"phone": newPhone}).Error
		}},
		{g, "sealed field of many rows", "more than one row", func(m *maze) error {
			return m.gorm().Model(&Customer{}).Where("owner = ?", "e3").Update("phone", privacy.New(newPhone)).Error
		}},
		{g, "sealed field of a slice of rows", "more than one row", func(m *maze) error {
			return m.gorm().Model(&[]Customer{{ID: "1"}, {ID: "2"}}).Update("phone", privacy.New(newPhone)).Error
		}},
		{g, "index by hand", "set by hand", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).Update("phone_index", []byte(newPhone)).Error
		}},
		{g, "primary key", "cannot change", func(m *maze) error {
			return m.gorm().Model(&Customer{ID: "1"}).Update("id", "9").Error
		}},
		{g, "person of a row", "cannot change alone", func(m *maze) error {
			return m.gorm().Model(&Invoice{ID: "i1"}).Update("customer_id", "2").Error
		}},
		{g, "person of a row in Save", "another row, field or person", func(m *maze) error {
			var i Invoice
			require.NoError(m.t, m.gorm().First(&i, "id = ?", "i1").Error)
			i.CustomerID = "2"
			return m.gorm().Save(&i).Error
		}},
		{g, "person of a row, all sealed fields anew", "", func(m *maze) error {
			require.NoError(m.t, m.gorm().Model(&Invoice{ID: "i1"}).Updates(Invoice{CustomerID: "2", BillingName: privacy.New(bobName)}).Error)
			var i Invoice
			require.NoError(m.t, m.gorm().First(&i, "id = ?", "i1").Error)
			m.equal(bobName, reveal(m.t, i.BillingName))
			return nil
		}},
		{g, "person of a row to an expression", "says whose data", func(m *maze) error {
			return m.gorm().Model(&Invoice{ID: "i1"}).Update("customer_id", gorm.Expr("id")).Error
		}},
	}
}
