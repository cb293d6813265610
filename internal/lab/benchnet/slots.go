package main

import "fmt"

// slotted is a service whose clients keep their backends.
type slotted struct{ backends, slots int }

// bySource is the line of such a service.
func bySource(slots int) string { return fmt.Sprintf("algorithm = \"source\"\nslots = %d", slots) }

// crowdOf is the name of a figure of one service whose clients are many.
func crowdOf(layout string, backends int, variant string) string {
	return fmt.Sprintf("%s, 1 service of %d backends, crowd, %s", layout, backends, variant)
}

// nameSlots is the name of natspread's layout by slots.
func nameSlots(slots int) string { return fmt.Sprintf("%s by %d slots", nameOurs, slots) }

// slotProbes are the figures of services whose clients keep their backends, beside those that
// spread by chance, and beside a plain list of the most backends. Each connection is another
// client's, so that all slots have their part.
func slotProbes(variant string, size sizes) []probe {
	var probes []probe
	add := func(name string, all []service, rules func() ([]byte, error)) {
		p := asking(name, &layout{name, variant, rules}, all, all[len(all)-1])
		p.crowd = true
		probes = append(probes, p)
	}
	for _, one := range size.slotted {
		all := wide(one.backends)
		add(crowdOf(nameOurs, one.backends, variant), all, func() ([]byte, error) { return natspread(all) })
		add(crowdOf(nameSlots(one.slots), one.backends, variant), all, func() ([]byte, error) { return natspreadWith(all, bySource(one.slots)) })
	}
	most := wide(size.slotted[len(size.slotted)-1].backends)
	add(crowdOf(nameFlat, len(most[0].backends), variant), most, func() ([]byte, error) { return flat(most), nil })
	all := byAddress(size.slotServices)
	add(scale(nameOurs, size.slotServices, addresses, last+", crowd", variant), all, func() ([]byte, error) { return natspread(all) })
	for _, slots := range size.slots {
		add(scale(nameSlots(slots), size.slotServices, addresses, last+", crowd", variant), all, func() ([]byte, error) { return natspreadWith(all, bySource(slots)) })
	}
	return probes
}

// slotTargets prints the ratios that are wanted of them.
func slotTargets(f figures, variant string, size sizes) {
	for _, one := range size.slotted {
		f.ratio(crowdOf(nameSlots(one.slots), one.backends, variant), crowdOf(nameOurs, one.backends, variant), 1.15)
	}
	most := size.slotted[len(size.slotted)-1]
	f.ratio(crowdOf(nameSlots(most.slots), most.backends, variant), crowdOf(nameFlat, most.backends, variant), 0.85)
	for _, slots := range size.slots {
		f.ratio(scale(nameSlots(slots), size.slotServices, addresses, last+", crowd", variant),
			scale(nameOurs, size.slotServices, addresses, last+", crowd", variant), 1.1)
	}
}
