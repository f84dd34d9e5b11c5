"""Shows each rule its examples. tests/lint/<rule>.bad holds one or more files, each after a line
`=== path`; the rule has to flag every path in it whose line ends in `!`. tests/lint/good.tree holds files
about which every rule has to be silent."""
import os
import re
import shutil
import tempfile

from lintlib.compiler import NotHere


def unpack(example, root):
    """Writes the files of an example below root and returns the paths that have to be flagged."""
    with open(example) as file:
        parts = re.split(r'^=== (.*)\n', file.read(), flags=re.MULTILINE)[1:]
    flagged = set()
    for path, content in zip(parts[::2], parts[1::2]):
        if path.endswith('!'):
            path = path.rstrip('! ')
            flagged.add(path)
        os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
        with open(os.path.join(root, path), 'w') as file:
            file.write(content)
    return flagged


def judge(rule, make_tree, example, style):
    with tempfile.TemporaryDirectory() as root:
        wanted = unpack(example, root)
        shutil.copy(style, root)
        return wanted, {path for path, _, _ in rule(make_tree(root))}


def run(rules, make_tree, folder):
    failed = 0
    style = os.path.join(folder, '..', '..', '.clang-format')
    good = os.path.join(folder, 'good.tree')
    for name, rule in rules.items():
        bad = os.path.join(folder, f'{name}.bad')
        try:
            if os.path.exists(bad):
                wanted, got = judge(rule, make_tree, bad, style)
                if wanted != got:
                    print(f'lint: rule {name} flags {sorted(got)} of its examples, not {sorted(wanted)}')
                    failed += 1
            elif getattr(rule, '__module__', '').endswith('text'):
                print(f"lint: rule {name} has no example '{bad}'")
                failed += 1
            _, got = judge(rule, make_tree, good, style)
            if got:
                print(f'lint: rule {name} flags {sorted(got)} of the good examples')
                failed += 1
        except NotHere:
            continue
    return failed
