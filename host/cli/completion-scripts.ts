/**
 * The shells' side of completion: each script hands the words to `rosetta-vm __complete` and offers what that prints,
 * a candidate and its description a line, or `:file` or `:directory` where the shell completes paths.
 */

export type Shell = 'bash' | 'zsh' | 'fish';

/** Bash 3.2 (macOS) has neither mapfile nor compopt. */
const BASH = `# bash completion of rosetta-vm
_rosetta_vm() {
  local current="\${COMP_WORDS[COMP_CWORD]}" line
  COMPREPLY=()
  while IFS= read -r line; do
    case "$line" in
      :file | :directory)
        compopt -o filenames 2>/dev/null
        local action=-f path
        [ "$line" = :directory ] && action=-d
        while IFS= read -r path; do COMPREPLY+=("$path"); done < <(compgen "$action" -- "$current")
        ;;
      *) COMPREPLY+=("\${line%%$'\\t'*}") ;;
    esac
  done < <("\${COMP_WORDS[0]}" __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _rosetta_vm rosetta-vm
`;

/** Works sourced and as a file in fpath: zsh then calls the file's own function. */
const ZSH = `#compdef rosetta-vm
_rosetta_vm() {
  local line
  local -a candidates
  while IFS= read -r line; do
    case "$line" in
      :file) _files; return ;;
      :directory) _files -/; return ;;
      *) candidates+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}") ;;
    esac
  done < <("\${words[1]}" __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)
  _describe -V rosetta-vm candidates
}
if [ "\${funcstack[1]}" = _rosetta_vm ]; then
  _rosetta_vm
else
  compdef _rosetta_vm rosetta-vm
fi
`;

const FISH = `# fish completion of rosetta-vm
function __rosetta_vm_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    for line in ($words[1] __complete -- $words[2..-1] "$current" 2>/dev/null)
        switch $line
            case :file
                __fish_complete_path "$current"
            case :directory
                __fish_complete_directories "$current"
            case '*'
                echo $line
        end
    end
end
complete -c rosetta-vm -f -a '(__rosetta_vm_complete)'
`;

export function completionScript(shell: Shell): string {
  return { bash: BASH, zsh: ZSH, fish: FISH }[shell];
}
