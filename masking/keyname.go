package masking

// KindOfName tells what a field, column or heading of that name holds, as Check, the log handler and JSON see
// it: phone_number, PhoneNumber, customer.phone and 手机号 are KindPhone. It returns "" for a name that says
// nothing, such as name or note.
func KindOfName(name string) Kind { return kindOfKey(name) }
