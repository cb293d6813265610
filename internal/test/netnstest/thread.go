package netnstest

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OnThread runs a function on a thread that ends with it, and may go to other namespaces or
// to another root. The first thread of a process is not such a one: where it is, the
// process is.
func OnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if unix.Gettid() == unix.Getpid() {
			OnThread(f)
			runtime.UnlockOSThread()
			return
		}
		f()
	}()
	<-done
}
