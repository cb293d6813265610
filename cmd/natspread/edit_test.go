package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/change"
	"natspread/internal/configfiles"
	"natspread/internal/console"
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

// editWhile runs natspread while another program has the lock, which edits the config and
// gives the lock back once natspread waits for it: what natspread reads before it has the
// lock it has read by then.
func editWhile(t *testing.T, root, edited string, natspread func() outcome) outcome {
	t.Helper()
	unlock := holdEdit(t, root)
	ended := make(chan outcome)
	go func() { ended <- natspread() }()
	awaitWaiting(t, root)
	writeFile(t, filepath.Join(root, paths.Config), edited)
	unlock()
	return <-ended
}

// awaitWaiting waits until one waits for the lock of those who edit, which another one has.
func awaitWaiting(t *testing.T, root string) {
	t.Helper()
	lock := filepath.Join(root, lockDir, "lock-edit")
	eventually(t, "the wait for the lock", func() bool { return openers(lock) == 2 })
}

// fewer is the article's balancer after somebody took a backend out.
var fewer = strings.Replace(article, `"10.0.0.1:80", `, "", 1)

// What applies the config reads what another one wrote that had the lock before, so it does
// not revert what that one did.
func TestApplyRevertsNothing(t *testing.T) {
	if !isolate(t) {
		return
	}
	for _, args := range [][]string{{"apply"}, {"apply", "--exclusive", "--yes"}, {"apply", "--confirm", "1h"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			root := rootWith(t, article)
			flags := append([]string{"--root", root, "--live", "--variant", "nft"}, args...)
			editWhile(t, root, fewer, func() outcome { return asProgram(t, "natspread", flags...) }).want(t, exitDone)
			if args[len(args)-1] == "1h" {
				inProcess("--root", root, "--live", "--variant", "nft", "confirm").want(t, exitDone)
			}
			wantApplied(t, root, fewer)
			inProcess("--root", root, "--live", "--variant", "nft", "diff").want(t, exitDone)
		})
	}
}

// wantApplied asks for the config that is current.
func wantApplied(t *testing.T, root, want string) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(root, "var/lib/natspread/current/config/natspread.toml"))
	if err != nil || string(got) != want {
		t.Errorf("%v: what is applied is\n%s", err, got)
	}
}

// The same with install, which gives the lock back before it asks systemd for anything.
func TestInstallRevertsNothing(t *testing.T) {
	if !isolate(t) {
		return
	}
	machine := liveMachine(t, netnstest.Variants(t)[0])
	editWhile(t, "/", fewer, func() outcome { return machine.onMachine("install") }).want(t, exitDone)
	wantApplied(t, "/", fewer)
	holdEdit(t, "/")()
}

// A rollback goes back from what is current when its turn comes.
func TestRollbackRevertsNothing(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	natspread := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--live", "--variant", "nft"}, args...)...)
	}
	for _, config := range []string{article, fewer} {
		writeFile(t, filepath.Join(root, paths.Config), config)
		natspread("apply").want(t, exitDone)
	}
	unlock := holdEdit(t, root)
	ended := make(chan outcome)
	go func() { ended <- natspread("rollback") }()
	awaitWaiting(t, root)
	other := strings.ReplaceAll(article, "web", "other")
	host := restore.Host{Root: root, Run: program.Exec(), Variant: rules.NFT}
	plan, err := change.Parse("other", configfiles.Alone("other", []byte(other)))
	if err == nil {
		_, err = host.Apply(t.Context(), plan.Request("apply"))
	}
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	(<-ended).want(t, exitDone)
	wantApplied(t, root, fewer)
}

// Nobody waits for who is asked whether to go on; but the config that this one has confirmed
// must be there still.
func TestEditedWhileAsked(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	natspread := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--live", "--variant", "nft"}, args...)...)
	}
	natspread("apply").want(t, exitDone)
	netnstest.Self().Command(t, "", "iptables-nft", "-t", "nat", "-N", "OTHERS")
	for _, edit := range []bool{true, false} {
		user, terminal := openTerminal(t)
		s := &session{Console: console.Console{In: terminal, Out: terminal, Err: terminal}, runner: program.Exec(), connect: noSystemd}
		ended := make(chan int)
		go func() {
			ended <- run([]string{"--root", root, "--live", "--variant", "nft", "apply", "--exclusive"}, s)
		}()
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
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	dryRun := []string{"--root", root, "--live", "--variant", "nft", "apply", "--dry-run"}
	inProcess(dryRun...).want(t, exitDone)
	if _, err := os.Lstat(filepath.Join(root, "run")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it leaves a trace: %v", err)
	}
	defer holdEdit(t, root)()
	inProcess(dryRun...).want(t, exitDone)
}

// While standard input is awaited nobody else has to wait.
func TestStandardInputIsReadFirst(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	in, feed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := natspreadCommand(t, "natspread", "--root", root, "--live", "--variant", "nft", "apply", "--config", "-")
	cmd.Stdin = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	begin, rest := fewer[:len(fewer)/2], fewer[len(fewer)/2:]
	if _, err := feed.WriteString(begin); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the read of what there is", func() bool {
		unread, err := unix.IoctlGetInt(int(feed.Fd()), unix.TIOCINQ) // FIONREAD
		return err == nil && unread == 0
	})
	holdEdit(t, root)()
	_, errWrite := feed.WriteString(rest)
	if err := errors.Join(errWrite, feed.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	wantApplied(t, root, fewer)
}
