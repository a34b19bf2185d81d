// Package fields stands in for labkit's: names of log fields.
package fields

const (
	HTTPStatusCode = "status"
	DurationS      = "duration_s"
)

type Replacement struct{ Standard string }

var (
	Deprecated     = map[string]Replacement{}
	VariantVersion = map[string]int{}
)
