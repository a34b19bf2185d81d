// Package snowplow stands in for labkit's: what came of sending usage events.
package snowplow

type SendResult struct {
	EventCount int
	StatusCode int
	Err        error
}
