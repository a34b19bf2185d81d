package spec

// Job inputs are not in this build: they are read over and expand nothing.

type Inputs struct{ metricsCollector *JobInputsMetricsCollector }

type InputExpander interface{ Expand(*Inputs) error }

type InputInterpolationError struct{ err error }

func (e *InputInterpolationError) Error() string { return e.err.Error() }

func (*Inputs) UnmarshalJSON([]byte) error { return nil }

func (i *Inputs) SetMetricsCollector(collector *JobInputsMetricsCollector) {
	i.metricsCollector = collector
}

func (*Inputs) Expand(text string) (string, error) { return text, nil }

func ExpandInputs(*Inputs, any) error { return nil }
