// Package client stands in for the step-runner's.
package client

type ErrorKind int

const (
	ErrorUnknown ErrorKind = iota
	ErrorInternal
	ErrorStepFailure
	ErrorCancelled
	ErrorTimeout
)

type Status struct {
	State     int
	Message   string
	ErrorKind ErrorKind
}
