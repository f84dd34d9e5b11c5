"""The rules about what a build made: what its libraries export, and how old a libc they run on."""
import os
import re
import subprocess

from lintlib.compiler import NotHere

# The limiter lies in a tenant's own programs, with whatever libc they brought. The simulator's parts
# lie only in what `vgpu sim` starts, a test bed: they have to run where vgpu itself does, on the
# threads and dlsym of its libc, and nowhere older.
PRELOAD_FLOOR = (2, 17)
PROGRAM_FLOOR = (2, 35)  # Ubuntu 22.04
FLOORS = {
    'lib/vgpu/libadd_path.so': PRELOAD_FLOOR,
    'lib/vgpu/libcuda_limiter.so': PRELOAD_FLOOR,
    'lib/vgpu/sim/libvgpu_sim.so': PROGRAM_FLOOR,
    'lib/vgpu/sim/libcuda.so.1': PROGRAM_FLOOR,
    'lib/vgpu/sim/libnvidia-ml.so.1': PROGRAM_FLOOR,
    'lib/vgpu/sim/vgpu-sim': PROGRAM_FLOOR,
    'bin/vgpu': PROGRAM_FLOOR,
}
# What each library may export: rows (kinds) of tables, see exported_rows().
EXPORTS = {
    'lib/vgpu/libcuda_limiter.so': ('LIBC',),
    'lib/vgpu/libadd_path.so': (),
    'lib/vgpu/sim/libvgpu_sim.so': ('LIBC',),
    'lib/vgpu/sim/libcuda.so.1': ('CUDA',),
    'lib/vgpu/sim/libnvidia-ml.so.1': ('NVML', 'NVML_TEXT'),
}


def staged(tree, name):
    if not tree.build:
        raise NotHere('no build')
    path = os.path.join(tree.build, 'stage', 'usr', name)
    return os.path.realpath(path) if os.path.exists(path) else None


def readelf(path, *options):
    return subprocess.run(['readelf', '-W', *options, path], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=True).stdout


def exported_names(path):
    names = set()
    for line in readelf(path, '--dyn-syms').splitlines():
        words = line.split()
        if len(words) >= 8 and words[4] in ('GLOBAL', 'WEAK') and words[6] != 'UND':
            names.add(words[7].split('@')[0])
    return names


def table_rows(tree, name, pattern):
    path = os.path.join(tree.root, 'src', 'macro', name)
    if not os.path.exists(path):
        return set()
    with open(path) as file:
        return set(re.findall(pattern, file.read(), re.MULTILINE))


def exported_rows(tree, kind):
    """The names that the rows of a kind stand for. A row is `MACRO(KIND, name, ...)` in driver.def, and
    `MACRO(name, ...)` in libc.def."""
    if kind == 'LIBC':
        return table_rows(tree, 'libc.def', r'^\w+\(\s*(\w+)')
    return table_rows(tree, 'driver.def', rf'^\w+\(\s*{kind}\s*,\s*(\w+)')


def exports(tree):
    for library, kinds in EXPORTS.items():
        path = staged(tree, library)
        if not path:
            yield library, 1, 'is not in the staged tree'
            continue
        rows = set().union(*(exported_rows(tree, kind) for kind in kinds))
        for name in sorted(exported_names(path) - rows):
            yield library, 1, f"exports '{name}', which is no row of a table"


def version_definitions(tree):
    """A version definition in a preloaded library would hide it from whoever asks for the plain name."""
    for library in EXPORTS:
        path = staged(tree, library)
        if path and '.gnu.version_d' in readelf(path, '-S'):
            yield library, 1, 'has version definitions'


def newest_glibc(path):
    versions = re.findall(r'GLIBC_(\d+)\.(\d+)', readelf(path, '-V'))
    return max(((int(major), int(minor)) for major, minor in versions), default=(0, 0))


def libc_floor(tree):
    for name in sorted(EXPORTS.keys() - FLOORS.keys()):
        yield name, 1, 'has no floor'
    for name, floor in FLOORS.items():
        path = staged(tree, name)
        if not path:
            yield name, 1, 'is not in the staged tree'
            continue
        newest = newest_glibc(path)
        if newest > floor:
            yield (name, 1, f'needs glibc {newest[0]}.{newest[1]}, may need {floor[0]}.{floor[1]}')


def preload_needs(tree):
    """Inside a tenant's process there is libc and nothing else."""
    for library in EXPORTS:
        path = staged(tree, library)
        needed = re.findall(r'NEEDED.*\[(.*)\]', readelf(path, '-d')) if path else []
        for name in needed:
            if not re.match(r'(libc|libpthread|libdl|librt|ld-linux[\w-]*)\.so', name):
                yield library, 1, f"needs '{name}'"


RULES = [exports, version_definitions, libc_floor, preload_needs]
