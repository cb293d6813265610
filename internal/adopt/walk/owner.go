package walk

import "strings"

// Owner returns whose chain it is, by its name; "" for chains that people make.
func Owner(chain string) string {
	for _, one := range []struct{ prefix, name string }{
		{"DOCKER", "Docker"}, {"LIBVIRT_", "libvirt"}, {"KUBE-", "Kubernetes"}, {"CNI-", "CNI"}, {"NETAVARK", "Podman"},
		{"PRE_", "firewalld"}, {"POST_", "firewalld"}, {"PREROUTING_", "firewalld"}, {"POSTROUTING_", "firewalld"}, {"OUTPUT_direct", "firewalld"},
		{"cali-", "Calico"}, {"ISTIO_", "Istio"}, {"MINIUPNPD", "miniupnpd"}, {"ts-", "Tailscale"}, {"f2b-", "fail2ban"},
	} {
		if strings.HasPrefix(chain, one.prefix) {
			return one.name
		}
	}
	return ""
}
