#!/usr/bin/env python3
"""Compares src/abi/cuda.h, nvml.h and macro/driver.def with a toolkit's headers.

    compare.py [TOOLKIT-INCLUDE-DIR]     (default: /usr/local/cuda/include)

What our headers say is printed by a program made of them; the toolkit's headers are then compiled with
a static assertion for each of these facts and a second declaration of each function of driver.def,
which the compiler refuses where it differs. Exits 77 where there is no toolkit.
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INCLUDE = sys.argv[1] if len(sys.argv) > 1 else '/usr/local/cuda/include'


def strip_comments(text):
    return re.sub(r'/\*.*?\*/', '', text, flags=re.S)


def structs(text):
    """(typedef's name, [field, ...]) of each struct that ends in a typedef's name, without nesting."""
    for body, name in re.findall(r'typedef (?:struct|union) \w+ \{(.*?)\n\} (\w+);', text, re.S):
        body = re.sub(r'(?:struct|union) \{.*?\} (\w+);', r'int \1;', body, flags=re.S)
        fields = []
        for line in body.split(';'):
            for part in line.strip().split(','):
                found = re.search(r'(\w+)(?:\[\w+\])?\s*$', part)
                if found and not found.group(1) == 'pad':
                    fields.append(found.group(1))
        yield name, [field for field in fields if field != 'align']


def facts(header):
    text = strip_comments(open(os.path.join(ROOT, 'src/abi', header)).read())
    macro = re.search(r'#define \w+_RESULTS\(ROW\)(.*?)\n\n', text, re.S).group(1)
    for name in re.findall(r'ROW\((\w+),', macro):
        yield name
    for name in re.findall(r'^\s+((?:CU|NVML)_\w+) = ', text, re.M):
        yield name
    for name in re.findall(r'^#define ((?:CU|NVML)_\w+)\s', text, re.M):
        yield '(unsigned long long)' + name
    for name, fields in structs(text):
        yield 'sizeof(%s)' % name
        for field in fields:
            yield 'offsetof(%s, %s)' % (name, field)


def compile_text(text, include, output):
    with tempfile.NamedTemporaryFile('w', suffix='.c', delete=False) as source:
        source.write(text)
    command = ['cc', '-std=gnu11', '-w', '-I', include, '-I', os.path.join(ROOT, 'src'), source.name]
    done = subprocess.run(command + output, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    os.unlink(source.name)
    return done


def our_values(header, names):
    lines = ''.join('printf("%%llu\\n", (unsigned long long)(%s));\n' % name for name in names)
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, 'values')
        done = compile_text('#include "abi/%s"\n#include <stddef.h>\n#include <stdio.h>\n'
                            'int main(void){%s}' % (header, lines), INCLUDE, ['-o', program])
        if done.returncode:
            sys.exit(done.stdout)
        return subprocess.run([program], stdout=subprocess.PIPE, text=True).stdout.split()


def check(header, library):
    if not os.path.exists(os.path.join(INCLUDE, header)):
        print('# no %s in %s' % (header, INCLUDE))
        return None
    names = list(facts(header))
    asserts = ''.join('_Static_assert((unsigned long long)(%s) == %sull, "%s is %s with us");\n' %
                      (name, value, name, value) for name, value in zip(names, our_values(header, names)))
    text = '''#include <%s>
#include <stddef.h>
#include "macro/driver.h"
#undef cuGetProcAddress /* a macro for the second version: the first has a row of its own */
%s
#define ROW_CUDA(...) %s
#define ROW_NVML(...) %s
#define ROW_NVML_TEXT(...) %s
#define HOOK(library, symbol, version, class, policy, words, ...) \\
    ROW_##library(DRIVER_PROTOTYPE(library, symbol, __VA_ARGS__);)
#include "macro/driver.def"
''' % (header, asserts, *(('__VA_ARGS__' if library == 'CUDA' else '',)
                          + ('__VA_ARGS__' if library == 'NVML' else '',) * 2))
    done = compile_text(text, INCLUDE, ['-c', '-o', '/dev/null'])
    for line in done.stdout.splitlines():
        if 'error' in line or 'previous declaration' in line:
            print('# ' + line)
    print('%s %s: %d facts and the prototypes' % ('not ok' if done.returncode else 'ok', header, len(names)))
    return done.returncode == 0


def main():
    results = [check('cuda.h', 'CUDA'), check('nvml.h', 'NVML')]
    if all(result is None for result in results):
        sys.exit(77)
    sys.exit(1 if False in results else 0)


main()
