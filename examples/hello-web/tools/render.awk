# awk -v version=1.0 -v name=index -f render.awk site.conf template.html page.txt
# Pages are plain text: `# heading`, `- item`, `code`, paragraphs parted by blank lines.

FILENAME ~ /site\.conf$/ { if ($0 !~ /^#/ && (at = index($0, "="))) set[substr($0, 1, at - 1)] = substr($0, at + 1); next }
FILENAME ~ /template\.html$/ { template = template $0 "\n"; next }

/^# /   { close_block(); heading = escaped(substr($0, 3)); body = body "<h2>" heading "</h2>\n"; next }
/^- /   { if (block != "ul") { close_block(); block = "ul"; body = body "<ul>\n" }
          body = body "<li>" inline(substr($0, 3)) "</li>\n"; next }
/^ *$/  { close_block(); next }
        { if (block != "p") { close_block(); block = "p"; body = body "<p>" } else body = body " "
          body = body inline($0) }

END {
  close_block()
  if (heading == "") { print name ": a page needs a heading" > "/dev/stderr"; exit 1 }
  fill("title", escaped(set["title"])); fill("author", escaped(set["author"])); fill("version", escaped(version))
  fill("heading", heading); fill("body", body)
  printf "%s", template
}

function close_block() {
  if (block == "p") body = body "</p>\n"
  if (block == "ul") body = body "</ul>\n"
  block = ""
}

function escaped(text) { gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); return text }

function inline(text,   part, count, parts, out) {
  count = split(escaped(text), parts, "`")
  for (part = 1; part <= count; part++) out = out (part % 2 ? parts[part] : "<code>" parts[part] "</code>")
  return out
}

# Plain replacement: what is filled in may hold any character, also another mark.
function fill(key, value,   at, mark, out) {
  mark = "{{" key "}}"
  while (at = index(template, mark)) {
    out = out substr(template, 1, at - 1) value
    template = substr(template, at + length(mark))
  }
  template = out template
}
