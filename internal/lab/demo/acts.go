package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"natspread/internal/lab/netns"
)

// dying is the index of the backend that dies, dead its mark.
const (
	dying = 1
	dead  = '1' + dying
)

// everyone is each client.
func everyone(int) bool { return true }

// is wants each client at the backend that it has in home.
func is(home string) func(row int, mark byte) bool {
	return func(row int, mark byte) bool { return mark == home[row] }
}

// nobody wants each client to fail.
func nobody(_ int, mark byte) bool { return mark == failed }

// shares has the backends get what their weights say.
func (s *story) shares() error {
	s.act("Shares", "the first backend gets twice what another gets")
	s.service.Backends[0].Weight = 2
	listed := ""
	for _, backend := range s.service.Backends {
		listed += " --backend " + backend.String()
	}
	first := s.service.Backends[0]
	if err := s.run(s.natspread("init") + fmt.Sprintf(" \\\n    --listen %s --snat none \\\n   %s", s.listen, listed)); err != nil {
		return err
	}
	if err := s.enter(root); err != nil {
		return err
	}
	err := s.runAll(fmt.Sprintf("sed -i 's/ \"%v\"/ { address = \"%v\", weight = 2 }/' \\\n    natspread.toml", first, first), s.natspread("check"), s.natspread("apply"))
	if err != nil {
		return err
	}
	return s.measure()
}

// keep has each client keep its backend, and notes which that is.
func (s *story) keep() error {
	s.act("A client that keeps its backend", "by its address, on every balancer, with no state")
	w := s.watch()
	defer w.stop()
	w.note("random")
	err := w.await(0, "each client is answered", func(_ int, mark byte) bool { return mark != failed })
	if err == nil {
		err = s.runAll(`echo 'algorithm = "source"' >> natspread.toml`, s.natspread("apply"))
	}
	if err != nil {
		return err
	}
	from := w.note("source")
	err = w.await(from, "each client is answered", func(_ int, mark byte) bool { return mark != failed })
	w.stop()
	s.film(w, "the backend of each new connection, from left to right")
	if err != nil {
		return err
	}
	s.home = ""
	for _, got := range w.since(from) {
		s.home += got[:1]
	}
	if !strings.ContainsRune(s.home, dead) {
		err = fmt.Errorf("no client has backend %c, which is to die: %s", dead, s.home)
	}
	return errors.Join(w.keeps(from, s.home, everyone), err)
}

// death has a backend die under connections, and come back.
func (s *story) death() error {
	s.act("A backend dies under load, and comes back", "its clients go to others, and to nobody else's cost")
	err := s.runAll("echo 'check = { type = \"tcp\", interval = \"500ms\", timeout = \"100ms\" }' \\\n    >> natspread.toml", s.natspread("apply"))
	if err != nil {
		return err
	}
	end, err := s.background(s.natspread("health"))
	if err != nil {
		return err
	}
	w := s.watch()
	defer w.stop()
	err = w.await(0, "each client is answered by its backend", is(s.home))
	if err == nil {
		w.note("cable out")
		err = s.run("ip -n " + joined + " link set " + backendName(dying) + " down")
	}
	if err == nil {
		err = w.await(w.last(), "the others take over the clients of the backend that died", func(_ int, mark byte) bool { return mark != failed && mark != dead })
	}
	if err == nil {
		w.note("cable in")
		err = s.run("ip -n " + joined + " link set " + backendName(dying) + " up")
	}
	if err == nil {
		err = w.await(w.last(), "the backend that is back has its clients again", is(s.home))
	}
	w.stop()
	err = errors.Join(err, end())
	s.film(w, ". is a wait, x a connection that failed")
	if err == nil {
		err = w.keeps(0, s.home, func(row int) bool { return s.home[row] != dead })
	}
	if err != nil {
		return err
	}
	s.say("")
	return s.runAll("sed -i '/^check/d' natspread.toml", s.natspread("apply"))
}

// unconfirmed applies a mistake on trial, and confirms nothing.
func (s *story) unconfirmed() error {
	s.act("An apply that nobody confirms", "the backends do not listen on port 81")
	w := s.watch()
	defer w.stop()
	err := w.await(0, "each client is answered by its backend", is(s.home))
	if err == nil {
		err = s.run(`sed -i '/^ /s/:80"/:81"/' natspread.toml`)
	}
	if err == nil {
		w.note("apply --confirm 2s")
		err = s.run(s.natspread("apply") + " --confirm 2s")
	}
	if err == nil {
		err = w.await(w.last(), "the trial refuses all clients", nobody)
	}
	if err == nil {
		err = w.await(w.last(), "the mistake is taken back", is(s.home))
	}
	w.stop()
	s.film(w, "x until what was there before is back, by itself")
	if err != nil {
		return err
	}
	s.say("")
	return s.runAll(`sed -i '/^ /s/:81"/:80"/' natspread.toml`, s.natspread("diff"))
}

// reboot leaves of the balancer what a reboot leaves, and restores it.
func (s *story) reboot() error {
	s.act("A reboot", "no rules, no forwarding, nothing in /run")
	w := s.watch()
	defer w.stop()
	err := w.await(0, "each client is answered by its backend", is(s.home))
	if err == nil {
		w.note("reboot")
		err = s.runAll("for r in "+s.ofVariant("iptables-restore")+" "+s.ofVariant("ip6tables-restore")+"; do \\\n    printf '*nat\\nCOMMIT\\n' | $r; done",
			"echo 0 > /proc/sys/net/ipv4/ip_forward; rm -r "+root+"/run")
	}
	if err == nil {
		err = s.empty()
	}
	if err == nil {
		err = w.await(w.last(), "all connections are refused", nobody)
	}
	if err == nil {
		err = s.network.refused(s.listen)
	}
	if err == nil {
		w.note("restore")
		err = s.run(s.natspread("restore"))
	}
	if err == nil {
		err = w.await(w.last(), "each client has its backend again", is(s.home))
	}
	w.stop()
	s.film(w, "each client has the backend that it had")
	if err != nil {
		return err
	}
	s.say("")
	return s.run(s.natspread("status")) // fails when the kernel is not in sync
}

// takeover has the balancer die under open connections, and another one go on with them.
func (s *story) takeover() error {
	s.act("The second balancer takes over", "open connections; nsenter stands for ssh, and ip link for keepalived")
	other := "nsenter --net=" + named + "/" + second + " \\\n    natspread " + strings.Join(s.flags(secondRoot), " ") + " --quiet"
	err := s.runAll("echo 'takeover = true' >> natspread.toml", s.natspread("apply"), "cp -r "+root+"/etc "+secondRoot, other+" apply")
	if err != nil {
		return err
	}
	w, err := s.watchOpen()
	if err != nil {
		return err
	}
	defer w.stop()
	err = w.await(0, "each open connection is answered by its backend", is(s.home))
	if err == nil {
		w.note("one dies")
		err = s.runAll("ip link set " + front + " down; ip link set " + back + " down")
	}
	if err == nil {
		err = w.silent()
	}
	if err == nil {
		w.note("two takes over")
		err = s.runAll("ip -n " + second + " link set " + back + " up; ip -n " + second + " link set " + front + " up")
	}
	if err == nil {
		err = w.await(w.last(), "each open connection goes on", is(s.home))
	}
	w.stop()
	s.film(w, "who answers on an open connection of each client")
	if err != nil {
		return err
	}
	return w.keeps(0, s.home, everyone)
}

// ofVariant is the name of one of iptables' programs, of the variant that is played.
func (s *story) ofVariant(program string) string {
	if s.variant == "" {
		return program
	}
	return strings.Replace(program, "tables", "tables-"+s.variant, 1)
}

// empty is an error if the nat table still has rules.
func (s *story) empty() error {
	saved, err := netns.Pipe("", s.ofVariant("iptables-save"), "-t", "nat")
	if err == nil && strings.Contains(saved, "\n-A ") {
		err = errors.New("cannot play a reboot: the nat table still has rules")
	}
	return err
}

// enter goes to where the config of a balancer is.
func (s *story) enter(root string) error {
	dir := root + "/etc/natspread"
	s.say("%s", s.paint(bold, "$ cd "+dir))
	return os.Chdir(dir)
}
