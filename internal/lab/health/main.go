// Command health exists to kill backends under a client that never stops, and to judge what
// natspread health makes of that; it must not know how natspread does its work, only what it
// promises.
//
// Each scene is played with each variant and family, in namespaces of its own, which end with
// it. Scenes that a clock judges want a machine with nothing else to do.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"

	"natspread/internal/lab/netns"
)

// The exit codes.
const (
	exitGood   = 0
	exitFailed = 1 // a scene was not as it should be, and a line names it
	exitUsage  = 2
)

// options are the flags.
type options struct {
	program string         // natspread
	keeping string         // natspread that deletes no unanswered entries
	scene   *regexp.Regexp // the names of the scenes that are played
	variant string         // "" is both
	family  int            // 0 is both
	untimed bool           // only scenes that no clock judges
	bench   bool           // only what measures, and judges by ratios
	verbs   int            // how many the race runs
	atOnce  int            // how many scenes are played at a time
	limit   time.Duration  // of all
}

// main plays, or takes a part in a scene.
func main() { os.Exit(netns.Main(parts(), run)) }

// parts are what this program is in a scene, by its first argument.
func parts() map[string]func(args []string) error {
	return map[string]func([]string) error{
		"inside":   inside,
		"client":   beClient,
		"backends": beBackends,
		"epoll":    beEpoll,
	}
}

// run plays all scenes that the arguments name.
func run(args []string, stdout, stderr io.Writer) int {
	var o options
	var scene string
	flags := flag.NewFlagSet("health", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&scene, "scene", "", "play only scenes whose names match this `regexp`")
	flags.StringVar(&o.variant, "variant", "", "of iptables: nft or legacy; both without it")
	flags.IntVar(&o.family, "family", 0, "4 or 6; both without it")
	flags.BoolVar(&o.untimed, "untimed", false, "play only scenes that no clock judges")
	flags.BoolVar(&o.bench, "bench", false, "measure processor and memory instead")
	flags.IntVar(&o.verbs, "verbs", 200, "how many random verbs race with a backend that flaps")
	flags.IntVar(&o.atOnce, "at-once", 4, "how many scenes are played at a time")
	flags.DurationVar(&o.limit, "limit", 40*time.Minute, "of all that is played")
	flags.StringVar(&o.keeping, "keeping", "", "a natspread that keeps unanswered entries: what the silent backends are compared with")
	err := flags.Parse(args)
	if err == nil {
		o.scene, err = regexp.Compile(scene)
	}
	if err != nil || flags.NArg() != 1 || o.atOnce < 1 {
		fmt.Fprintln(stderr, "usage: health [flags] PROGRAM")
		return exitUsage
	}
	if o.program, err = filepath.Abs(flags.Arg(0)); err == nil && o.keeping != "" {
		o.keeping, err = filepath.Abs(o.keeping)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return playAll(o, stdout)
}

// playing is a scene with a variant and a family.
type playing struct {
	scene
	variant string
	family  int
}

// name is that of what is played.
func (p playing) name() string { return fmt.Sprintf("%s/%s/%d", p.scene.name, p.variant, p.family) }

// playings are all that the options name.
func (o options) playings() []playing {
	var all []playing
	for _, scene := range scenes() {
		if !o.scene.MatchString(scene.name) || o.untimed && scene.timed || o.bench != scene.bench {
			continue
		}
		for _, variant := range []string{"nft", "legacy"} {
			for _, family := range []int{4, 6} {
				if (o.variant == "" || o.variant == variant) && (o.family == 0 || o.family == family) {
					all = append(all, playing{scene, variant, family})
				}
			}
		}
	}
	return all
}

// playAll plays so many at a time, and prints a line for each.
func playAll(o options, out io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	var mu sync.Mutex
	var wait sync.WaitGroup
	failed, places, all := 0, make(chan struct{}, o.atOnce), o.playings()
	for _, p := range all {
		takes := 1
		if p.alone {
			takes = o.atOnce
		}
		for range takes {
			places <- struct{}{}
		}
		wait.Go(func() {
			defer func() {
				for range takes {
					<-places
				}
			}()
			said, err := playOne(ctx, o, p)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				fmt.Fprintf(out, "FAIL %s: %v\n%s", p.name(), err, said)
				return
			}
			fmt.Fprintf(out, "pass %s: %s", p.name(), said)
		})
	}
	wait.Wait()
	fmt.Fprintf(out, "health: %d passed, %d failed\n", len(all)-failed, failed)
	if failed > 0 || len(all) == 0 {
		return exitFailed
	}
	return exitGood
}

// playOne plays in namespaces of its own.
func playOne(ctx context.Context, o options, p playing) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	return netns.Output(ctx, root(), "inside", "LEFT", p.scene.name, p.variant, strconv.Itoa(p.family), strconv.Itoa(o.verbs), o.program, o.keeping)
}

// root is the machine's for its own root, since nft sends the rules of many services in one
// message. Nobody else can be that.
func root() netns.Root {
	if os.Getuid() == 0 {
		return netns.Machine
	}
	return netns.Own
}

// inside plays one scene in the namespaces that were made for it.
func inside(args []string) error {
	if len(args) != 7 {
		return errors.New("it is started by this program alone")
	}
	family, err := strconv.Atoi(args[3])
	verbs, errVerbs := strconv.Atoi(args[4])
	if err := errors.Join(err, errVerbs); err != nil {
		return err
	}
	if err := netns.Settle(args[0], root()); err != nil {
		return err
	}
	for _, scene := range scenes() {
		if scene.name != args[1] {
			continue
		}
		if scene.timed { // what else runs on the machine is not to be measured; only root may
			_ = os.WriteFile("/proc/self/autogroup", []byte("-15"), 0)
		}
		s, err := newStage(stage{variant: args[2], family: family, verbs: verbs, program: args[5], keeping: args[6]})
		if err != nil {
			return err
		}
		said, err := scene.play(s)
		fmt.Println(said)
		if err != nil {
			return fmt.Errorf("%w\nthe watcher said:\n%s", err, s.heard())
		}
		return nil
	}
	return fmt.Errorf("there is no scene %q", args[1])
}
