"""The rules for which compilers and analysers read the code."""
import concurrent.futures
import functools
import glob
import json
import os
import re
import shlex
import shutil
import subprocess

TIDY_CONFIG = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', '.clang-tidy')
FLAGS = ['-std=gnu11', '-D_GNU_SOURCE', '-DVGPU_VERSION="0"', '-Wall', '-Wextra', '-Wno-unused-parameter']
DIAGNOSTIC = re.compile(r'^(.+?):(\d+):\d+: (?:fatal )?(?:error|warning|style|performance|portability): '
                        r'(.*?)(?: \[([\w.,-]+)\])?$')
DROPPED_WITH_VALUE = ('-o', '-MF', '-MQ', '-MT')
DROPPED = ('-c', '-MD', '-MMD')
CPPCHECK_SUPPRESSED = (
    'missingIncludeSystem', 'missingInclude', 'unusedFunction', 'unmatchedSuppression', 'toomanyconfigs',
    'normalCheckLevelMaxBranches', 'checkersReport', 'preprocessorErrorDirective', 'unknownMacro',
    # Two that contradict the rules here: parameters of callbacks, and fields read through shared memory.
    'constParameterCallback', 'unusedStructMember',
    # Wrong about arrays that are filled to a count; the compilers judge this better.
    'uninitvar',
    # Does not see the attribute that frees a local; the sanitizer's runs judge leaks.
    'memleak',
    # Takes a table for a program, whatever the including file defines before.
    'syntaxError:*.def',
)


class NotHere(Exception):
    """A program that a rule needs is not on this machine, or there is no build."""


def need(program):
    if not shutil.which(program):
        raise NotHere(f"'{program}' is not here")
    return program


def in_parallel(function, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))


def output_of(command, cwd):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace').stdout


def commands(tree):
    """(path, flags) of each C file that is compiled: as the build does, or plainly without one."""
    if not tree.build:
        return [(source.path, FLAGS + ['-Isrc', '-Itests'])
                for source in tree.sources if source.path.endswith('.c')]
    listing = os.path.join(tree.build, 'compile_commands.json')
    if not os.path.exists(listing):
        raise NotHere(f"no '{listing}': run make first")
    result = {}
    with open(listing) as file:
        for entry in json.load(file):
            path = os.path.relpath(os.path.join(entry['directory'], entry['file']), tree.root)
            if not path.startswith('../') and not path.startswith('build'):
                result.setdefault(path, flags_of(entry, tree.root))
    return sorted(result.items())


def flags_of(entry, root):
    words = shlex.split(entry['command'])[1:]
    flags = []
    while words:
        word = words.pop(0)
        if word in DROPPED_WITH_VALUE:
            words.pop(0)
        elif word.startswith('-I'):
            flags.append('-I' + os.path.join(entry['directory'], word[2:]))
        elif word not in DROPPED and not word.endswith('.c'):
            flags.append(word)
    return flags


def diagnostics(tree, output):
    for line in output.splitlines():
        found = DIAGNOSTIC.match(line)
        if found:
            path = os.path.relpath(os.path.join(tree.root, found.group(1)), tree.root)
            yield path, int(found.group(2)), found.group(3), found.group(4) or ''


@functools.lru_cache(maxsize=None)
def clang_says(tree):
    """Every warning of clang over the tree, once."""
    need('clang')

    def one(item):
        path, flags = item
        return output_of(['clang', '-fsyntax-only', '-fno-color-diagnostics', '-Wno-unknown-warning-option',
                          '-Watomic-implicit-seq-cst', *[flag for flag in flags if flag != '-Werror'],
                          path], tree.root)

    found = set()
    for output in in_parallel(one, commands(tree)):
        found.update(diagnostics(tree, output))
    return sorted(found)


def clang_warnings(tree):
    for path, line, words, tag in clang_says(tree):
        if 'atomic-implicit-seq-cst' not in tag:
            yield path, line, f'{words} ({tag})'


def plain_atomics(tree):
    for path, line, words, tag in clang_says(tree):
        if 'atomic-implicit-seq-cst' in tag:
            yield path, line, 'a plain access to an _Atomic: use utils/atomics.h'


def header_alone(tree):
    need('gcc')
    folders = sorted({os.path.dirname(path) for path in generated_headers(tree)})
    includes = ['-Isrc', '-Itests'] + [f'-I{folder}' for folder in folders]

    def one(path):
        # Through a file of its own, for which "#pragma once" is right.
        command = ['gcc', *FLAGS, '-Werror', *includes, '-fsyntax-only', '-x', 'c', '-include', path,
                   '/dev/null']
        return path, output_of(command, tree.root)

    for path, output in in_parallel(one, tree.headers()):
        lines = [line for line in output.splitlines() if 'error' in line]
        if lines:
            yield path, 1, f'does not compile alone: {lines[0]}'


def generated_headers(tree):
    if not tree.build:
        return []
    # The sysroot of the cross build lies there too, with headers of another machine's kernel.
    return [path for path in glob.glob(f'{tree.build}/**/*.h', recursive=True)
            if '/stage/' not in path and '/sysroot-' not in path]


def formatting(tree):
    program = shutil.which('clang-format-14') or need('clang-format')
    if ' 14.' not in output_of([program, '--version'], tree.root):
        raise NotHere('clang-format 14 is not here')
    paths = [source.path for source in tree.sources]
    # One process a few files: a whole list in one would end at the first that cannot be read.
    for output in in_parallel(lambda path: output_of([program, '--dry-run', '-style=file', path],
                                                     tree.root), paths):
        for path, line, _, _ in list(diagnostics(tree, output))[:1]:
            yield path, line, 'is not laid out as `make format` does'


def cppcheck(tree):
    need('cppcheck')
    suppressed = [f'--suppress={name}' for name in CPPCHECK_SUPPRESSED]
    output = output_of(['cppcheck', '--quiet', '-j', str(os.cpu_count() or 1), '--std=c11', '-D_GNU_SOURCE',
                        '-D__x86_64__', '--enable=warning,performance,portability', '--inline-suppr',
                        '--template={file}:{line}:{column}: {severity}: {message} [{id}]',
                        *suppressed, '-Isrc', 'src'], tree.root)
    for path, line, words, tag in diagnostics(tree, output):
        yield path, line, f'{words} ({tag})'


def clang_tidy(tree):
    need('clang-tidy')

    def one(item):
        path, flags = item
        return output_of(['clang-tidy', '--quiet', f'--config-file={TIDY_CONFIG}', path, '--', '-Wno-unknown-warning-option', *flags],
                         tree.root)

    found = set()
    wanted = [item for item in commands(tree) if item[0].startswith('src/')]
    for output in in_parallel(one, wanted):
        found.update(diagnostics(tree, output))
    for path, line, words, tag in sorted(found):
        if 'clang-diagnostic' not in tag:
            yield path, line, f'{words} ({tag})'


def shell_scripts(tree):
    need('shellcheck')
    scripts = [path for pattern in ('tools/*', 'tests/*/*.sh', '.ci/run')
               for path in glob.glob(os.path.join(tree.root, pattern)) if is_shell(path)]
    if not scripts:
        return
    # Not followed sources; loops that count; numbers of processes, which lib.sh assigns through eval.
    output = output_of(['shellcheck', '-f', 'gcc', '-S', 'warning', '-x', '-P', 'SCRIPTDIR',
                        '-e', 'SC1091,SC2034,SC2154', *scripts], tree.root)
    for path, line, words, tag in diagnostics(tree, output):
        yield path, line, f'{words} ({tag})'


def is_shell(path):
    if not os.path.isfile(path):
        return False
    with open(path, 'rb') as file:
        first = file.readline(80)
    return path.endswith('.sh') or (first.startswith(b'#!') and first.rstrip().endswith(b'sh'))


RULES = [header_alone, formatting, clang_warnings, plain_atomics, cppcheck, clang_tidy, shell_scripts]
