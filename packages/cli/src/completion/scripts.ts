/** A script that makes a shell ask `slipway __complete` when somebody presses Tab after `program`. */
export const SCRIPTS: Readonly<Record<string, (program: string, executable: string) => string>> = { bash, zsh, fish };

/** A line that ends the answer: the shell shall offer files. */
export const FILES = ":files";

/*
 * Bash cuts words at ':' and '=' and replaces only the last piece; so the line is sent whole, and of each candidate
 * what stands before that piece is cut off again.
 */
function bash(program: string, executable: string): string {
  const name = functionName(program);
  return `# bash completion of ${program}: source <(${program} completion bash)
${name}() {
    local line="\${COMP_LINE:0:COMP_POINT}" last="\${COMP_WORDS[COMP_CWORD]}" current prefix candidate
    current="\${line##*[[:space:]]}"
    case "$last" in :|=) last= ;; esac
    prefix="\${current%"$last"}"
    COMPREPLY=()
    while IFS= read -r candidate; do
        if [ "$candidate" = ${FILES} ]; then
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$last")
            return
        fi
        candidate="\${candidate%%$'\\t'*}"
        case "$candidate" in *[:=,]) compopt -o nospace 2>/dev/null ;; esac
        COMPREPLY+=("\${candidate#"$prefix"}")
    done < <(${executable} __complete --line "$line" 2>/dev/null)
}
complete -F ${name} ${program}
`;
}

function zsh(program: string, executable: string): string {
  const name = functionName(program);
  return `#compdef ${program}
# zsh completion of ${program}: source <(${program} completion zsh)
${name}() {
    local -a lines words_of meanings
    local line word
    lines=("\${(@f)$(${executable} __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
    for line in "\${lines[@]}"; do
        [[ -z "$line" ]] && continue
        if [[ "$line" == ${FILES} ]]; then
            _files
            return
        fi
        word="\${line%%$'\\t'*}"
        words_of+=("$word")
        if [[ "$line" == *$'\\t'* ]]; then meanings+=("$word -- \${line#*$'\\t'}"); else meanings+=("$word"); fi
    done
    compadd -l -d meanings -a -- words_of
}
compdef ${name} ${program}
`;
}

function fish(program: string, executable: string): string {
  const name = functionName(program);
  return `# fish completion of ${program}: ${program} completion fish | source
function ${name}
    set -l typed (commandline -opc)[2..]
    set -l current (commandline -ct)
    for line in (${executable} __complete -- $typed "$current" 2>/dev/null)
        if test "$line" = ${FILES}
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c ${program} -e
complete -c ${program} -f -a '(${name})'
`;
}

function functionName(program: string): string {
  return `_${program.replace(/[^A-Za-z0-9]/g, "_")}_complete`;
}
