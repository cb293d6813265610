# bash completion for natspread(8), written by make completions from the command tree.

_natspread() {
    local cur=${COMP_WORDS[COMP_CWORD]} flag='' verb='' word
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case $flag$word in
        *=) ;;
        *:) flag=: ;;
        *) if [[ $flag ]]; then
               flag=
           else
               case $word in
               --config|--root|--variant|--color|--listen|--backend|--snat|-o|--shares|--except|--confirm|--explain|--in|--from|--saved|--wait|--prometheus|--program) flag=$word ;;
               -*) ;;
               *) verb=${verb:-$word} ;;
               esac
           fi ;;
        esac
    done
    [[ $cur != = ]] || cur=

    COMPREPLY=()
    case "$verb $flag" in
    'render -o') _natspread_files -d ;;
    *' --config') _natspread_files -f ;;
    *' --root') _natspread_files -d ;;
    *' --variant') mapfile -t COMPREPLY < <(compgen -W 'auto nft legacy' -- "$cur") ;;
    *' --color') mapfile -t COMPREPLY < <(compgen -W 'auto always never' -- "$cur") ;;
    *' --listen') : ;;
    *' --backend') : ;;
    *' --snat') mapfile -t COMPREPLY < <(compgen -W 'masquerade none' -- "$cur") ;;
    *' -o') _natspread_files -f ;;
    *' --shares') mapfile -t COMPREPLY < <(compgen -W 'meant made kept' -- "$cur") ;;
    *' --except') : ;;
    *' --confirm') mapfile -t COMPREPLY < <(compgen -W '60s 5m' -- "$cur") ;;
    *' --explain') : ;;
    *' --in') : ;;
    *' --from') : ;;
    *' --saved') _natspread_files -f ;;
    *' --wait') mapfile -t COMPREPLY < <(compgen -W '60s 5m' -- "$cur") ;;
    *' --prometheus') _natspread_files -f ;;
    *' --program') _natspread_files -f ;;
    *' ') _natspread_words ;;
    esac
}

_natspread_files() {
    mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
    compopt -o filenames 2>/dev/null
}

_natspread_words() {
    local words='--config --root --live --variant --json --quiet -q --verbose -v --color --help -h'
    case $verb in
    '') [[ $cur == -* ]] || words='init adopt edit check selftest render diff apply confirm drain undrain history rollback restore status doctor health stop install uninstall completion man version help' ;;
    init) words+=' --listen --backend --snat' ;;
    adopt) words+=' -4 -6 -o --listen --shares --snat --except --apply --confirm --yes' ;;
    edit) words+=' --yes'
        [[ $cur == -* ]] || _natspread_names files ;;
    selftest)
        [[ $cur == -* ]] || _natspread_names services ;;
    render) words+=' -4 -6 --filter --mangle -o --explain --in --from --dot --svg' ;;
    diff) words+=' -4 -6 --saved'
        [[ $cur == -* ]] || _natspread_names generations ;;
    apply) words+=' --dry-run --confirm --exclusive --yes' ;;
    drain) words+=' --wait --now --keep-one --runtime'
        [[ $cur == -* ]] || _natspread_names services backends ;;
    undrain) words+=' --runtime'
        [[ $cur == -* ]] || _natspread_names services backends ;;
    rollback) words+=' --config-too --yes --overdue'
        [[ $cur == -* ]] || _natspread_names generations ;;
    restore) words+=' --wait' ;;
    status) words+=' --all --watch --prometheus'
        [[ $cur == -* ]] || _natspread_names services ;;
    health) words+=' --once --prometheus' ;;
    install) words+=' --offline --program --volatile --prometheus' ;;
    uninstall) words+=' --offline' ;;
    completion) [[ $cur == -* ]] || words='bash zsh fish' ;;
    man) [[ $cur == -* ]] || words='natspread natspread.toml natspread-json' ;;
    help) [[ $cur == -* ]] || words='init adopt edit check selftest render diff apply confirm drain undrain history rollback restore status doctor health stop install uninstall completion man version' ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

_natspread_names() {
    local typed=${COMP_LINE:0:COMP_POINT} before='' name
    typed=${typed##*[[:space:]]}
    if [[ $typed == *:* ]]; then
        before=${typed%:*}:
        cur=${typed##*:}
    fi
    words=''
    while IFS= read -r name; do
        [[ $name != "$before"* ]] || words+=" ${name#"$before"}"
    done < <(natspread completion "$@" 2>/dev/null)
}

complete -F _natspread natspread
