package doctor

import (
	"fmt"

	"natspread/internal/config"
	"natspread/internal/network"
)

// TakenLogin is the finding that one of some services takes the port of the ssh connection
// that a process was started over: the next login goes to a backend. The connection itself
// goes on. found is false where none takes it, and where there is no such connection.
func (h Host) TakenLogin(process int, services []config.Service) (taken Finding, found bool) {
	login, over := network.LoginOf(h.Proc, process)
	if !over {
		return Finding{}, false
	}
	read, err := h.readNetwork()
	if err != nil {
		return cannotTell("whether a service takes the port of this ssh connection", err), true
	}
	service, takes := takesLogin(read, login, services)
	if !takes {
		return Finding{}, false
	}
	return Finding{Severity: Risk, What: fmt.Sprintf("service %s takes port %d of %v, by which this ssh connection came in: the next login goes to a backend",
		service.Name, login.Server.Port(), login.Server.Addr())}, true
}

// takesLogin returns the service that takes the port of a connection. In another network
// namespace than that of sshd the address is not the host's, and "*" does not take it.
func takesLogin(n network.Network, login network.Login, services []config.Service) (config.Service, bool) {
	holder, held := n.Holder(login.Server.Addr())
	back, err := n.RouteTo(login.Client.Addr())
	all := config.Config{Services: services}
	for service, byAny := range all.Listening(config.TCP, login.Server) {
		comes := service.ComesBy(holder.Link.Name) || err != nil || back.Local || service.ComesBy(back.Link)
		if comes && (held || !byAny) {
			return service, true
		}
	}
	return config.Service{}, false
}
