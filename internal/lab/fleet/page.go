package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// The texts of the page, by their first lines.
const (
	configText     = "/etc/natspread/natspread.toml"
	sysctlText     = "/etc/sysctl.d/60-fleet.conf"
	pairText       = "l1: /etc/keepalived/keepalived.conf"
	snatPairText   = "l1: /etc/keepalived/keepalived.conf, with conntrackd"
	gatewaysText   = "l1: /etc/keepalived/keepalived.conf, behind a router"
	conntrackdText = "l1: /etc/conntrackd/conntrackd.conf"
	notifyText     = "/etc/conntrackd/notify.sh"
	birdText       = "l1: /etc/bird/bird.conf"
	birdRouterText = "router: /etc/bird/bird.conf"
	frrText        = "l1: /etc/frr/frr.conf"
	frrRouterText  = "router: /etc/frr/frr.conf"
	wayBackText    = "each backend: the way back"
	staticText     = "router: without a routing daemon"
	deadText       = "router: l2 is dead"
	hashText       = "router: /etc/sysctl.d/60-fleet.conf, before a second router"
	beyondText     = "second router: without a routing daemon"
	beyondDeadText = "second router: l2 is dead"
	playbookText   = "fleet.yml"
)

// pageTexts are all of them.
func pageTexts() []string {
	return []string{
		configText, sysctlText, pairText, snatPairText, gatewaysText, conntrackdText, notifyText, birdText, birdRouterText,
		frrText, frrRouterText, wayBackText, staticText, deadText, hashText, beyondText, beyondDeadText, playbookText,
	}
}

// fenced is a block whose first line is a comment that names it; a script's is the second one.
var fenced = regexp.MustCompile("(?ms)^```[a-z]+\n((?:#!/bin/sh\n)?# (.*?)\n.*?)^```$")

// readPage returns the texts of a page.
func readPage(path string) (map[string]string, error) {
	page, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, match := range fenced.FindAllStringSubmatch(string(page), -1) {
		texts[match[2]] = match[1]
	}
	for _, name := range pageTexts() {
		if texts[name] == "" {
			return nil, fmt.Errorf("%s has no text %q", path, name)
		}
	}
	return texts, nil
}

// of returns a text for a balancer, from 1: the page shows that of l1, and says in what the
// others differ.
func of(text string, balancer int) string {
	n := fmt.Sprint(balancer)
	pairs := []string{"l1", "l" + n, "192.0.2.11", "192.0.2.1" + n, "65001", "6500" + n}
	switch balancer { // the priorities of the three gateways move on by one
	case 2:
		pairs = append(pairs, "priority 150", "priority 140", "priority 200", "priority 140", "priority 130", "priority 200", "priority 140", "priority 130",
			"10.255.0.1", "10.255.0.2", "10.255.0.2", "10.255.0.1")
	case 3:
		pairs = append(pairs, "priority 200", "priority 130", "priority 130", "priority 140", "priority 140", "priority 200")
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
