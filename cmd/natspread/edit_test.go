package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// holdEdit takes the lock of those who edit the config and apply it, until it is called.
func holdEdit(t *testing.T, root string) (unlock func()) {
	t.Helper()
	unlock, err := restore.Host{Root: root}.LockEdit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return unlock
}

// while runs natspread and lets it go on until a program that had the lock before it has
// changed the config: a while is long enough to read it.
func while(t *testing.T, root, edited string, natspread func() outcome) outcome {
	t.Helper()
	unlock := holdEdit(t, root)
	ended := make(chan outcome)
	go func() { ended <- natspread() }()
	time.Sleep(300 * time.Millisecond)
	writeFile(t, filepath.Join(root, paths.Config), edited)
	unlock()
	return <-ended
}

// fewer is the article's balancer after somebody took a backend out.
var fewer = strings.Replace(article, `"10.0.0.1:80", `, "", 1)

// What applies the config reads what another has written that was at it before, so it does
// not take back what that one did.
func TestApplyTakesNothingBack(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, args := range [][]string{{"apply"}, {"apply", "--exclusive", "--yes"}, {"apply", "--confirm", "1h"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			root := rootWith(t, article)
			flags := append([]string{"--root", root, "--variant", "nft"}, args...)
			while(t, root, fewer, func() outcome { return asProgram(t, "natspread", flags...) }).want(t, exitDone)
			if args[len(args)-1] == "1h" {
				inProcess("--root", root, "--variant", "nft", "confirm").want(t, exitDone)
			}
			wantApplied(t, root, fewer)
			inProcess("--root", root, "--variant", "nft", "diff").want(t, exitDone)
		})
	}
}

// wantApplied asks for the config that is current.
func wantApplied(t *testing.T, root, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(root, "var/lib/natspread/current/natspread.toml"))
	if err != nil || string(got) != want {
		t.Errorf("%v: what is applied is\n%s", err, got)
	}
}

// The same with install, which lets go of the lock before it talks with systemd.
func TestInstallTakesNothingBack(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	machine := liveMachine(t, netnstest.Variants(t)[0])
	while(t, "/", fewer, func() outcome { return machine.onMachine("install") }).want(t, exitDone)
	wantApplied(t, "/", fewer)
	holdEdit(t, "/")()
}

// A rollback goes back from what is current when its turn comes.
func TestRollbackTakesNothingBack(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	root := rootWith(t, article)
	natspread := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--variant", "nft"}, args...)...)
	}
	for _, config := range []string{article, fewer} {
		writeFile(t, filepath.Join(root, paths.Config), config)
		natspread("apply").want(t, exitDone)
	}
	unlock := holdEdit(t, root)
	ended := make(chan outcome)
	go func() { ended <- natspread("rollback") }()
	time.Sleep(300 * time.Millisecond)
	other := strings.ReplaceAll(article, "web", "other")
	host := (&session{runner: program.Exec()}).host(options{root: root, variant: rules.NFT})
	c, err := check("other", []byte(other))
	if err == nil {
		_, err = host.Apply(t.Context(), c.request("apply", false))
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	(<-ended).want(t, exitDone)
	wantApplied(t, root, fewer)
}

// Nobody waits for who is asked whether to go on; but what that one agreed to has to be
// there still.
func TestEditedWhileAsked(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	root := rootWith(t, article)
	natspread := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--variant", "nft"}, args...)...)
	}
	natspread("apply").want(t, exitDone)
	netnstest.Self().Command(t, "", "iptables-nft", "-t", "nat", "-N", "OTHERS")
	for _, edit := range []bool{true, false} {
		user, terminal := openTerminal(t)
		s := &session{streams: streams{in: terminal, out: terminal, err: terminal}, runner: program.Exec(), connect: noSystemd}
		ended := make(chan int)
		go func() { ended <- run([]string{"--root", root, "--variant", "nft", "apply", "--exclusive"}, s) }()
		shown := ""
		for !strings.Contains(shown, "remove them? [y/N] ") {
			shown += readShown(t, user)
		}
		if edit {
			natspread("drain", "web", "10.0.0.1:80").want(t, exitDone)
		}
		if _, err := user.WriteString("y\n"); err != nil {
			t.Fatal(err)
		}
		for !strings.Contains(shown, "edited while") && !strings.Contains(shown, "applied generation") {
			shown += readShown(t, user)
		}
		if code := <-ended; (code == exitFailed) != edit || edit && !strings.Contains(shown, "natspread.toml was edited while the question waited; nothing was changed") {
			t.Errorf("exit code %d: %s", code, shown)
		}
		natspread("diff").want(t, exitDone)
	}
}

// A dry run waits for nobody, and leaves no lock.
func TestDryRunTakesNoLock(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	root := rootWith(t, article)
	dryRun := []string{"--root", root, "--variant", "nft", "apply", "--dry-run"}
	inProcess(dryRun...).want(t, exitDone)
	if _, err := os.Lstat(filepath.Join(root, "run")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it leaves a trace: %v", err)
	}
	defer holdEdit(t, root)()
	inProcess(dryRun...).want(t, exitDone)
}

// While standard input is awaited nobody else has to wait.
func TestStandardInputIsReadFirst(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	root := rootWith(t, article)
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := natspreadCommand(t, "natspread", "--root", root, "--variant", "nft", "apply", "--config", "-")
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	holdEdit(t, root)()
	_, errWrite := feed.WriteString(fewer)
	if err := errors.Join(errWrite, feed.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	wantApplied(t, root, fewer)
}
