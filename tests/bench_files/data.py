"""What is sent: made once, hashed, and compared with what arrives."""

import hashlib
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20
#: Files of one folder of the many small ones.
PER_FOLDER = 1000
#: Memory that is left free by what fills it.
SPARE = 256 << 20
#: At most so many bytes of a source tree are taken.
TREE_LIMIT = 512 << 20


@dataclass
class Item:
    """A file or a folder that is sent."""

    path: Path
    files: int
    size: int
    hash: str

    @property
    def name(self):
        """What it is called."""
        return self.path.name


def file_hash(path):
    """SHA-256 of a file."""
    total = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        buffer = bytearray(BLOCK)
        view = memoryview(buffer)
        while count := file.readinto(buffer):
            total.update(view[:count])
    return total.hexdigest()


def files_below(path):
    """Relative names of all regular files below a folder, in order."""
    found = []
    for folder, _, names in os.walk(path):
        found += [Path(folder, name) for name in names]
    return sorted(file.relative_to(path) for file in found
                  if file.is_file() and not file.is_symlink())


def any_hash(path):
    """SHA-256 of a file, or over the names and hashes of all files of a folder."""
    if path.is_file():
        return file_hash(path)
    total = hashlib.sha256()
    for name in files_below(path):
        total.update(f"{name}\0{file_hash(path / name)}\n".encode())
    return total.hexdigest()


def item(path):
    """Describes a file or folder that is there."""
    files = [path] if path.is_file() else [path / name for name in files_below(path)]
    return Item(path, len(files), sum(file.stat().st_size for file in files), any_hash(path))


def random_file(path, size):
    """A file of random bytes, the same for the same name."""
    generator = random.Random(path.name)
    with open(path, "wb") as file:
        for at in range(0, size, BLOCK):
            file.write(generator.randbytes(min(BLOCK, size - at)))
    return item(path)


def many_files(path, count, size):
    """A folder with so many files of so many random bytes each."""
    generator = random.Random(path.name)
    for number in range(count):
        folder = path / f"{number // PER_FOLDER:03}"
        if number % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        (folder / f"{number:06}.bin").write_bytes(generator.randbytes(size))
    return item(path)


def tree(path, source):
    """A copy of the regular files of a folder, up to a limit."""
    total = 0
    for name in files_below(source):
        if ".git" in name.parts or "target" in name.parts:
            continue
        total += (source / name).stat().st_size
        if total > TREE_LIMIT:
            break
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / name, path / name)
    return item(path)


def drop_from_cache(path):
    """Asks the system to forget a file's content, so that the next reader reads from the disk."""
    files = [path] if path.is_file() else [path / name for name in files_below(path)]
    for file in files:
        with open(file, "rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_through(path):
    """Reads all of a file or folder, so that it is in the page cache."""
    buffer = bytearray(4 * BLOCK)
    for file in [path] if path.is_file() else [path / name for name in files_below(path)]:
        with open(file, "rb", buffering=0) as opened:
            while opened.readinto(buffer):
                pass


def fill_memory(folder):
    """Has the page cache take all memory that is free, as on a machine that has run for a while,
    with a file that takes no room on the disk. A virtual machine may get memory from its host only
    when it is first touched, slower than a disk writes, and give back what is free: whoever comes
    after a pause would pay for all."""
    ballast = folder / "ballast"
    if not ballast.exists():
        words = Path("/proc/meminfo").read_text(encoding="ascii").split()
        available = int(words[words.index("MemAvailable:") + 1]) << 10
        with open(ballast, "wb") as file:
            file.truncate(max(available - SPARE, 0))
    read_through(ballast)


def remove(path):
    """Removes a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def find(name, below):
    """The one file or folder of a name below a folder; None if there is none."""
    for folder, folders, files in os.walk(below):
        if name in folders or name in files:
            return Path(folder, name)
    return None
