package notice

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/clydepm/clyde-registry/pkg/store"
)

// server is a mail server of a few lines. answer may refuse a command.
type server struct {
	ln   net.Listener
	got  chan string // each message, as it was sent
	done chan struct{}
}

func serve(t *testing.T, answer func(line string) string) *server {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{ln: ln, got: make(chan string, 10), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.talk(c, answer)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-s.done
	})
	return s
}

func (s *server) talk(c net.Conn, answer func(string) string) {
	defer c.Close()
	in := bufio.NewReader(c)
	fmt.Fprint(c, "220 test\r\n")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		if a := answer(line); a != "" {
			fmt.Fprint(c, a+"\r\n")
			continue
		}
		switch {
		case strings.HasPrefix(line, "EHLO"):
			fmt.Fprint(c, "250 test\r\n")
		case line == "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			var b strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(l)
			}
			s.got <- b.String()
			fmt.Fprint(c, "250 taken\r\n")
		case line == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 fine\r\n")
		}
	}
}

func nothing(string) string { return "" }

// read parses a message as a mail program does.
func read(t *testing.T, raw string) (h mail.Header, text string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, m.Body))
	if err != nil {
		t.Fatal(err)
	}
	return m.Header, string(b)
}

// Whatever people call themselves and their tokens, there are exactly our
// headers, and one recipient.
func TestSend(t *testing.T) {
	t.Parallel()
	srv := serve(t, nothing)
	s := &SMTP{Addr: srv.ln.Addr().String(), From: "Clyde Registry <registry@acme.example>", Security: None, Host: "registry.acme.example:8080"}
	for _, m := range []Mail{
		{To: "ada@acme.example", Subject: "A new token", Text: "Hello\n.\nQUIT\n"},
		{To: "ada@acme.example", Subject: "x\r\nBcc: eve@evil.example\r\n\r\nhello", Text: "\x1b[2J\x00ok"},
		{To: "ada@acme.example", Subject: strings.Repeat("ü", 400), Text: strings.Repeat("ü", maxText)},
	} {
		if err := s.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		h, text := read(t, <-srv.got)
		if len(h) != 9 || h.Get("Bcc") != "" || h.Get("To") != "<ada@acme.example>" || h.Get("From") != `"Clyde Registry" <registry@acme.example>` {
			t.Errorf("headers of %.40q: %v", m.Subject, h)
		}
		if strings.ContainsAny(text, "\x00\x1b") || len(text) > maxText || text == "" {
			t.Errorf("text of %.40q: %.80q", m.Subject, text)
		}
	}
	for _, to := range []string{"", "ada", "ada@acme.example, eve@evil.example", "Ada <ada@acme.example>", "ada@acme.example\r\nRCPT TO:<eve@evil.example>"} {
		if err := s.Send(t.Context(), Mail{To: to, Subject: "x", Text: "x"}); !errors.Is(err, ErrRefused) {
			t.Errorf("to %q: %v; want ErrRefused", to, err)
		}
	}
	s.Security = StartTLS
	if err := s.Send(t.Context(), Mail{To: "ada@acme.example", Subject: "x", Text: "x"}); err == nil {
		t.Error("a mail went out in plain where TLS was asked for")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for answer, refused := range map[string]bool{"550 no such user": true, "451 later": false} {
		srv := serve(t, func(line string) string {
			if strings.HasPrefix(line, "RCPT") {
				return answer
			}
			return ""
		})
		s := &SMTP{Addr: srv.ln.Addr().String(), From: "r@acme.example", Security: None}
		if err := s.Send(t.Context(), Mail{To: "ada@acme.example", Subject: "x", Text: "x"}); err == nil || errors.Is(err, ErrRefused) != refused {
			t.Errorf("%s: %v; refused for good: want %v", answer, err, refused)
		}
	}
}

// sent takes mails, or not.
type sent struct {
	mails []Mail
	fail  error
}

func (s *sent) Send(_ context.Context, m Mail) error {
	if s.fail != nil {
		return s.fail
	}
	s.mails = append(s.mails, m)
	return nil
}

// take returns what was sent since, as "to: subject".
func (s *sent) take() string {
	var out []string
	for _, m := range s.mails {
		out = append(out, m.To+": "+m.Subject)
	}
	s.mails = nil
	return strings.Join(out, "\n")
}

func TestNotifier(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	db, err := store.Open(t.Context(), store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	person := func(login string) store.Account {
		t.Helper()
		a, err := db.AddAccount(t.Context(), store.Account{Login: login, Email: login + "@acme.example"}, nil, store.AuditEntry{Actor: login, Action: "account.create", Resource: "account:" + login})
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	ada, bob := person("ada"), person("bob")
	org, err := db.AddOrg(t.Context(), store.Org{Name: "acme", Display: "Acme", Switches: store.Switches{Creators: "maintainer"}}, ada.ID, store.AuditEntry{Actor: "ada", Action: "org.create", Resource: "org:acme"})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.ClaimNamespace(t.Context(), "acme", store.Owner{Kind: store.OwnerOrg, ID: org.ID}, "ada", false, store.AuditEntry{Actor: "ada", Action: "namespace.claim", Resource: "@acme"}); err != nil {
		t.Fatal(err)
	}
	box := &sent{}
	n := &Notifier{DB: db, Mail: box, Host: "registry.acme.example", URL: "https://registry.acme.example", Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now }}
	once := func(want string) {
		t.Helper()
		if err := n.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := box.take(); got != want {
			t.Errorf("sent:\n%s\nwant:\n%s", got, want)
		}
	}
	log := func(e store.AuditEntry) {
		t.Helper()
		if err := db.AddAudit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	log(store.AuditEntry{Actor: "bob", Account: bob.ID, Action: "token.create", Resource: "t0"})
	once("") // it was there before anybody looked
	log(store.AuditEntry{Actor: "bob", Account: bob.ID, Action: "token.create", Resource: "t1", After: `{"name":"ci"}`})
	log(store.AuditEntry{Actor: "bob", Account: bob.ID, Action: "token.revoke", Resource: "t1"})
	log(store.AuditEntry{Actor: "ada", Action: "publisher.add", Resource: "@acme/zlib"})
	once("bob@acme.example: [registry.acme.example] A new token of your account\nada@acme.example: [registry.acme.example] A new trusted publisher of @acme/zlib")
	log(store.AuditEntry{Actor: "ada", Action: "member.role", Resource: "org:acme", After: `{"login":"eve","role":"owner"}`})
	log(store.AuditEntry{Actor: "ada", Action: "member.role", Resource: "org:acme", After: `{"login":"eve","role":"reader"}`})
	log(store.AuditEntry{Actor: "root", Action: "account.suspend", Resource: "account:bob", After: `{"why":"spam"}`})
	once("ada@acme.example: [registry.acme.example] A new owner of org:acme\nbob@acme.example: [registry.acme.example] Your account is suspended")

	// A dead server holds nobody and loses nothing of the last days.
	box.fail = errors.New("connection refused")
	log(store.AuditEntry{Actor: "bob", Account: bob.ID, Action: "token.create", Resource: "t2"})
	once("")
	box.fail = nil
	once("") // not yet
	now = now.Add(time.Minute)
	once("bob@acme.example: [registry.acme.example] A new token of your account")
	log(store.AuditEntry{Actor: "bob", Account: bob.ID, Action: "token.create", Resource: "t3"})
	now = now.Add(MaxAge + time.Minute)
	once("") // too old
	box.fail = ErrRefused
	log(store.AuditEntry{Actor: "bob", Account: bob.ID, Action: "token.create", Resource: "t4"})
	once("")
	box.fail = nil
	once("") // refused for good

	// A version by somebody new; the first one is by nobody new.
	publish := func(version string, p store.Publication) {
		t.Helper()
		p.Repo, p.VersionKey, p.Created = "acme/zlib", version, now
		if err := db.AddPublication(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if err := db.SaveSetting(t.Context(), store.Setting{Repo: "acme/zlib"}, store.Change{Time: now, Type: "version.published", Package: "@acme/zlib", Version: version, Actor: "x"}, store.AuditEntry{}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Second)
	}
	publish("1.0.0", store.Publication{Account: ada.ID, Token: "a"})
	publish("1.1.0", store.Publication{Account: ada.ID, Token: "b"})
	once("")
	publish("1.2.0", store.Publication{Account: bob.ID, Token: "c"})
	once("ada@acme.example: [registry.acme.example] @acme/zlib 1.2.0 was published by somebody new")
	publish("1.3.0", store.Publication{Token: "d", Run: []byte(`{"publisher":"p1"}`)})
	publish("1.4.0", store.Publication{Token: "e", Run: []byte(`{"publisher":"p1"}`)})
	once("ada@acme.example: [registry.acme.example] @acme/zlib 1.3.0 was published by somebody new")
}
