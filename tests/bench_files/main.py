"""The command line, and the sections one after the other."""

import argparse
import contextlib
import json
import re
import shlex
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from . import data, link, report, setup
from .commands import CONGESTION
from .contest import Bench, Ground, Section
from .process import Failed

SECTIONS = ("big", "many", "tree", "link")
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def size(text):
    """Parses a size: 1GiB, 64MiB, 1000."""
    found = re.fullmatch(r"(\d+)\s*([kmg]?)(i?b)?", text.strip().lower())
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 64MiB, for example")
    return int(found[1]) * UNITS[found[2]]


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench-files", description="""Measures transfers of files, from disk to disk:
        anabranch beside curl with nginx, scp, and a small program over quinn. Progress goes to
        standard error, tables to standard output at the end. Command lines of the contestants are
        in tests/bench_files/commands.py.""")
    add = parser.add_argument
    add("--dir", type=Path, default=setup.ROOT / "target/bench-files",
        help="where the data are (default: target/bench-files; needs room for twice --size)")
    add("--rounds", type=int, default=5, help="rounds; the first one is a warm-up (5)")
    add("--size", type=size, default=1 << 30, help="the large file (1GiB)")
    add("--files", type=int, default=10_000, help="how many files of 1 KiB (10000)")
    add("--tree", type=Path, help="a source tree to send (default: that of boring-sys)")
    add("--link-size", type=size, default=64 << 20, help="the file over the slow link (64MiB)")
    add("--link-size-cubic", type=size, default=16 << 20,
        help="the same with CUBIC, which needs minutes for it (16MiB)")
    add("--link-rounds", type=int, default=3, help="rounds over the link, no warm-up (3)")
    add("--mbit", type=int, default=100, help="rate of the link in Mbit/s (100)")
    add("--rtt", type=int, default=50, help="its round-trip time in ms (50)")
    add("--loss", type=float, default=1.0, help="its loss in per cent, in each direction (1)")
    add("--sections", default=",".join(SECTIONS), help=f"some of {','.join(SECTIONS)} (all)")
    add("--only", default="", metavar="REGEX", help="only contestants whose name it matches")
    add("--cold", action="store_true", help="sources are not in the page cache")
    add("--limit", type=float, default=600, help="seconds that one transfer may take (600)")
    add("--no-wait", action="store_true", help="do not wait until the machine is quiet")
    add("--no-build", action="store_true", help="the programs are built already")
    add("--markdown", action="store_true", help="tables in Markdown")
    add("--json", type=Path, metavar="FILE", help="write all numbers to this file too (- : print)")
    add("--update-docs", action="store_true", help="keep the tables in docs/benchmarks.md")
    options = parser.parse_args()
    options.sections = options.sections.split(",")
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there is no section {', '.join(unknown)}")
    return options


def slow_link(bench, options, programs, work, whole):
    """The slow link, with each congestion control; one table for all."""
    reason = link.why_not()
    if reason:
        whole.notes.append(f"Left out: the emulated link {reason}.")
        setup.say(f"the emulated link is left out: it {reason}")
        return
    emulated = link.Link(programs["tun_link"], work, options.mbit, options.rtt, options.loss)
    with emulated:
        for name, called in CONGESTION.items():
            length = options.link_size_cubic if name == "cubic" else options.link_size
            item = data.random_file(bench.shared / f"link-{name}.bin", length)
            ground = Ground(link.ADDRESSES[0], emulated.inside(0), emulated.inside(1), name)
            try:
                emulated.use(called["tcp"])
            except Failed as error:
                whole.notes.append(f"{name}: left out: {error}")
                continue
            setup.say(f"link, {name}")
            bench.contest(whole, ground, item, options.link_rounds, warm_up=False)
    whole.notes += [f"The link, {line}." for line in emulated.counts()]


def measure(bench, options, programs, work, sections):
    """All sections, in order, into the list: what is there counts even if a later one fails."""
    runs = f"median (lowest..highest) of {max(options.rounds - 1, 1)} runs"

    def compete(key, title, item):
        sections.append(Section(key, f"{title} over loopback, {runs}"))
        bench.contest(sections[-1], Ground(), item, options.rounds)
        data.remove(item.path)

    if "big" in options.sections:
        setup.say("one large file: making it")
        item = data.random_file(bench.shared / "big.bin", options.size)
        compete("big", f"one file of {report.size(item.size)}", item)
    if "many" in options.sections:
        setup.say("many small files")
        item = data.many_files(bench.shared / "many", options.files, 1024)
        compete("many", f"{item.files} files of 1 KiB", item)
    if "tree" in options.sections:
        setup.say("a source tree")
        source = (options.tree or setup.source_tree()).resolve()
        item = data.tree(bench.shared / "tree", source)
        what = f"{source.name}: {item.files} files, {report.size(item.size)}"
        compete("tree", f"a source tree ({what})", item)
    if "link" in options.sections:
        title = (f"{options.mbit} Mbit/s, {options.rtt} ms round trip, {options.loss:g} % loss in "
                 f"each direction, median (lowest..highest) of {options.link_rounds} runs")
        sections.append(Section("link", title, rate=options.mbit * 1_000_000))
        slow_link(bench, options, programs, work, sections[-1])


def finish(options, sections, bench):
    """Prints and keeps what was found. Returns the exit code."""
    facts, versions = setup.facts(options.dir.resolve()), setup.versions()
    command = shlex.join(["scripts/bench-files",
                          *(word for word in sys.argv[1:] if word != "--update-docs")])
    found = report.as_json(sections, facts, versions, command)
    if options.json and str(options.json) != "-":
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    if options.update_docs:
        text = report.whole(sections, facts, versions, command, True)
        report.update(setup.ROOT / "docs/benchmarks.md", text)
    if options.json and str(options.json) == "-":
        print(json.dumps(found, indent=2))
    else:
        print(report.whole(sections, facts, versions, command, options.markdown))
    for line in report.verdicts(sections):
        setup.say(line)
    if bench.loud:
        setup.say("the machine was not always quiet: the numbers may be worse than they should be")
    failed = [row.label for section in sections for row in section.rows if row.errors]
    if failed:
        setup.say(f"FAILED: {', '.join(failed)}")
    return 1 if failed or not sections else 0


def measure_and_finish(options, folder, work):
    """Measures, and shows what there is even if it ends early. Returns the exit code."""
    sections, programs = [], setup.programs(setup.ROOT / "target")
    setup.keys(work, ["127.0.0.1", link.ADDRESSES[0]])
    bench = Bench(folder, work, programs, options)
    status = 0
    try:
        measure(bench, options, programs, work, sections)
    except KeyboardInterrupt:
        setup.say("interrupted: this is what there is")
        status = 130
    except Stopped as stopped:
        setup.say("stopped: this is what there is")
        status = stopped.code
    except Failed as error:
        setup.say(f"{error}: this is what there is")
        status = 1
    except Exception:
        traceback.print_exc()
        status = 1
    return finish(options, sections, bench) or status


class Stopped(SystemExit):
    """A signal has come."""


def stop(number, _frame):
    """Ends the measurement in an orderly way, once."""
    for other in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(128 + number)


def main():
    """The whole benchmark."""
    options = arguments()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        with contextlib.ExitStack() as stack:
            # The large file twice, or those of the link: one at a time arrives.
            room = 2 * max(options.size, options.link_size + options.link_size_cubic)
            folder = setup.own_folder(stack, options.dir.resolve(), room + (512 << 20))
            work = setup.own_folder(stack, Path(tempfile.gettempdir()).resolve())
            link.remove_left_over()
            setup.install()
            if not options.no_build:
                setup.build(setup.ROOT / "target")
            return measure_and_finish(options, folder, work)
    except Failed as error:
        setup.say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
