package rbac

// tri is Kleene's three-valued truth, the same that SQL uses.
type tri int8

const (
	no tri = iota - 1
	unknown
	yes
)

func and(a, b tri) tri { return min(a, b) }
func or(a, b tri) tri  { return max(a, b) }
func not(a tri) tri    { return -a }

func truth(b bool) tri {
	if b {
		return yes
	}
	return no
}
