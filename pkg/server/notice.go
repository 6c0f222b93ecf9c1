package server

import (
	"context"
	"fmt"

	"github.com/clydepm/clyde-registry/config"
	"github.com/clydepm/clyde-registry/pkg/notice"
)

// newNotifier returns what tells people by mail; nil where no mail server is
// configured.
func (s *Server) newNotifier() (*notice.Notifier, error) {
	m := s.cfg.Mail
	if m.Addr == "" {
		return nil, nil
	}
	password, err := config.Secret(m.Password, m.PasswordFile)
	if err != nil {
		return nil, fmt.Errorf("mail.password_file: %w", err)
	}
	return &notice.Notifier{
		DB: s.DB, Host: s.Catalog.Host, URL: s.publicURL, Log: s.Log, Now: s.Now,
		Mail: &notice.SMTP{Addr: m.Addr, From: m.From, User: m.User, Password: password, Security: m.Security, Host: s.Catalog.Host, Now: s.Now},
	}, nil
}

// tell sends notices until ctx ends.
func (s *Server) tell(ctx context.Context) error {
	if s.notifier == nil {
		<-ctx.Done()
		return nil
	}
	return s.alone(ctx, "notices", s.notifier.Run)
}
