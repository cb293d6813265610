# Boots that find what they should load damaged in every way there is: the newest generation
# that is good is loaded, and the unit says why. Generation 1 is the article's second balancer.
machine
boot
prepare installs natspread.deb
prepare set_up two-backends
prepare set_up article
prepare keep
prepare same_rules
prepare systemctl enable netfilter-persistent.service
reboot
check "undamaged" rebooted article
check "netfilter-persistent loads its own file" persistent loaded

# damaged boots after a damage, and expects a reason: damaged HOW GENERATION REASON.
damaged() {
  prepare damage "$1"
  reboot
  if [[ $2 ]]; then check "$1: falls back to generation $2, and says: $3" fell_back "$2" "$3"; else
    check "$1: loads nothing, and says: $3" refused "$3"
  fi
}
damaged link-missing 2 'current is missing'
damaged link-to-nothing 2 'generation 99 is not good'
damaged link-elsewhere 2 'which is no generation'
damaged missing 1 'generation 2 is not good: .*rules.v4: no such file'
damaged empty 1 'rules.v4: .*empty'
prepare halve /etc/iptables/rules.v4
damaged cut 1 'rules.v4: .*cut'
check "cut: netfilter-persistent ends with exit code 0, and without rules" persistent none
prepare systemctl disable netfilter-persistent.service
damaged altered 1 'rules.v4: .*sha256'
damaged manifest-altered 1 'generation 2 is not good'
damaged owner 1 'rules.v4 belongs to user'
damaged mode 1 'rules.v4 may be written by'
damaged directory-owner 1 'generations/2 belongs to user'
damaged directory-mode 1 'generations/2 may be written by'
damaged link-inside 1 'rules.v4 is a link'
check "remove after a fallback: rules, forwarding and unit are gone" removed
check "installing again" installs natspread.deb
damaged every-one '' 'no good generation is left'
damaged all-gone '' 'no generation|no good generation'
prepare put_back
reboot
check "put back" rebooted article
