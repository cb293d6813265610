# The texts that the pages of docs show, so that stories run what the pages say. Sourced by stories.
# shellcheck shell=bash disable=SC2154

# text prints a fenced text of a page by the comment in its first line, or behind #! in its second one: text PAGE NAME.
text() {
  awk -v want="# $2" '
    /^```/ { if (on) exit; fenced = !fenced; block = ""; line = 0; next }
    !fenced { next }
    { block = block $0 "\n"; line++ }
    line <= 2 && $0 == want { on = 1; printf "%s", block; next }
    on' "$here/../../../docs/$1"
}

# paste writes a text of a page to a file: paste PAGE NAME FILE.
paste() {
  mkdir -p "${3%/*}" && text "$1" "$2" >"$3"
  [[ -s $3 ]] || give_up "docs/$1 has no text $2"
}

# bring_program puts the package's program into a directory.
bring_program() { dpkg-deb --fsys-tarfile "$work/natspread.deb" | tar --extract --directory "$1" --strip-components=3 ./usr/sbin/natspread; }

# bring_config puts the config of the article into a directory.
bring_config() {
  mkdir -p "$1"
  awk '/^-- natspread.toml --$/ { on = 1; next } /^-- .* --$/ { on = 0 } on' "$here/../../../testdata/render/article.txtar" >"$1/natspread.toml"
}
