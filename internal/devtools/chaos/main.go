// Command chaos kills a registry at random while it is used, again and again,
// and then asks it for everything it had promised: every version that it
// acknowledged, with the same digest and the same bytes, every version that it
// withdrew, and a search index that has what the registry has.
//
//	go run ./internal/devtools/chaos -rounds 100
//
// A round is some hundred milliseconds of publishing, publishing again with
// other bytes, pulling, resolving, searching and yanking by several callers, a
// kill -9 in the middle of it, and a start on the same data. The seed that is
// printed repeats who asked for what, and when was killed; not what the machine
// did meanwhile.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// errBroken says that a promise was broken; the report names it.
var errBroken = errors.New("a promise was broken")

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.SetOutput(out)
	rounds := flags.Int("rounds", 100, "how often the server is killed")
	seed := flags.Uint64("seed", 0, "of what is done; 0 chooses one")
	bin := flags.String("server", "", "the clyde-registry to kill; empty builds it")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	fmt.Fprintf(out, "seed %d\n", *seed)
	dir, err := os.MkdirTemp("", "clyde-chaos-")
	if err != nil {
		return err
	}
	defer func() {
		if err == nil {
			err = os.RemoveAll(dir)
			return
		}
		fmt.Fprintln(out, "the data is kept in", dir)
	}()
	if *bin == "" {
		*bin = filepath.Join(dir, "clyde-registry")
		build := exec.CommandContext(ctx, "go", "build", "-o", *bin, "github.com/clydepm/clyde-registry/cmd/clyde-registry")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return fmt.Errorf("building the server: %w", err)
		}
	}
	w := newWorld(*bin, filepath.Join(dir, "data"), *seed)
	for i := range *rounds {
		if err := w.round(ctx, i); err != nil {
			w.report(out)
			return err
		}
	}
	if err := w.finish(ctx); err != nil {
		w.report(out)
		return err
	}
	w.report(out)
	if len(w.acked) == 0 {
		return errors.New("nothing was acknowledged, so nothing was tried; see the server's log")
	}
	if len(w.broken) > 0 {
		return errBroken
	}
	return nil
}
