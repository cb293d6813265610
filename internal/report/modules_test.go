package report

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"natspread/internal/program"
)

// TestExamineMissingTarget has a kernel that refuses HMARK, TCPMSS or conditions on connections: a service
// that takes them is broken there, once for all tables, with the line that loads the module. Others are not.
func TestExamineMissingTarget(t *testing.T) {
	eachVariant(t, func(t *testing.T, s *scene) {
		run, refused := s.host.Restore.Run, "-j HMARK "
		s.host.Restore.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if bytes.Contains(stdin, []byte(refused)) {
				return nil, &program.Error{Name: name, Args: args, Code: 4, Err: errors.New("exit status 4"), Stderr: "RULE_APPEND failed (No such file or directory)"}
			}
			return run(ctx, stdin, name, args...)
		}
		const never = "risk: nothing was applied yet, so nothing is balanced, and boot loads nothing -> natspread apply"
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web)}), never)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web+"algorithm = \"source\"\n")}),
			"broken: the kernel or the "+string(s.variant)+" variant of iptables has no target HMARK for ipv4 -> modprobe xt_HMARK # RHEL 10: dnf install kernel-modules-extra", never)
		refused = "-j TCPMSS "
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web)}), never)
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web+"clamp_mss = 1260\n")}),
			"broken: the kernel or the "+string(s.variant)+" variant of iptables has no target TCPMSS for ipv4 -> modprobe xt_TCPMSS # RHEL 10: dnf install kernel-modules-extra", never)
		refused = "-m conntrack "
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web+"clamp_mss = 1260\nforward = \"accept\"\n")}),
			"broken: the kernel or the "+string(s.variant)+" variant of iptables has no match conntrack for ipv4 -> modprobe xt_conntrack # RHEL 10: dnf install kernel-modules-extra", never)
		s.host.Restore.Run = run
		wantFindings(t, s.examined(t, Judged{Config: parsed(t, web+"algorithm = \"source\"\n")}), never)
	})
}
