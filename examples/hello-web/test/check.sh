#!/bin/sh
# Every page has a heading, its settings filled in, and links only to what is there.
set -eu
html=$1
failed=0

say() { echo "$1"; }
fail() { echo "FAILED $1" >&2; failed=1; }

for page in "$html"/*.html; do
  name=$(basename "$page")
  grep -q '<h2>' "$page" || fail "$name has no heading"
  ! grep -q '{{' "$page" || fail "$name has an empty place: $(grep -o '{{[a-z]*}}' "$page" | head -n 1)"
  for link in $(grep -o 'href="[^"]*\.html"' "$page" | cut -d '"' -f 2); do
    [ -e "$html/$link" ] || fail "$name links to $link, which is missing"
  done
  gunzip -c "$page.gz" | cmp -s - "$page" || fail "$name.gz is not $name"
  say "ok $name, $(wc -c < "$page") bytes, $(wc -c < "$page.gz") compressed"
done
exit "$failed"
