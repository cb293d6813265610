#compdef natspread
# zsh completion for natspread(8), written by make completions from the command tree.

_natspread() {
    local curcontext=$curcontext state line
    local -a verbs flags names
    local argument=' '
    verbs=(
        'init:write a commented config, from flags or as an example'
        'adopt:make a config of the balancing rules that this host has'
        'edit:edit a copy of the config, check it, and apply it'
        'check:check the config and prove its rules; changes nothing'
        'selftest:try the config with real connections, in its own namespaces'
        'render:print the rules as iptables-restore takes them'
        'diff:compare the kernel'\''s rules with what the config wants'
        'apply:load the config'\''s rules now and at every boot'
        'confirm:keep what apply --confirm loaded'
        'drain:give a backend no new connections, and wait for its last'
        'undrain:give a drained backend new connections again'
        'history:list the generations, the newest first'
        'rollback:apply an older generation again'
        'restore:load the current generation: what the unit runs at boot'
        'status:show services, shares, and whether the kernel is in sync'
        'doctor:find what on this host keeps the balancer from working'
        'health:check the backends, and take those that are down out'
        'stop:take natspread'\''s rules out of the kernel'
        'install:apply, and have it restored at every boot'
        'uninstall:stop and disable the unit and remove it'
        'completion:print the completion for bash, zsh or fish'
        'man:print the manual: of the program, natspread.toml or JSON'
        'version:print the version'
        'help:print the help, or that of a verb'
    )
    flags=(
        '*--config=[read FILE, or -]:file:_files'
        '*--root=[for images: all files below DIR, no kernel is changed]:directory:_files -/'
        '*--live[change the running kernel, with --root or in a chroot too]'
        '*--variant=[the VARIANT of iptables: auto, nft or legacy]:value:(auto nft legacy)'
        '*--json[print the result as JSON on standard output]'
        '*--quiet[say nothing but errors]'
        '*-q[say nothing but errors]'
        '*--verbose[say each program that is run, too]'
        '*-v[say each program that is run, too]'
        '*--color=[use colors: WHEN is auto, always or never]:value:(auto always never)'
        '*--help[print the help]'
        '*-h[print the help]'
    )
    _arguments -C -S $flags '1:verb:->verb' '*::argument:->behind' && return
    case $state:$words[1] in
    verb:*)
        _describe verb verbs
        return
        ;;
    behind:init)
        flags+=(
        '*--listen=[listen on ADDRESS:PORT; may be given again]:value: '
        '*--backend=[send connections to ADDRESS:PORT; may be given again]:value: '
        '*--snat=[rewrite the source: SNAT is masquerade, none or an address]:value:(masquerade none)'
        )
        ;;
    behind:adopt)
        flags+=(
        '*-4[the file is one of IPv4]'
        '*-6[the file is one of IPv6]'
        '*-o[write the config to this FILE, which must not exist]:file:_files'
        '*--listen=[for rules without -d: ADDRESS or '\''*'\''; may be given again]:value: '
        '*--shares=[for rules that make other shares than meant: SHARES is meant, made or kept]:value:(meant made kept)'
        '*--snat=[for backends that a rule with -o may be for: SNAT is masquerade, none or an address]:value:(masquerade none)'
        '*--except=[leave the service NAME out: its rules stay; may be given again]:value: '
        '*--apply[write the config, load it, and take the old rules out, until natspread confirm for 60s]'
        '*--confirm=[with --apply: revert it after this DURATION, such as 5m]:value:(60s 5m)'
        '*--yes[with --apply: ask nothing, and keep it]'
        )
        ;;
    behind:edit)
        flags+=(
        '*--yes[ask nothing: apply a good copy, and keep a wrong one]'
        )
        names=(files) argument=_natspread_names
        ;;
    behind:selftest)
        names=(services) argument=_natspread_names
        ;;
    behind:render)
        flags+=(
        '*-4[print IPv4]'
        '*-6[print IPv6]'
        '*--filter[print the part of the filter table instead of the nat table]'
        '*--mangle[print the part of the mangle table instead of the nat table]'
        '*-o[write rules.v4 and rules.v6 into DIR, which must exist, instead; and filter.v4 and mangle.v6, say, where there are such rules]:directory:_files -/'
        '*--explain=[follow a connection to ADDRESS:PORT through the rules, by -v on every path; behind the port may stand /udp or /sctp]:value: '
        '*--in=[explain what comes in by this INTERFACE]:value: '
        '*--from=[explain what comes from the client at SOURCE]:value: '
        '*--dot[print the chains as a graph for Graphviz]'
        '*--svg[print the chains as a picture, drawn by Graphviz]'
        )
        ;;
    behind:diff)
        flags+=(
        '*-4[compare only IPv4]'
        '*-6[compare only IPv6]'
        '*--saved=[compare with this FILE of iptables-save; - is standard input]:file:_files'
        )
        names=(generations) argument=_natspread_names
        ;;
    behind:apply)
        flags+=(
        '*--dry-run[check, prove, and show what would change, but write and load nothing]'
        '*--confirm=[revert it after this DURATION, such as 60s, unless natspread confirm keeps it]:value:(60s 5m)'
        '*--exclusive[replace the whole nat table, everyone else'\''s rules too, after listing them]'
        '*--yes[ask nothing: remove what --exclusive lists, and take the port of this ssh connection]'
        )
        ;;
    behind:drain)
        flags+=(
        '*--wait=[wait for this DURATION until no connection is left there; exit 1 if one is]:value:(60s 5m)'
        '*--now[end its connections at once: UDP moves to another backend, TCP is reset]'
        '*--keep-one[refuse to drain the last backend of a service]'
        '*--runtime[only in what is loaded, until the next load of a generation or boot]'
        )
        names=(services backends) argument=_natspread_names
        ;;
    behind:undrain)
        flags+=(
        '*--runtime[only in what is loaded, what drain --runtime drained]'
        )
        names=(services backends) argument=_natspread_names
        ;;
    behind:rollback)
        flags+=(
        '*--config-too[put the generation'\''s config back into the config file]'
        '*--yes[ask nothing: take the port of this ssh connection]'
        '*--overdue[only revert what is not confirmed in time, and wait for that: what the timer runs]'
        )
        names=(generations) argument=_natspread_names
        ;;
    behind:restore)
        flags+=(
        '*--wait=[wait for this DURATION for other natspreads and for iptables'\'' lock]:value:(60s 5m)'
        )
        ;;
    behind:status)
        flags+=(
        '*--all[show every service, listen address and finding, however many there are]'
        '*--watch[show it every 2 seconds until interrupted; a line a service where there is no terminal]'
        '*--prometheus=[write metrics for node_exporter'\''s textfile collector into FILE, in one step, and print nothing; - prints them]:file:_files'
        )
        names=(services) argument=_natspread_names
        ;;
    behind:health)
        flags+=(
        '*--once[check every backend once, print a table and change nothing; exits 1 where one is not well]'
        '*--prometheus=[write metrics for node_exporter'\''s textfile collector into FILE, every 15 seconds and at each change]:file:_files'
        )
        ;;
    behind:install)
        flags+=(
        '*--offline[the root is an image: also inside of it, in a chroot or a container]'
        '*--program=[for an image: copy FILE into it, a natspread that is built for its machine]:file:_files'
        '*--volatile[for an image whose /var begins empty at each boot: keep the generation below /usr]'
        '*--prometheus=[have metrics written into FILE: by health --prometheus, or by a timer where nothing is checked]:file:_files'
        )
        ;;
    behind:uninstall)
        flags+=(
        '*--offline[the root is an image: also inside of it, in a chroot or a container]'
        )
        ;;
    behind:completion)
        argument='(bash zsh fish)'
        ;;
    behind:man)
        argument='(natspread natspread.toml natspread-json)'
        ;;
    behind:help)
        _arguments -S $flags '1:verb:(init adopt edit check selftest render diff apply confirm drain undrain history rollback restore status doctor health stop install uninstall completion man version)'
        return
        ;;
    esac
    _arguments -S $flags "*:argument:$argument"
}

_natspread_names() {
    compadd "$@" -- ${(f)"$(_call_program names natspread completion $names 2>/dev/null)"}
}

_natspread "$@"
