package program

import (
	"os"
	"slices"
	"sync"
)

// Locks are the locks of flock(2) that programs share with the process that runs them. Such
// a lock belongs to the open file, and lasts until the last process that has that open ends.
// So what a program begins under a lock is done under it, also when the process that took
// the lock is killed, and the program, or a child of it, goes on.
//
// A death signal alone is not enough: it reaches no child of a program, and none that is in
// the middle of a system call before this is over.
//
// The zero value holds none, and nil never does.
type Locks struct {
	mutex sync.Mutex
	files []*os.File
}

// Share has every program that is started from now on share the lock of an open file, until
// release is called. The file must stay open for so long.
func (l *Locks) Share(file *os.File) (release func()) {
	if l == nil {
		return func() {}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.files = append(l.files, file)
	return func() {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		l.files = slices.DeleteFunc(l.files, func(f *os.File) bool { return f == file })
	}
}

// held returns the files whose locks a program shares that is started now.
func (l *Locks) held() []*os.File {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return slices.Clone(l.files)
}
