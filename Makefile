# What a person types, and what .ci/run types too. Longer work is a script in
# .ci or a program in internal.

PREFIX  ?= /usr/local
DESTDIR ?=
VERSION ?=
INTO     = $(DESTDIR)$(PREFIX)
UNITS    = $(INTO)/lib/systemd/system
ZSHDIR  ?= site-functions

# What stands beside natspread.service.
BESIDE = natspread-health.service natspread-metrics.service natspread-metrics.timer nftables.service.d/natspread.conf

# Nothing of the machine or the day goes into the program, so that two builds of
# the same source by the same Go are the same bytes.
STATIC  = CGO_ENABLED=0 go build -tags urfave_cli_no_docs -trimpath -buildvcs=false
LDFLAGS = -s -w -buildid=$(if $(VERSION), -X main.buildVersion=$(VERSION))

# Where go.dev's installer puts Go, and what Debian gives to no ordinary user.
export PATH := $(PATH):/usr/local/go/bin:/usr/local/sbin:/usr/sbin:/sbin

.PHONY: help build test lint bench bench-net fuzz demo install uninstall man completions deb apt-repo deb-test boot-test boots image-test crash-test kill-test health-test fleet-test fleet-quick fleet-table soak vm-test clean

help: ## list these targets
	@awk -F ': .*## ' '/^[a-z-]+:.* ## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## bin/natspread, one static program (VERSION=1.2.3 names it; ARCH=arm64 makes bin/natspread-arm64)
	@.ci/need go
	$(if $(ARCH),GOARCH=$(ARCH) )$(STATIC) -ldflags '$(LDFLAGS)' -o bin/natspread$(addprefix -,$(ARCH)) ./cmd/natspread

test: ## install what the tests need, run them all, count and print the skips
	@.ci/test

lint: ## gofmt -s, go vet, staticcheck with all checks, go mod tidy -diff
	@.ci/lint

bench: build ## every benchmark, each ratio measured side by side
	@.ci/bench

bench-net: ## what a connection costs, beside HAProxy, nginx, nftables and others' rules (ROUNDS=11)
	@.ci/bench-net

fuzz: ## each fuzz target for FUZZTIME (5s)
	@.ci/fuzz

demo: build ## watch shares, affinity, a dead backend, a trial, a reboot and a takeover, in namespaces
	@.ci/need iptables iproute2
	@go run ./internal/lab/demo bin/natspread

install: build man ## program, units, manual, completions and the schemas into DESTDIR, below PREFIX (/usr/local)
	install -D -m 0755 bin/natspread $(INTO)/sbin/natspread
	install -D -m 0644 docs/natspread.toml.schema.json $(INTO)/share/natspread/natspread.toml.schema.json
	install -D -m 0644 docs/json.schema.json $(INTO)/share/natspread/json.schema.json
	install -D -m 0644 bin/man/natspread.8 $(INTO)/share/man/man8/natspread.8
	install -D -m 0644 bin/man/natspread.toml.5 $(INTO)/share/man/man5/natspread.toml.5
	install -D -m 0644 bin/man/natspread-json.5 $(INTO)/share/man/man5/natspread-json.5
	install -D -m 0644 internal/completion/scripts/natspread.bash $(INTO)/share/bash-completion/completions/natspread
	install -D -m 0644 internal/completion/scripts/natspread.zsh $(INTO)/share/zsh/$(ZSHDIR)/_natspread
	install -D -m 0644 internal/completion/scripts/natspread.fish $(INTO)/share/fish/vendor_completions.d/natspread.fish
	install -d -m 0755 $(UNITS)/nftables.service.d
	GOOS= GOARCH= go run ./units/print $(PREFIX)/sbin/natspread > $(UNITS)/natspread.service
	for file in $(BESIDE); do GOOS= GOARCH= go run ./units/print $(PREFIX)/sbin/natspread $$file > $(UNITS)/$$file || exit; done

uninstall: ## take away what make install wrote; natspread uninstall before it stops and disables the units
	rm -f $(INTO)/sbin/natspread $(INTO)/share/man/man8/natspread.8 $(INTO)/share/man/man5/natspread.toml.5 $(INTO)/share/man/man5/natspread-json.5
	rm -f $(INTO)/share/bash-completion/completions/natspread $(INTO)/share/zsh/$(ZSHDIR)/_natspread $(INTO)/share/fish/vendor_completions.d/natspread.fish
	rm -f $(UNITS)/natspread.service $(addprefix $(UNITS)/,$(BESIDE))
	rm -rf $(INTO)/share/natspread
	[ ! -d $(UNITS)/nftables.service.d ] || rmdir --ignore-fail-on-non-empty $(UNITS)/nftables.service.d

man: bin/man/natspread.8 bin/man/natspread.toml.5 bin/man/natspread-json.5 ## bin/man, from docs/man

# The writer of roff leaves blocks of code where the words begin.
bin/man/%: docs/man/%.md
	@mkdir -p bin/man
	GOOS= GOARCH= go run github.com/cpuguy83/go-md2man/v2 -in $< -out $@
	@sed -i -e 's/^\.EX$$/.RS 4\n.EX/' -e 's/^\.EE$$/.EE\n.RE/' $@

completions: ## for bash, zsh and fish, anew from the command tree
	go test ./cmd/natspread -run '^TestCompletions$$' -update

deb: ## bin/natspread_VERSION_ARCH.deb (ARCH=arm64 builds for another machine)
	@ARCH=$(ARCH) .ci/deb bin

apt-repo: ## an apt repository in DIR, with the package for amd64 and arm64 (KEY=ID: gpg signs it)
	@KEY='$(KEY)' .ci/apt-repo '$(DIR)'

deb-test: ## the package: built twice, linted, installed and removed in a chroot
	@.ci/deb-test

boot-test: ## the package in a Debian that is really booted, killed, damaged and flushed
	@.ci/need go dpkg-dev debhelper debootstrap systemd-container iproute2 apt-utils gpg gpg-agent
	@internal/lab/boot/container

boots: ## boot that Debian BOOTS times (50) with each variant; each boot must load the rules
	@.ci/need go dpkg-dev debhelper debootstrap systemd-container iproute2
	@BOOTS='$(BOOTS)' internal/lab/boot/container boots

image-test: ## the recipes for images and for OpenRC, as docs says them: each is built and boots
	@.ci/need go dpkg-dev debhelper debootstrap mmdebstrap buildah live-build systemd-container iproute2
	@internal/lab/boot/container mmdebstrap recipes openrc

crash-test: ## power cuts under apply, on a real ext4 and xfs
	@.ci/need go iptables e2fsprogs xfsprogs
	@internal/lab/boot/powercut

kill-test: ## killed at each system call that changes something (a sample: BUDGET=2m SEED=1)
	@.ci/kill-test

health-test: ## backends that die under connections, in four ways: what natspread health makes of it
	@.ci/health-test

fleet-test: ## balancers that die under connections, by keepalived, BIRD, FRR and conntrackd
	@.ci/fleet-test -set test

fleet-quick: ## of these a pair, balancers behind a router, and what must lose
	@.ci/fleet-test -set quick

fleet-table: ## every row of docs/fleet.md, and how many connections a change of the pool moves
	@.ci/fleet-test -table
	@go run ./internal/lab/disruption

soak: build ## a thousand applies by each variant while connections are made (APPLIES=1000)
	@.ci/need iptables iproute2
	@for variant in nft legacy; do go run ./internal/lab/demo -applies $(or $(APPLIES),1000) -variant $$variant bin/natspread || exit 1; done

vm-test: ## a virtual machine with Debian's kernel: modules at boot, and power cuts
	@.ci/need go dpkg-dev debhelper debootstrap qemu-system-x86 e2fsprogs iproute2
	@internal/lab/boot/vm

clean: ## take away what was built here
	rm -rf bin
