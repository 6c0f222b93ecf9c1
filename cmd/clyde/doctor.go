package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/clydepm/clyde-registry/pkg/clyde"
)

// maxSkew is how far this clock and the registry's may differ before doctor
// says so: certificates and tokens are valid to the second, and nobody issues
// them tighter than a minute.
const maxSkew = time.Minute

// doctorTimeout bounds each question to the registry.
const doctorTimeout = 15 * time.Second

// finding is what one check of doctor found.
type finding struct {
	Check  string   `json:"check"`
	Level  string   `json:"level"` // ok | warn | fail
	Detail string   `json:"detail"`
	Fixes  []string `json:"fixes,omitempty"`
}

// Levels of a finding.
const (
	levelOK   = "ok"
	levelWarn = "warn"
	levelFail = "fail"
)

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look for what could keep clyde from working",
		Long: "Check the configuration, the credentials and who may read them, whether the registry can be reached and\n" +
			"what it takes you for, both clocks, and the tools that clyde works with. Exit status 1 where a check\n" +
			"fails; each says how to mend it.",
		Args:        wants(0, 0),
		Annotations: unread(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{app: a}
			d.examine(cmd.Context())
			return d.report()
		},
	}
}

// doctor gathers findings.
type doctor struct {
	app      *app
	findings []finding
}

func (d *doctor) add(check, level, detail string, fixes ...string) {
	d.findings = append(d.findings, finding{check, level, detail, fixes})
}

// fail adds the finding that err is.
func (d *doctor) fail(check, level string, err error) {
	f := finding{Check: check, Level: level, Detail: err.Error()}
	if e := clyde.AsError(err); e != nil {
		f.Detail, f.Fixes = e.Msg, e.Fixes
	}
	d.findings = append(d.findings, f)
}

func (d *doctor) examine(ctx context.Context) {
	b := thisBuild()
	d.add("clyde", levelOK, fmt.Sprintf("%s, %s, %s/%s", b.Version, b.Go, b.OS, b.Arch))
	d.configuration()
	at, err := d.app.address()
	if err != nil {
		d.fail("registry", levelFail, err)
	} else {
		cred := d.credentials(ctx, at)
		d.registry(ctx, at, cred)
	}
	d.key()
	d.tools()
}

func (d *doctor) configuration() {
	a := d.app
	s, err := readSettings(a.settingsPath)
	if err != nil {
		d.fail("configuration", levelFail, err)
		return
	}
	a.settings = s
	if _, err := os.Stat(a.settingsPath); errors.Is(err, fs.ErrNotExist) {
		d.add("configuration", levelOK, "there is none; defaults apply")
		return
	}
	d.add("configuration", levelOK, a.settingsPath)
}

// credentials checks what there is for a host, and who else may read it.
func (d *doctor) credentials(ctx context.Context, at address) credential {
	cred, err := credentialFor(ctx, at.host, true)
	path, perr := dockerConfig()
	switch {
	case err != nil:
		d.fail("credentials", levelFail, err)
		return cred
	case perr != nil:
		d.fail("credentials", levelFail, perr)
		return cred
	case cred.secret == "":
		d.add("credentials", levelOK, "none for "+at.host+": you are anonymous there", "clyde login, to publish")
	case !at.private():
		d.add("credentials", levelWarn, at.url()+" is plain HTTP: whoever is on the way reads the token", "use https")
	default:
		d.add("credentials", levelOK, "from "+cred.source)
	}
	info, err := os.Stat(path)
	if err == nil && runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		d.add("credentials", levelFail, fmt.Sprintf("%s has mode %04o: others on this machine read your tokens", path, info.Mode().Perm()), "chmod 600 "+path)
	}
	d.helpers(path)
	return cred
}

// helpers checks that the credential helpers which Docker's configuration
// names exist.
func (d *doctor) helpers(path string) {
	b, err := os.ReadFile(path)
	if err != nil {
		return
	}
	var c struct {
		Store   string            `json:"credsStore"`
		Helpers map[string]string `json:"credHelpers"`
	}
	if json.Unmarshal(b, &c) != nil {
		return // reported by whoever reads the credentials
	}
	names := map[string]bool{}
	if c.Store != "" {
		names[c.Store] = true
	}
	for _, h := range c.Helpers {
		names[h] = true
	}
	for name := range names {
		if _, err := exec.LookPath("docker-credential-" + name); err != nil {
			d.add("credentials", levelWarn, path+" names the credential helper "+name+", which is not in PATH",
				"install docker-credential-"+name+", or take it out of the file")
		}
	}
}

// registry checks that the registry answers, in both of its languages.
func (d *doctor) registry(ctx context.Context, at address, cred credential) {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	a := d.app
	c, err := a.apiWith(at, cred)
	if err != nil {
		d.fail("registry", levelFail, err)
		return
	}
	start := time.Now()
	resp, err := c.Do(ctx, http.MethodHead, "/healthz", nil, nil)
	if err != nil {
		d.fail("registry", levelFail, err)
		return
	}
	_ = resp.Body.Close()
	took := time.Since(start)
	d.add("registry", levelOK, fmt.Sprintf("%s answers in %s", at, took.Round(time.Millisecond)))
	d.clock(resp.Header.Get("Date"), time.Now())
	s, err := a.site(ctx)
	if err != nil {
		check := "api"
		if errors.Is(err, clyde.ErrUnauthenticated) {
			check = "token"
		}
		d.fail(check, levelFail, err)
		return
	}
	if s.hasAPI {
		d.add("api", levelOK, s.API)
		d.identity(ctx, at, cred)
	} else {
		d.add("api", levelWarn, at.host+" has no Clyde API: pull, push, sign and verify work there, search and info do not")
	}
	oc, err := a.oci(s.at)
	if err == nil {
		err = oc.Ping(ctx)
	}
	switch {
	case err == nil:
		d.add("oci", levelOK, s.at.host+" speaks the OCI distribution protocol")
	case cred.secret == "" && errors.Is(err, clyde.ErrUnauthenticated):
		d.add("oci", levelOK, s.at.host+" speaks the OCI distribution protocol, and wants a login")
	default:
		d.fail("oci", levelFail, err)
	}
}

// clock compares this machine's time with the registry's.
func (d *doctor) clock(date string, now time.Time) {
	t, err := http.ParseTime(date)
	if err != nil {
		return
	}
	skew := now.Sub(t).Abs().Round(time.Second)
	if skew > maxSkew {
		d.add("clock", levelWarn, fmt.Sprintf("this clock and the registry's differ by %s: certificates and tokens may seem invalid", skew), "set this machine's time (NTP)")
		return
	}
	d.add("clock", levelOK, fmt.Sprintf("within %s of the registry's", max(skew, time.Second)))
}

func (d *doctor) identity(ctx context.Context, at address, cred credential) {
	if cred.secret == "" {
		return
	}
	c, err := d.app.apiWith(at, cred)
	if err != nil {
		d.fail("token", levelFail, err)
		return
	}
	who, err := c.WhoAmI(ctx)
	switch {
	case err != nil:
		d.fail("token", levelFail, err)
	case who.Anonymous:
		d.add("token", levelFail, at.host+" does not know the token from "+cred.source, "clyde login")
	default:
		d.add("token", levelOK, "you are "+who.Name)
	}
}

// key checks the private key that sign and publish --sign would use.
func (d *doctor) key() {
	ref := os.Getenv(keyVar)
	if ref == "" {
		ref = d.app.settings.Key
	}
	if ref == "" || strings.Contains(ref, "://") {
		return
	}
	info, err := os.Stat(ref)
	switch {
	case err != nil:
		d.add("key", levelFail, "the signing key "+ref+" cannot be read", "clyde config set key FILE, or clyde config unset key")
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		d.add("key", levelWarn, fmt.Sprintf("%s has mode %04o: others on this machine read it", ref, info.Mode().Perm()), "chmod 600 "+ref)
	default:
		d.add("key", levelOK, ref)
	}
}

// tools looks for programs that work with what clyde makes. None is needed.
func (d *doctor) tools() {
	for _, t := range []struct{ name, use string }{
		{"cosign", "signs and verifies the same signatures"},
		{"oras", "pushes and pulls the same packages"},
	} {
		if path, err := exec.LookPath(t.name); err == nil {
			d.add(t.name, levelOK, path)
		} else {
			d.add(t.name, levelOK, "not found; "+t.use+", and clyde does not need it")
		}
	}
}

func (d *doctor) report() error {
	a := d.app
	failed := 0
	for _, f := range d.findings {
		if f.Level == levelFail {
			failed++
		}
	}
	if a.json {
		if err := a.emit("doctor", struct {
			OK     bool      `json:"ok"`
			Checks []finding `json:"checks"`
		}{failed == 0, d.findings}); err != nil {
			return err
		}
	} else {
		colours := map[string]string{levelOK: green, levelWarn: yellow, levelFail: red}
		for _, f := range d.findings {
			if err := a.printf("%s %s: %s\n", a.paint(a.stdout, colours[f.Level], fmt.Sprintf("%-4s", f.Level)), f.Check, clean(f.Detail)); err != nil {
				return err
			}
			for _, fix := range f.Fixes {
				if err := a.printf("       try: %s\n", clean(fix)); err != nil {
					return err
				}
			}
		}
	}
	if failed == 0 {
		return nil
	}
	err := errors.New(plural(failed, "check") + " failed")
	if a.json {
		a.explain(err)
		return shownError{err}
	}
	return err
}
