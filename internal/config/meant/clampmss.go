package meant

import (
	"fmt"
	"strconv"
	"strings"

	"natspread/internal/config/field"
)

// SegmentFix is the fix for a number of bytes of clamp_mss that is out of bounds. 0 and 1 are other
// programs' words for false and true.
func SegmentFix(n, least, most int) string {
	if on, known := field.Switch(strconv.Itoa(n)); known {
		return fmt.Sprintf("write clamp_mss = %t", on)
	}
	return fmt.Sprintf("write clamp_mss = %d", min(max(n, least), most))
}

// ClampFix is the fix for a value of clamp_mss that is none.
func ClampFix(text string, least, most int) string {
	number, _, _ := strings.Cut(strings.TrimSpace(text), " ") // and not its unit
	if n, err := strconv.ParseFloat(strings.TrimRight(number, "bBytes"), 64); err == nil {
		return SegmentFix(int(min(max(n, 0), float64(most))), least, most)
	}
	if on, known := field.Switch(text); known {
		return fmt.Sprintf("write clamp_mss = %t", on)
	}
	return "write clamp_mss = true, or the number of bytes that a segment may have, as in clamp_mss = 1260"
}
