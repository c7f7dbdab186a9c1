package privacy

// AssociatedData returns what the key is wrapped with besides the wrapping key, as FORMAT.md has it. It is for
// programs that wrap a key anew outside a Vault, such as package escrow.
func (k StoredKey) AssociatedData() []byte { return keyAAD(k.KeyName, k.Version) }
