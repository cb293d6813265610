package killtest

import "golang.org/x/sys/unix"

// older are those that amd64 has beside the ones which replaced them.
func older() map[uint64]string {
	return map[uint64]string{
		unix.SYS_OPEN: "open", unix.SYS_CREAT: "creat", unix.SYS_RENAME: "rename", unix.SYS_LINK: "link", unix.SYS_SYMLINK: "symlink",
		unix.SYS_UNLINK: "unlink", unix.SYS_MKDIR: "mkdir", unix.SYS_RMDIR: "rmdir", unix.SYS_MKNOD: "mknod",
		unix.SYS_TRUNCATE: "truncate", unix.SYS_CHMOD: "chmod", unix.SYS_CHOWN: "chown",
		unix.SYS_FORK: "fork", unix.SYS_VFORK: "vfork",
	}
}
