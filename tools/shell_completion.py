"""Write the files with which a shell completes ``zajil``: for bash, zsh and fish.

    python tools/shell_completion.py FOLDER

The files contain all commands and options, so completing starts no program. They are laid out as
the shells look for them below ``/usr/share``. A build of the package runs this.
"""

from __future__ import annotations

import sys
from pathlib import Path

from command_tree import CommandNode, Parameter, command_tree

_PLACES = {
    "bash-completion/completions/zajil": "bash",
    "zsh/vendor-completions/_zajil": "zsh",
    "fish/vendor_completions.d/zajil.fish": "fish",
}
_BASH_FILES = 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$cur")); return'
_BASH_WORDS = """COMPREPLY=($(compgen -W '{words}' -- "$cur")); return"""
_NOTE = "# Generated from the command line of Zajil; do not edit."


def completion_files() -> dict[str, str]:
    """Return the content of each file by its place below ``/usr/share``."""
    root = command_tree()
    made = {"bash": _bash(root), "zsh": _zsh(root), "fish": _fish(root)}
    return {place: made[shell] for place, shell in _PLACES.items()}


def write_completion_files(folder: Path) -> list[Path]:
    """Write all files below a folder; return them."""
    written = []
    for place, text in completion_files().items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def _bash(root: CommandNode) -> str:
    """Return a function that knows where it is by ``$at``, the words of the command so far."""
    return f"""{_NOTE}
_zajil() {{
    local cur=${{COMP_WORDS[COMP_CWORD]}} prev=${{COMP_WORDS[COMP_CWORD-1]}}
    local at=zajil word i commands= options= values=
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${{COMP_WORDS[i]}}
        case "$at $word" in
{_skip_and_enter(root, "((i++))")}
        esac
    done
    [[ $prev == = ]] && prev=${{COMP_WORDS[COMP_CWORD-2]}}
    [[ $cur == = ]] && prev=${{COMP_WORDS[COMP_CWORD-1]}} && cur=
    COMPREPLY=()
    case "$at $prev" in
{_value_cases(root, _BASH_FILES, _BASH_WORDS)}
    esac
    case "$at" in
{_word_cases(root)}
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ $values == FILES ]]; then
        compopt -o filenames
        COMPREPLY=($(compgen -f -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$commands $values" -- "$cur"))
    fi
}}
complete -F _zajil zajil
"""


def _zsh(root: CommandNode) -> str:
    described = []
    for node in root.walk():
        path = " ".join(node.path)
        if node.is_group:
            pairs = " ".join(_quote(f"{one.name}:{one.summary}") for one in node.commands)
            described.append(f"        {_quote(path)}) described=({pairs}) ;;")
    options = [
        f"        {_quote(' '.join(node.path))}) listed=({pairs}) ;;"
        for node in root.walk()
        if (
            pairs := " ".join(
                _quote(f"{name}:{one.help}") for one in _options(node) for name in one.spellings
            )
        )
    ]
    newline = "\n"
    return f"""#compdef zajil
{_NOTE}
_zajil() {{
    local at=zajil word commands= options= values= i
    local -a described listed
    for ((i = 2; i < CURRENT; i++)); do
        word=${{words[i]}}
        case "$at $word" in
{_skip_and_enter(root, "((i++))")}
        esac
    done
    case "$at ${{words[CURRENT-1]}}" in
{_value_cases(root, "_files; return", "compadd -- {words}; return")}
    esac
    case "$at" in
{newline.join(described)}
    esac
    case "$at" in
{newline.join(options)}
    esac
    case "$at" in
{_word_cases(root)}
    esac
    if [[ $PREFIX == -* ]]; then
        _describe -o option listed
    elif [[ $values == FILES ]]; then
        _files
    elif (( $#described )); then
        _describe command described
    elif [[ -n $values ]]; then
        compadd -- ${{=values}}
    fi
}}
_zajil "$@"
"""


def _fish(root: CommandNode) -> str:
    lines = [_NOTE, "function __zajil_at --description 'The command that is being completed'"]
    lines += ["    set -l at zajil", "    set -l skip 0"]
    lines += ["    for word in (commandline -opc)[2..-1]", "        if test $skip = 1"]
    lines += ["            set skip 0", "            continue", "        end"]
    lines += ['        switch "$at $word"']
    if valued := _valued(root):
        lines += [f"            case {' '.join(map(_quote, valued))}", "                set skip 1"]
    entered = [" ".join(one.path) for one in root.walk() if one is not root]
    lines += [f"            case {' '.join(map(_quote, entered))}"]
    lines += ['                set at "$at $word"', "        end", "    end"]
    lines += ['    test "$at" = "$argv"', "end", "complete -c zajil -f"]
    for node in root.walk():
        at = f"complete -c zajil -n {_quote('__zajil_at ' + ' '.join(node.path))}"
        for child in node.commands:
            lines.append(f"{at} -a {child.name} -d {_quote(child.summary)}")
        for one in node.parameters:
            lines += _fish_parameter(at, one)
    return "\n".join(lines) + "\n"


def _fish_parameter(at: str, one: Parameter) -> list[str]:
    wanted = f" -a {_quote(' '.join(one.choices))}" if one.choices else ""
    wanted = " -F" if one.is_path else wanted
    if one.is_argument:
        return [at + wanted] if wanted else []
    required = "" if one.value is None else " -r" if one.is_path else " -x"
    return [
        f"{at}{' -l ' if name.startswith('--') else ' -s '}{name.lstrip('-')}{required}{wanted} "
        f"-d {_quote(one.help)}"
        for name in one.spellings
    ]


def _skip_and_enter(root: CommandNode, skip: str) -> str:
    """Return the cases that step over the value of an option, and into a command."""
    entered = [" ".join(one.path) for one in root.walk() if one is not root]
    lines = [f"        {_pattern(_valued(root))}) {skip} ;;"]
    lines.append(f'        {_pattern(entered)}) at="$at $word" ;;')
    return "\n".join(lines)


def _value_cases(root: CommandNode, files: str, words: str) -> str:
    """Return the cases for the value of an option."""
    paths: list[str] = []
    chosen: dict[tuple[str, ...], list[str]] = {}
    others: list[str] = []
    for node in root.walk():
        for one in _options(node):
            if one.value is None:
                continue
            places = [f"{' '.join(node.path)} {name}" for name in one.spellings]
            if one.is_path:
                paths += places
            elif one.choices:
                chosen.setdefault(one.choices, []).extend(places)
            else:
                others += places
    lines = [f"    {_pattern(paths)}) {files} ;;"]
    for choices, places in chosen.items():
        lines.append(f"    {_pattern(places)}) {words.replace('{words}', ' '.join(choices))} ;;")
    return "\n".join([*lines, f"    {_pattern(others)}) return ;;"])


def _word_cases(root: CommandNode) -> str:
    """Return the cases that set ``commands``, ``options`` and ``values`` of a command."""
    lines = []
    for node in root.walk():
        sets = []
        if node.commands:
            sets.append(f'commands="{" ".join(one.name for one in node.commands)}"')
        names = [name for one in _options(node) for name in one.spellings]
        sets.append(f'options="{" ".join([*names, "--help"])}"')
        arguments = [one for one in node.parameters if one.is_argument]
        if any(one.is_path for one in arguments):
            sets.append("values=FILES")
        elif choices := " ".join(word for one in arguments for word in one.choices):
            sets.append(f'values="{choices}"')
        lines.append(f"    {_quote(' '.join(node.path))}) {'; '.join(sets)} ;;")
    return "\n".join(lines)


def _options(node: CommandNode) -> list[Parameter]:
    return [one for one in node.parameters if not one.is_argument]


def _valued(root: CommandNode) -> list[str]:
    """Return each option that takes a value, behind the words of its command."""
    return [
        f"{' '.join(node.path)} {name}"
        for node in root.walk()
        for one in _options(node)
        if one.value is not None
        for name in one.spellings
    ]


def _pattern(words: list[str]) -> str:
    return "|".join(map(_quote, words))


def _quote(text: str) -> str:
    """Return the text as one word of the three shells."""
    return "'" + text.replace("\\", "").replace("'", "’").replace("\n", " ") + "'"


def main() -> int:
    """Write the files; give the exit status."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    write_completion_files(Path(sys.argv[1]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
