package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/clydepm/clyde-registry/pkg/artifact"
	"github.com/clydepm/clyde-registry/pkg/client"
	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// tokenUser is the user name stored with a token: the registry does not look
// at it, and Docker's configuration needs one.
const tokenUser = "clyde"

func newLogin(a *app) *cobra.Command {
	var withToken, prove bool
	var user string
	var b browserLogin
	cmd := &cobra.Command{
		Use:   "login [REGISTRY]",
		Short: "Keep a token for a registry",
		Long: "Open a browser, where you see what is asked for and approve it, and keep the token where docker and\n" +
			"oras look too: in Docker's configuration, or with the credential helper that it names. A registry that\n" +
			"has no such page is given a token that you type. CLYDE_TOKEN wins over what is kept.\n\n" +
			"What changes who owns something takes more than a token that lasts. --prove has you approve, in a browser\n" +
			"in which you signed in just now, that this machine may do it for 30 minutes; on a terminal you are asked\n" +
			"when it is needed.",
		Example: "  clyde login\n  clyde login --no-browser --allow publish --package '@acme/*' --expires 720h\n  clyde login --with-token < token.txt\n  clyde login ghcr.io --username ada",
		Args:    wants(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.registryFlag = args[0]
			}
			if prove {
				if withToken || user != "" {
					return usagef("--prove takes neither --with-token nor --username")
				}
				return a.loginProof(cmd.Context(), b)
			}
			return a.login(cmd.Context(), user, withToken, b)
		},
	}
	cmd.Flags().BoolVar(&withToken, "with-token", false, "read the token from standard input")
	cmd.Flags().BoolVar(&prove, "prove", false, "be allowed for 30 minutes what takes an owner who just signed in")
	cmd.Flags().StringVarP(&user, "username", "u", "", "user name, for registries that want one")
	f := cmd.Flags()
	f.BoolVar(&b.noBrowser, "no-browser", false, "print the address in place of opening a browser")
	f.StringSliceVar(&b.allow, "allow", []string{"pull", "publish", "publish-new", "yank"}, "what the token may do: pull, publish-new, publish, yank, manage")
	f.StringSliceVar(&b.packages, "package", []string{"*"}, "packages it is for: @acme/zlib, @acme/* or *")
	f.StringVar(&b.expires, "expires", "", "how long it lasts, such as 720h (default 90 days)")
	f.StringVar(&b.name, "name", "", "what the token is called (default: clyde on this machine)")
	return cmd
}

func (a *app) login(ctx context.Context, user string, withToken bool, b browserLogin) error {
	at, err := a.address()
	if err != nil {
		return err
	}
	if err := a.guard(at, "to come", "token"); err != nil {
		return err
	}
	var secret []byte
	switch {
	case withToken:
		secret, err = readAll(a.stdin, maxSecret, "the token")
	case b.wanted(a):
		var token string
		token, err = a.tokenFromBrowser(ctx, at, b)
		secret = []byte(token)
		if errors.Is(err, errNoBrowserLogin) {
			secret, err = a.secret("token for " + at.host)
		}
	default:
		secret, err = a.secret("token for " + at.host)
	}
	if err != nil {
		return err
	}
	token := string(bytes.TrimSpace(secret))
	if token == "" || strings.ContainsAny(token, " \t\r\n\x00") {
		return clyde.Errorf(clyde.ErrInvalid, "that is no token: it is empty or has white space in it").WithCode("token_invalid")
	}
	who, err := a.tryLogin(ctx, at, user, token)
	if err != nil {
		return err
	}
	if user == "" {
		user = tokenUser
	}
	where, err := storeCredential(ctx, at.host, user, token)
	if err != nil {
		return err
	}
	if os.Getenv(tokenVar) != "" {
		a.say("%s %s is set and wins over what was just stored", a.paint(a.stderr, yellow, "warning:"), tokenVar)
	}
	if a.json {
		return a.emit("login", struct {
			Registry string `json:"registry"`
			Name     string `json:"name"`
			Stored   string `json:"stored"`
		}{at.host, who, where})
	}
	a.say("logged in to %s as %s; kept in %s", at.host, clean(who), where)
	return nil
}

func newLogout(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "logout [REGISTRY]",
		Short: "Forget the token for a registry",
		Long:  "Forget what clyde login, docker login or oras login kept for a registry. Tokens themselves stay valid.",
		Args:  wants(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				a.registryFlag = args[0]
			}
			ctx := cmd.Context()
			at, err := a.address()
			if err != nil {
				return err
			}
			s, err := credentialStore()
			if err != nil {
				return err
			}
			key := credentials.ServerAddressFromHostname(at.host)
			old, err := s.Get(ctx, key)
			had := err == nil && (old.Password != "" || old.RefreshToken != "" || old.AccessToken != "")
			if had {
				if err := s.Delete(ctx, key); err != nil {
					return clyde.Errorf(clyde.ErrInvalid, "the credentials for %s cannot be removed: %v", at.host, err).Because(err)
				}
			}
			if err := a.forgetProof(at.host); err != nil {
				return err
			}
			if os.Getenv(tokenVar) != "" {
				a.say("%s %s is still set", a.paint(a.stderr, yellow, "warning:"), tokenVar)
			}
			if a.json {
				return a.emit("logout", struct {
					Registry string `json:"registry"`
					Was      bool   `json:"was_logged_in"`
				}{at.host, had})
			}
			if had {
				a.say("logged out of %s", at.host)
			} else {
				a.say("was not logged in to %s", at.host)
			}
			return nil
		},
	}
}

func newWhoami(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Say who the registry takes you for, and what you may do",
		Args:  wants(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			at, err := a.address()
			if err != nil {
				return err
			}
			cred, err := credentialFor(ctx, at.host, true)
			if err != nil {
				return err
			}
			if cred.secret == "" {
				return clyde.Errorf(clyde.ErrUnauthenticated, "not logged in to %s", at.host).WithCode("not_logged_in").
					Fix("clyde login, or set %s", tokenVar)
			}
			c, err := a.apiWith(at, cred)
			if err != nil {
				return err
			}
			who, err := c.WhoAmI(ctx)
			if err != nil {
				return err
			}
			if who.Anonymous {
				return clyde.Errorf(clyde.ErrUnauthenticated, "%s does not know the token from %s", at.host, cred.source).
					WithCode("token_unknown").Fix("clyde login with a token that is neither revoked nor expired")
			}
			if a.json {
				return a.emit("whoami", struct {
					client.Identity
					Registry string `json:"registry"`
					Source   string `json:"source"`
				}{who, at.String(), cred.source})
			}
			rows := [][2]string{{"name", who.Name}, {"registry", at.String()}, {"token from", cred.source}}
			if who.Admin {
				rows = append(rows, [2]string{"may", "everything (administrator)"})
			}
			for _, s := range who.Scopes {
				rows = append(rows, [2]string{"may", strings.Join(s.Actions, ", ") + " " + s.Pattern})
			}
			return a.keyValues(rows)
		},
	}
}

// tryLogin shows the token to the registry and returns whose it is. A registry
// without our API says only whether it takes it.
func (a *app) tryLogin(ctx context.Context, at address, user, token string) (string, error) {
	c, err := a.apiWith(at, credential{secret: token})
	if err != nil {
		return "", err
	}
	if _, err := c.WellKnown(ctx); noAPI(err) {
		oc, err := artifact.NewClient(artifact.ClientOptions{
			Host: at.host, Plain: at.scheme == "http", UserAgent: userAgent(),
			Credential: func(context.Context) (string, string, error) { return cmp.Or(user, tokenUser), token, nil },
		})
		if err == nil {
			err = oc.Ping(ctx)
		}
		return cmp.Or(user, tokenUser), err
	} else if err != nil {
		return "", err
	}
	who, err := c.WhoAmI(ctx)
	if err != nil {
		return "", err
	}
	if who.Anonymous {
		return "", clyde.Errorf(clyde.ErrUnauthenticated, "%s does not know this token", at.host).WithCode("token_unknown").
			Fix("copy it again; it may have been revoked or have expired")
	}
	return who.Name, nil
}
