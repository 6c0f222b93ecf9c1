// Package notice tells people by mail what happened to their account and their
// packages. It reads the audit log and the change feed, from where it stopped:
// nobody waits for a mail server, and none that is away loses a notice of the
// last days.
package notice

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Ways to a mail server.
const (
	StartTLS = "starttls" // plain first, then TLS or nothing: port 587
	TLS      = "tls"      // from the first byte: port 465
	None     = "none"     // plain: for a relay on this machine
)

// Limits of one mail and of talking to the server. Ours.
const (
	maxSubject  = 150              // characters
	maxText     = 16 << 10         // bytes
	dialTimeout = 10 * time.Second // for a connection
	sendTimeout = time.Minute      // for all of one mail
)

// Mail is one message to one person.
type Mail struct {
	To      string // an address, without a name
	Subject string
	Text    string
}

// Sender hands a mail over, or fails: ErrRefused for good, else until it is tried again.
type Sender interface {
	Send(ctx context.Context, m Mail) error
}

// ErrRefused is a mail that the server will never take: an address that is none.
var ErrRefused = errors.New("the mail server refuses it")

// SMTP sends through a mail server.
type SMTP struct {
	Addr     string // host:port
	From     string // "Clyde Registry <registry@acme.example>"
	User     string // "": without signing in
	Password string
	Security string // StartTLS, TLS or None
	Host     string // of the registry, for Message-Id
	Now      func() time.Time
	TLS      *tls.Config // nil: the system's roots
}

// Send delivers m. It never puts into a header what was not encoded for one.
func (s *SMTP) Send(ctx context.Context, m Mail) (err error) {
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return fmt.Errorf("notice: mail.from: %w", err)
	}
	to, err := mail.ParseAddress(m.To)
	if err != nil || to.Address != m.To {
		return fmt.Errorf("notice: %w: %q is no address", ErrRefused, m.To)
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	c, err := s.dial(ctx)
	if err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	defer func() {
		if cerr := c.Close(); err == nil && cerr != nil && !errors.Is(cerr, net.ErrClosed) {
			err = nil // the server has it
		}
	}()
	if s.User != "" {
		host, _, _ := net.SplitHostPort(s.Addr)
		if err := c.Auth(smtp.PlainAuth("", s.User, s.Password, host)); err != nil {
			return fmt.Errorf("notice: sign in to the mail server: %w", err)
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	if err := c.Rcpt(to.Address); err != nil {
		return permanent(err)
	}
	w, err := c.Data()
	if err != nil {
		return permanent(err)
	}
	if _, err := w.Write(s.compose(from, to, m)); err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	if err := w.Close(); err != nil {
		return permanent(err)
	}
	_ = c.Quit() // the server has taken it; how it says good-bye does not matter
	return nil
}

// permanent says ErrRefused where the server did (RFC 5321, 4.2.1).
func permanent(err error) error {
	if e, ok := errors.AsType[*textproto.Error](err); ok && e.Code >= 500 {
		return fmt.Errorf("notice: %w: %w", ErrRefused, err)
	}
	return fmt.Errorf("notice: %w", err)
}

func (s *SMTP) dial(ctx context.Context) (_ *smtp.Client, err error) {
	host, _, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.TLS != nil {
		conf = s.TLS.Clone()
	}
	conf.ServerName = host
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, err
	}
	if d, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(d); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	if s.Security == TLS {
		conn = tls.Client(conn, conf)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if s.Security == StartTLS {
		if err := c.StartTLS(conf); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

// compose writes the message. Every header is made of encoded words or of what
// was parsed as an address; the body is base64, so that no line of it means
// anything to anybody on the way.
func (s *SMTP) compose(from, to *mail.Address, m Mail) []byte {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	var b strings.Builder
	for _, h := range [][2]string{
		{"From", from.String()}, {"To", to.String()}, {"Subject", subject(m.Subject)},
		{"Date", now().UTC().Format(time.RFC1123Z)}, {"Message-Id", "<" + strings.ToLower(rand.Text()) + "@" + hostname(s.Host) + ">"},
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(plain(m.Text)))
	for len(text) > 0 {
		n := min(len(text), 76) // RFC 2045, 6.8
		b.WriteString(text[:n] + "\r\n")
		text = text[n:]
	}
	return []byte(b.String())
}

// subject is s as a header: one line of encoded words where it is not ASCII.
func subject(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), ""))
	if r := []rune(s); len(r) > maxSubject {
		s = string(r[:maxSubject-1]) + "…"
	}
	return mime.QEncoding.Encode("utf-8", s)
}

// hostname is the host of a Message-Id: letters, digits, dots and dashes.
func hostname(s string) string {
	s, _, _ = strings.Cut(s, ":")
	if s == "" || strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789.-") != "" {
		return "localhost"
	}
	return s
}

// plain is text for people: lines, and nothing that steers a terminal.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return strings.ReplaceAll(s, "\n", "\r\n")
}
