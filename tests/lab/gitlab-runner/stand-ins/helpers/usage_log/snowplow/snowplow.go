// Package snowplow stands in for the runner's own: no usage events are sent.
package snowplow

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
	"gitlab.com/gitlab-org/gitlab-runner/helpers/usage_log"
	events "gitlab.com/gitlab-org/labkit/v2/events/snowplow"
	"gitlab.com/gitlab-org/labkit/v2/events/snowplow/oidc"
)

type Option func()

func none() {}

func WithPrometheusRegistry(*prometheus.Registry) Option { return none }
func WithAppID(string) Option                            { return none }
func WithCategory(string) Option                         { return none }
func WithRealm(string) Option                            { return none }
func WithDeploymentType(string) Option                   { return none }
func WithMetadata(map[string]string) Option              { return none }
func WithOIDC(...oidc.Option) Option                     { return none }
func WithSkipFailureReason(string) Option                { return none }
func WithBatchDeliveryDurationBuckets([]float64) Option  { return none }
func WithCallback(func(successes []events.SendResult, failures []events.SendResult)) Option {
	return none
}

func New(*logrus.Entry, string, ...Option) (usage_log.Storage, error) {
	return nil, errors.New("this build sends no usage events")
}
