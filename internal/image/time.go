package image

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// epochVariable is where builders of images say which time is to be written into files, in
// seconds since 1970: reproducible-builds.org.
const epochVariable = "SOURCE_DATE_EPOCH"

// BuildTime returns the time that the variable says, or now where it is not set.
func BuildTime(now time.Time) (time.Time, error) {
	value, found := os.LookupEnv(epochVariable)
	if !found {
		return now, nil
	}
	seconds, err := strconv.ParseUint(value, 10, 36)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s=%q: it must be a number of seconds since 1970", epochVariable, value)
	}
	return time.Unix(int64(seconds), 0), nil
}
