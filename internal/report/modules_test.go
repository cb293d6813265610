package report

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"natspread/internal/program"
)

// TestExamineMissingTarget has a kernel that refuses HMARK: a service whose clients have slots
// is broken there, with the line that loads the module. Others are not.
func TestExamineMissingTarget(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		run := s.host.Restore.Run
		s.host.Restore.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if bytes.Contains(stdin, []byte("-j HMARK ")) {
				return nil, &program.Error{Name: name, Args: args, Code: 4, Err: errors.New("exit status 4"), Stderr: "RULE_APPEND failed (No such file or directory)"}
			}
			return run(ctx, stdin, name, args...)
		}
		const never = "risk: nothing was applied yet, so nothing is balanced, and boot loads nothing -> natspread apply"
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web)}), never)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web+"algorithm = \"source\"\n")}),
			"broken: the kernel or the "+string(s.variant)+" variant of iptables has no target HMARK for ipv4 -> modprobe xt_HMARK # RHEL 10: dnf install kernel-modules-extra", never)
		s.host.Restore.Run = run
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web+"algorithm = \"source\"\n")}), never)
	})
}
