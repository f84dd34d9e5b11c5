"""The rules that reading the files is enough for. A rule is a function of a Tree that yields
(path, line, words); its name is what `tools/lint` and the examples in tests/lint call it."""
import collections
import os
import re

from lintlib.source import parameter_count

ALL = None
MAY_INCLUDE = {
    'abi': set(),
    'macro': set(),
    'utils': {'macro'},
    'erl': {'utils'},
    'k8s': {'utils'},
    'add-path': {'utils'},
    'bootstrap': {'utils'},
    'ipc': {'utils', 'erl'},
    'rm': {'abi', 'utils'},
    'sim': {'abi', 'macro', 'utils'},
    'supervisor': {'abi', 'macro', 'utils', 'erl', 'ipc', 'rm'},
    'cuda-limiter': {'abi', 'macro', 'utils', 'erl', 'ipc', 'rm'},
    'hypervisor': {'abi', 'macro', 'utils', 'erl', 'rm', 'ipc', 'supervisor', 'add-path', 'bootstrap',
                   'k8s'},
    'cli': {'abi', 'macro', 'utils', 'erl', 'rm', 'ipc', 'supervisor', 'add-path', 'bootstrap'},
}
FUNCTION_LINES = 60
FILE_LINES = 600
PARAMETERS = 5
NESTING = 3
COLUMNS = 100
# What the drivers define, and what has to look like it.
DRIVER_NAME = re.compile(r'^(cu[A-Z]|nvml[A-Z]|on_|__cu|mmap)')
FORBIDDEN = ('strcpy', 'strcat', 'strncpy', 'strncat', 'stpcpy', 'sprintf', 'vsprintf', 'gets', 'strtok',
             'atoi', 'atol', 'atoll', 'atof', 'alloca')
# A call that makes a descriptor, and what has to stand in it.
NEEDS_CLOEXEC = {
    'open': 'O_CLOEXEC', 'openat': 'O_CLOEXEC', 'open64': 'O_CLOEXEC', 'openat64': 'O_CLOEXEC',
    'socket': 'SOCK_CLOEXEC', 'socketpair': 'SOCK_CLOEXEC', 'accept4': 'SOCK_CLOEXEC',
    'pipe2': 'O_CLOEXEC', 'dup3': 'O_CLOEXEC', 'eventfd': 'EFD_CLOEXEC',
    'timerfd_create': 'TFD_CLOEXEC', 'memfd_create': 'MFD_CLOEXEC', 'epoll_create1': 'EPOLL_CLOEXEC',
    'inotify_init1': 'IN_CLOEXEC', 'signalfd': 'SFD_CLOEXEC', 'recvmsg': 'MSG_CMSG_CLOEXEC',
}
NEVER_CLOEXEC = ('pipe', 'dup', 'accept', 'creat', 'epoll_create', 'inotify_init', 'F_DUPFD')
CODE_IN_COMMENT = re.compile(
    r'^(?:return\b.*;|(?:if|for|while|switch) \(.*[{;]|[\w>.*\[\]-]+\([^ ].*\);|[\w>.*\[\]-]+\(\);'
    r'|(?:[\w*]+ )?[\w>.*\[\]-]+ [-+|&]?= [^=]*;|#(?:include|define|if|endif)\b.*|\} else .*\{)$')


def file_length(tree):
    for source in tree.sources:
        if len(source.lines) > FILE_LINES and not is_exempt(source):
            yield source.path, FILE_LINES, f'{len(source.lines)} lines, at most {FILE_LINES}'


def is_exempt(source):
    return source.path.endswith('.def') or source.component == 'abi'


def function_length(tree):
    for source in tree.sources:
        for function in source.functions:
            length = function.last_line - function.first_line + 1
            if length > FUNCTION_LINES:
                yield (source.path, function.first_line,
                       f"'{function.name}' has {length} lines, at most {FUNCTION_LINES}")


def function_parameters(tree):
    for source in tree.sources:
        if is_exempt(source):
            continue
        seen = [(function.name, function.parameters, function.first_line)
                for function in source.functions]
        for name, parameters, line in seen + list(source.prototypes()):
            count = parameter_count(parameters)
            if count > PARAMETERS and not DRIVER_NAME.match(name):
                yield source.path, line, f"'{name}' has {count} parameters, at most {PARAMETERS}"


def nesting(tree):
    for source in tree.sources:
        for function in source.functions:
            if function.nesting > NESTING:
                yield (source.path, function.first_line,
                       f"'{function.name}' nests {function.nesting} deep, at most {NESTING}")


def comment_style(tree):
    for source in tree.sources:
        for line, text in source.comments:
            if text.startswith('//'):
                yield source.path, line, "a '//' comment"


def commented_out_code(tree):
    for source in tree.sources:
        for line, text in source.comments:
            for number, words in enumerate(text.splitlines()):
                words = re.sub(r'^\s*/?\*+\s?|\s*\*/\s*$', '', words).strip()
                if CODE_IN_COMMENT.match(words):
                    yield source.path, line + number, f"code that is commented out: '{words}'"
        for line, text in source.directives:
            if re.match(r'\s*#\s*if\s+0\b', text):
                yield source.path, line, "code that is commented out: '#if 0'"


def to_do(tree):
    for source in tree.sources:
        for line, text in source.comments:
            if re.search(r'\b(TODO|FIXME|XXX|HACK)\b', text):
                yield source.path, line, 'a to-do: that is an issue, not a comment'


def extern_in_c(tree):
    for source in tree.sources:
        if source.path.endswith('.c'):
            for found in re.finditer(r'\bextern\b', source.code):
                yield source.path, source.line_of(found.start()), "'extern' in a .c"


def forbidden_functions(tree):
    call = re.compile(r'(?<![\w.>])(' + '|'.join(FORBIDDEN) + r')\s*\(')
    for source in tree.sources:
        for found in call.finditer(source.code):
            yield source.path, source.line_of(found.start()), f"'{found.group(1)}' is not used here"


def call_text(source, start):
    depth = 0
    for index in range(start, len(source.code)):
        depth += source.code[index] == '('
        depth -= source.code[index] == ')'
        if depth == 0 and source.code[index] == ')':
            return source.code[start:index + 1]
    return source.code[start:]


def close_on_exec(tree):
    """Only product code: a guest of the tests may be as careless as a real program."""
    making = re.compile(r'(?<![\w.>])(' + '|'.join(NEEDS_CLOEXEC) + r')(?=\s*\()')
    never = re.compile(r'(?<![\w.>])(' + '|'.join(NEVER_CLOEXEC[:-1]) + r')\s*\(|\bF_DUPFD\b')
    for source in tree.sources:
        if not source.path.startswith('src/') or not source.path.endswith('.c'):
            continue
        for found in making.finditer(source.code):
            line = source.line_of(found.start())
            if source.code[:found.start()].rstrip().endswith(('int', 'ssize_t', 'return_type')):
                continue  # the definition of a function of that name
            if NEEDS_CLOEXEC[found.group(1)] not in call_text(source, found.end()):
                yield source.path, line, f"'{found.group(1)}' without {NEEDS_CLOEXEC[found.group(1)]}"
        for found in never.finditer(source.code):
            before = source.code[:found.start()].rstrip()
            if not before.endswith('int'):
                line = source.line_of(found.start())
                yield source.path, line, f"'{found.group(0).rstrip('( ')}' cannot be close-on-exec"


def includes_of(source):
    for line, text in source.directives:
        found = re.match(r'\s*#\s*include\s+(["<])([^">]+)[">]', text)
        if found:
            yield line, found.group(1) == '"', found.group(2)


def include_table(tree):
    for source in tree.sources:
        if not source.path.startswith('src/'):
            continue
        allowed = MAY_INCLUDE.get(source.component)
        if allowed is None:
            yield source.path, 1, f"component '{source.component}' has no row in STYLE's table"
            continue
        for line, is_ours, name in includes_of(source):
            component = name.split('/')[0]
            if is_ours and '/' not in name and not tree.is_generated(name):
                yield source.path, line, f"'{name}' does not name its component"
            elif is_ours and '/' in name and component != source.component and component not in allowed:
                yield source.path, line, f"'{source.component}' may not include '{component}'"


def include_order(tree):
    for source in tree.sources:
        listed = [entry for entry in includes_of(source) if not entry[2].endswith('.def')]
        own = re.sub(r'^src/', '', os.path.splitext(source.path)[0]) + '.h'
        if listed and source.path.endswith('.c') and listed[0][2] == own:
            listed = listed[1:]
        ours = [entry[2] for entry in listed if entry[1]]
        system = [entry[2] for entry in listed if not entry[1]]
        line = listed[0][0] if listed else 1
        if own in ours and source.path.endswith('.c'):
            yield source.path, line, 'its own header comes first'
        elif source.path.startswith('src/') and any(
                before[1] < after[1] for before, after in zip(listed, listed[1:])):
            yield source.path, line, "our headers come before the system's"
        elif source.path.startswith('src/') and (ours != sorted(ours) or system != sorted(system)):
            wrong = next(pair[1] for group in (ours, system)
                         for pair in zip(group, group[1:]) if pair[0] > pair[1])
            yield source.path, line, f"includes are not sorted: '{wrong}'"


def module_names(tree):
    places = collections.defaultdict(set)
    for source in tree.sources:
        if source.path.startswith('src/') and source.path.endswith(('.c', '.h')):
            folder, name = os.path.split(source.path)
            places[os.path.splitext(name)[0]].add(folder)
    for name, folders in sorted(places.items()):
        if len(folders) > 1:
            first, second = sorted(folders)[:2]
            yield f'{second}/{name}.h', 1, f"there is a module '{name}' in {first} too"


def layout(tree):
    for source in tree.sources:
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS:
                yield source.path, number, f'{len(line)} columns, at most {COLUMNS}'
            if line != line.rstrip() or '\t' in line:
                yield source.path, number, 'a tab, or blanks at the end of the line'
    for path in tree.headers():
        if not tree.source(path).text.startswith('#pragma once\n'):
            yield path, 1, "a header begins with '#pragma once'"


RULES = [include_table, include_order, module_names, extern_in_c, forbidden_functions, close_on_exec,
         comment_style, commented_out_code, to_do, function_length, file_length, function_parameters,
         nesting, layout]
