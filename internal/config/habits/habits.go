// Package habits is what other programs call the words and the keys of a config, each with the
// fix for it. It knows nothing of how a config is read.
package habits

import "natspread/internal/suggest"

// Include is the fix for what names other files to read.
const Include = "take it out, and put the files into the directory conf.d beside natspread.toml, with names that end in .toml"

// What other programs call the words of a config, each with the fix for it.
var (
	Protocols = []suggest.Habit{
		{Typed: "tcp,udp udp,tcp tcp/udp udp/tcp tcp|udp tcpudp tcp_udp tcp-udp tcp&udp both all any * dns", Instead: `write ["tcp", "udp"]`},
		{Typed: "6 tcp4 tcp6 http https tls ssl tls/ssl ws wss grpc h2 ftp smtp ssh stream l4 layer4", Instead: `write "tcp"`},
		{Typed: "17 udp4 udp6 quic http3 h3 dtls rtp", Instead: `write "udp"`},
		{Typed: "132", Instead: `write "sctp"`},
		{Typed: "icmp icmpv6 icmp6 gre esp ah ipip ip udplite dccp igmp ospf vrrp 1 47 50 51 58 33 136", Instead: "natspread can't: it balances tcp, udp and sctp only"},
	}
	Algorithms = []suggest.Habit{
		{Typed: "sticky stickiness session persistent persistence persist affinity source-hash source_hash sourcehash ip-hash ip_hash iphash src-hash hash sh mh maglev consistent consistent-hash ketama clientip client-ip client_ip client source-ip source_ip srcip src", Instead: `write "source"`},
		{Typed: "rr wrr roundrobin round_robin static-rr weighted-round-robin weighted_round_robin nth", Instead: `write "round-robin"`},
		{Typed: "rand uniform weighted chance probability statistic default", Instead: `write "random"`},
		{Typed: "5-tuple five-tuple 5tuple connection flow-hash", Instead: `write "flow"`},
		{Typed: "leastconn leastconns least-conn least_conn lc wlc sed nq least-connections leastconnections least_connections first least leasttime least_time fastest", Instead: `natspread can't count open connections: write "random" or "round-robin"`},
	}
	SNAT = []suggest.Habit{
		{Typed: "yes on true auto automap automatic masq enable enabled interface default", Instead: `write "masquerade"`},
		{Typed: "no off false disable disabled transparent keep preserve client original", Instead: `write "none", where the backends answer by way of this machine`},
	}
	SourcePorts = []suggest.Habit{
		{Typed: "random randomize randomized fully-random fully_random random_fully randomfully yes on true enabled", Instead: `write "random-fully"`},
		{Typed: "no off false none preserve same default persistent", Instead: `write "keep"`},
	}
	Refused = []suggest.Habit{
		{Typed: "refuse refused rst reset tcp-reset icmp icmp-port-unreachable unreachable deny close yes on true", Instead: `write "reject"`},
		{Typed: "return accept pass local self own bypass skip continue next", Instead: `write "host"`},
		{Typed: "drop silent silence ignore blackhole timeout none no off false", Instead: `natspread can't drop packets: write "reject"`},
	}
	OnRemove = []suggest.Habit{
		{Typed: "keep leave wait finish graceful gracefully stay nothing none", Instead: `write "drain"`},
		{Typed: "cut kill close drop abort end now rst terminate flush delete", Instead: `write "reset"`},
	}
	OnDown = []suggest.Habit{
		{Typed: "leave drain wait finish stay nothing none", Instead: `write "keep"`},
		{Typed: "cut kill close drop abort end now rst terminate flush delete", Instead: `write "reset"`},
	}
	Forward = []suggest.Habit{
		{Typed: "yes on true allow allowed permit pass enable enabled open", Instead: `write "accept", to let them through`},
		{Typed: "no off false none ignore disable disabled default keep", Instead: `write "leave"`},
		{Typed: "drop reject deny denied block refuse", Instead: `natspread can't drop packets: write "leave", and let a rule of your own in FORWARD drop them`},
	}
	Checks = []suggest.Habit{
		{Typed: "yes on true connect port syn l4 layer4 enable enabled default mysql redis smtp ssh ldap pgsql tls ssl", Instead: `write "tcp"`},
		{Typed: "http1 http1.1 http/1.1 web get head http-get httpchk l7 layer7", Instead: `write "http"`},
		{Typed: "https1 h2 http2 http/2 https-get", Instead: `write "https"`},
		{Typed: "dns", Instead: `write "udp"`},
		{Typed: "no off false none disable disabled", Instead: "take check out"},
		{Typed: "icmp ping arp script exec external command grpc", Instead: `natspread can't ask that way: write "tcp", "http", "https" or "udp"`},
	}

	// In the lists of keys a single word is the key that was meant, and all else is the fix.
	ServiceKeys = []suggest.Habit{
		{Typed: "servers server targets target upstream upstreams endpoints endpoint members member nodes node reals real workers hosts backend_servers realservers", Instead: "backends"},
		{Typed: "bind vip vips frontend address addresses addr ip virtual_address", Instead: "listen"},
		{Typed: "balance scheduler lb_algorithm lb_algo lb_policy method policy strategy distribution", Instead: "algorithm"},
		{Typed: "id title label service", Instead: "name"},
		{Typed: "iface dev device nic in_interface in", Instead: "interface"},
		{Typed: "proto l4proto transport protocols", Instead: "protocol"},
		{Typed: "healthcheck health_check healthchecks health_checks health checks probe", Instead: "check"},
		{Typed: "nat source_nat masq masquerade mask", Instead: "snat"},
		{Typed: "random_fully fully_random randomize_ports random_ports source_ports", Instead: `write snat_ports = "random-fully"`},
		{Typed: "sticky stickiness session_affinity sessionaffinity affinity persistence persistent sticky_sessions", Instead: `write algorithm = "source"`},
		{Typed: "transparent preserve_client_ip client_ip", Instead: `write snat = "none"`},
		{Typed: "maxconn max_conn max_conns maxconns max_connections connlimit limit rate rate_limit ratelimit", Instead: "natspread can't limit connections: take it out; a rule of your own in mangle PREROUTING can, by -m connlimit or -m hashlimit"},
		{Typed: "source sources from allow_from allowed allowlist allow_list whitelist acl source_ranges permit clients", Instead: "allow"},
		{Typed: "deny_from denied denylist deny_list blacklist blocklist block ban banned", Instead: "deny"},
		{Typed: "include includes import", Instead: Include},
		{Typed: "defaults default global template extends inherit", Instead: "take it out, and write [defaults], with snat, snat_ports, algorithm, on_remove, forward and clamp_mss below it"},
		{Typed: "port_map portmap port_maps portmaps map maps mapping mappings port_mapping port_mappings", Instead: "ports"},
		{Typed: "mss mssfix tcp_mss tcpmss max_mss set_mss adjust_mss clamp clamp_mss_to_pmtu clamp_to_pmtu", Instead: "clamp_mss"},
		{Typed: "mtu pmtu path_mtu pmtud", Instead: "write clamp_mss = true"},
		{Typed: "pools use_pool backend_pool pool_name group", Instead: "pool"},
		{Typed: "tls ssl cert certificate key redirect rewrite header headers host path_prefix proxy_protocol send_proxy", Instead: "natspread can't: it passes packets on and reads none; take it out"},
		{Typed: "timeout_client timeout_server idle_timeout connect_timeout keepalive", Instead: "natspread can't time connections out: take it out; the kernel does, by net.netfilter.nf_conntrack_*_timeout_*"},
		{Typed: "enabled enable disabled disable active state status", Instead: "natspread can't switch a service off: take it out, or put # before each line of the service"},
		{Typed: "description comment note remark", Instead: "write it behind a #"},
		{Typed: "dns resolver resolvers resolve", Instead: "natspread can't look names up: write addresses"},
		{Typed: "log logging access_log", Instead: "natspread can't log connections: take it out; conntrack -E shows them"},
	}
	BackendKeys = []suggest.Habit{
		{Typed: "addr ip host hostname server target url endpoint name", Instead: "address"},
		{Typed: "share ratio priority w", Instead: "weight"},
		{Typed: "standby spare fallback", Instead: "backup"},
		{Typed: "draining drained down disabled disable maintenance maint offline", Instead: "drain"},
		{Typed: "check health healthcheck health_check interval timeout", Instead: "natspread can't check one backend alone: take it out, and write check into the service"},
		{Typed: "maxconn max_conn max_conns limit max_fails fail_timeout slowstart slow_start", Instead: "natspread can't: take it out"},
		{Typed: "description comment note id label", Instead: "write it behind a #"},
	}
	CheckKeys = []suggest.Habit{
		{Typed: "uri url endpoint location", Instead: "path"},
		{Typed: "status codes code expect_status expected_status http_code status_codes statuses", Instead: "expect"},
		{Typed: "sni server_name servername", Instead: "tls_name"},
		{Typed: "skip_verify insecure_skip_verify no_verify", Instead: "insecure"},
		{Typed: "failures retries unhealthy_threshold max_fails fails down_after", Instead: "fall"},
		{Typed: "successes healthy_threshold passes up_after", Instead: "rise"},
		{Typed: "every period inter delay delay_loop", Instead: "interval"},
		{Typed: "request payload", Instead: "send"},
		{Typed: "response match string body expect_string", Instead: "receive"},
		{Typed: "bind from src source_address", Instead: "source"},
		{Typed: "kind protocol proto mode", Instead: "type"},
		{Typed: "hostname vhost", Instead: "host"},
		{Typed: "method header headers user password auth", Instead: "natspread can't: it asks by GET with a Host header only; take it out"},
	}
)
