# For tests that are to show that they can fail: builds of natspread in which one line was
# changed. Sourced in the module's root, where $work is a directory.

# build builds a static program, which also runs where only its own mounts are.
build() { CGO_ENABLED=0 go build -trimpath -buildvcs=false "$@"; }

# spoil builds natspread with one line of a file changed, in a copy.
spoil() { # spoil NAME FILE SED
  sed "$3" "$2" >"$work/$1.go"
  ! cmp -s "$2" "$work/$1.go" || { echo "cannot spoil $2: it is not as it was: $3" >&2; return 1; }
  printf '{"Replace": {"%s": "%s"}}\n' "$PWD/$2" "$work/$1.go" >"$work/$1.json"
  build -overlay "$work/$1.json" -o "$work/$1" ./cmd/natspread
}
