# fish completion for natspread(8), written by make completions from the command tree.

function __natspread_verb
    set -l value false
    for word in (commandline -opc)[2..]
        if $value
            set value false
        else if contains -- $word --config --root --variant --color --listen --backend --snat -o --explain --in --from --saved --confirm --wait --prometheus --program
            set value true
        else if not string match -q -- '-*' $word
            test "$word" = "$argv"
            return
        end
    end
    test -z "$argv"
end

complete -c natspread -f
complete -c natspread -n "__natspread_verb ''" -a init -d 'write a commented config, from flags or as an example'
complete -c natspread -n "__natspread_verb ''" -a edit -d 'edit a copy of the config, check it, and apply it'
complete -c natspread -n "__natspread_verb ''" -a check -d 'check the config and prove its rules; changes nothing'
complete -c natspread -n "__natspread_verb ''" -a selftest -d 'try the config with real connections, in network namespaces of its own'
complete -c natspread -n "__natspread_verb ''" -a render -d 'print the rules as iptables-restore takes them'
complete -c natspread -n "__natspread_verb ''" -a diff -d 'compare the kernel\'s rules with what the config wants'
complete -c natspread -n "__natspread_verb ''" -a apply -d 'load the config\'s rules now and at every boot'
complete -c natspread -n "__natspread_verb ''" -a confirm -d 'keep what apply --confirm loaded'
complete -c natspread -n "__natspread_verb ''" -a drain -d 'give a backend no new connections, and wait for its last'
complete -c natspread -n "__natspread_verb ''" -a undrain -d 'give a drained backend new connections again'
complete -c natspread -n "__natspread_verb ''" -a history -d 'list the generations, the newest first'
complete -c natspread -n "__natspread_verb ''" -a rollback -d 'apply an older generation again'
complete -c natspread -n "__natspread_verb ''" -a restore -d 'load the current generation: what the unit runs at boot'
complete -c natspread -n "__natspread_verb ''" -a status -d 'show services, shares, and whether the kernel is in sync'
complete -c natspread -n "__natspread_verb ''" -a doctor -d 'find what on this host keeps the balancer from working'
complete -c natspread -n "__natspread_verb ''" -a health -d 'check the backends, and take those that are down out'
complete -c natspread -n "__natspread_verb ''" -a stop -d 'take natspread\'s rules out of the kernel'
complete -c natspread -n "__natspread_verb ''" -a install -d 'apply, and have it restored at every boot'
complete -c natspread -n "__natspread_verb ''" -a uninstall -d 'stop and disable the unit and remove it'
complete -c natspread -n "__natspread_verb ''" -a version -d 'print the version'
complete -c natspread -n "__natspread_verb ''" -a help -d 'print the help, or that of a verb'
complete -c natspread -l config -r -F -d 'read the config from FILE; - is standard input'
complete -c natspread -l root -x -a '(__fish_complete_directories (commandline -ct | string replace -r "^-[^=]*=" ""))' -d 'for images: keep every file below DIR, and change no running kernel'
complete -c natspread -l live -d 'change the running kernel, also with another --root, or in a chroot'
complete -c natspread -l variant -x -a 'auto nft legacy' -d 'use this VARIANT of iptables: auto, nft or legacy'
complete -c natspread -l json -d 'print the result as JSON on standard output'
complete -c natspread -l quiet -s q -d 'say nothing but errors'
complete -c natspread -l verbose -s v -d 'say each program that is run, too'
complete -c natspread -l color -x -a 'auto always never' -d 'use colors: WHEN is auto, always or never'
complete -c natspread -l help -s h -d 'print the help'
complete -c natspread -n '__natspread_verb init' -l listen -x -d 'listen on ADDRESS:PORT; may be given again'
complete -c natspread -n '__natspread_verb init' -l backend -x -d 'send connections to ADDRESS:PORT; may be given again'
complete -c natspread -n '__natspread_verb init' -l snat -x -a 'masquerade none' -d 'rewrite the source: masquerade, none or an ADDRESS'
complete -c natspread -n '__natspread_verb edit' -l yes -d 'ask nothing: apply a good copy, and keep a wrong one'
complete -c natspread -n '__natspread_verb render' -s 4 -d 'print IPv4'
complete -c natspread -n '__natspread_verb render' -s 6 -d 'print IPv6'
complete -c natspread -n '__natspread_verb render' -l filter -d 'print the part of the filter table instead of the nat table'
complete -c natspread -n '__natspread_verb render' -s o -x -a '(__fish_complete_directories (commandline -ct | string replace -r "^-[^=]*=" ""))' -d 'write rules.v4 and rules.v6 into DIR, which must exist, instead; and filter.v4 and filter.v6, where there are such rules'
complete -c natspread -n '__natspread_verb render' -l explain -x -d 'follow a connection to ADDRESS:PORT through the rules, by -v on every path; behind the port may stand /udp or /sctp'
complete -c natspread -n '__natspread_verb render' -l in -x -d 'explain what comes in by this INTERFACE'
complete -c natspread -n '__natspread_verb render' -l from -x -d 'explain what comes from the client at SOURCE'
complete -c natspread -n '__natspread_verb render' -l dot -d 'print the chains as a graph for Graphviz'
complete -c natspread -n '__natspread_verb render' -l svg -d 'print the chains as a picture, drawn by Graphviz'
complete -c natspread -n '__natspread_verb diff' -s 4 -d 'compare only IPv4'
complete -c natspread -n '__natspread_verb diff' -s 6 -d 'compare only IPv6'
complete -c natspread -n '__natspread_verb diff' -l saved -r -F -d 'compare with this FILE of iptables-save; - is standard input'
complete -c natspread -n '__natspread_verb apply' -l dry-run -d 'check, prove, and show what would change, but write and load nothing'
complete -c natspread -n '__natspread_verb apply' -l confirm -x -a '60s 5m' -d 'revert it after this DURATION, such as 60s, unless natspread confirm keeps it'
complete -c natspread -n '__natspread_verb apply' -l exclusive -d 'replace the whole nat table, everyone else\'s rules too, after listing them'
complete -c natspread -n '__natspread_verb apply' -l yes -d 'ask nothing: remove what --exclusive lists, and take the port of this ssh connection'
complete -c natspread -n '__natspread_verb drain' -l wait -x -a '60s 5m' -d 'wait for this DURATION until no connection is left there; exit 1 if one is'
complete -c natspread -n '__natspread_verb drain' -l now -d 'end its connections at once: UDP moves to another backend, TCP is reset'
complete -c natspread -n '__natspread_verb drain' -l keep-one -d 'refuse to drain the last backend of a service'
complete -c natspread -n '__natspread_verb drain' -l runtime -d 'only in what is loaded, until the next load of a generation or boot'
complete -c natspread -n '__natspread_verb undrain' -l runtime -d 'only in what is loaded, what drain --runtime drained'
complete -c natspread -n '__natspread_verb rollback' -l config-too -d 'put the generation\'s config back into the config file'
complete -c natspread -n '__natspread_verb rollback' -l yes -d 'ask nothing: take the port of this ssh connection'
complete -c natspread -n '__natspread_verb rollback' -l overdue -d 'only revert what is not confirmed in time, and wait for that: what the timer runs'
complete -c natspread -n '__natspread_verb restore' -l wait -x -a '60s 5m' -d 'wait for this DURATION for other natspreads and for iptables\' lock'
complete -c natspread -n '__natspread_verb status' -l all -d 'show every service, listen address and finding, however many there are'
complete -c natspread -n '__natspread_verb status' -l watch -d 'show it every 2 seconds until interrupted; a line a service where there is no terminal'
complete -c natspread -n '__natspread_verb status' -l prometheus -r -F -d 'write metrics for node_exporter\'s textfile collector into FILE, in one step, and print nothing; - prints them'
complete -c natspread -n '__natspread_verb health' -l once -d 'check every backend once, print a table and change nothing; exits 1 where one is not well'
complete -c natspread -n '__natspread_verb health' -l prometheus -r -F -d 'write metrics for node_exporter\'s textfile collector into FILE, every 15 seconds and at each change'
complete -c natspread -n '__natspread_verb install' -l offline -d 'the root is an image: also inside of it, in a chroot or a container'
complete -c natspread -n '__natspread_verb install' -l program -r -F -d 'for an image: copy FILE into it, a natspread that is built for its machine'
complete -c natspread -n '__natspread_verb install' -l volatile -d 'for an image whose /var begins empty at each boot: keep the generation below /usr'
complete -c natspread -n '__natspread_verb install' -l prometheus -r -F -d 'check backends, and have metrics written into FILE as health --prometheus does'
complete -c natspread -n '__natspread_verb uninstall' -l offline -d 'the root is an image: also inside of it, in a chroot or a container'
complete -c natspread -n '__natspread_verb help' -a 'init edit check selftest render diff apply confirm drain undrain history rollback restore status doctor health stop install uninstall version'
