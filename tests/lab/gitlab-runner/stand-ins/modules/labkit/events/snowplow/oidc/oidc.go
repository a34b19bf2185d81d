// Package oidc stands in for labkit's.
package oidc

type Option func()

func WithSkipIfUnsupportedCloud(bool) Option { return func() {} }
