// Package localserver stands in for the runner's own: there is no server for steps in this build.
package localserver

import (
	"errors"
	"log/slog"
)

type Options struct{ OperatorLogger *slog.Logger }

type Server struct{ SockPath string }

func Start(Options) (*Server, error) { return nil, errors.New("this build runs no steps") }

func (*Server) Stop()              {}
func (*Server) Done() <-chan error { return nil }
func (*Server) RemoveSocketDir()   {}
