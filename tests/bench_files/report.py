"""Tables of results: for terminals, in Markdown, as JSON."""

from dataclasses import asdict

from .commands import CURL_ROW, SCP_ROW

BEGIN, END = "<!-- files: begin -->\n", "<!-- files: end -->"
MIB = 1 << 20


def size(count):
    """Bytes as people read them."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            text = f"{count / unit:.1f}"
            return f"{text.removesuffix('.0')} {name}"
    return f"{count} B"


def spread(values, digits):
    """The lowest and the highest."""
    return f"{min(values):.{digits}f}..{max(values):.{digits}f}"


def baseline(section, row, label):
    """The row to compare with, under the same conditions; None if it has not finished."""
    for other in section.rows:
        if other.label == label and other.congestion == row.congestion and other.runs:
            return other
    return None


def ratio(section, row, label):
    """How many times as fast as another row."""
    other = baseline(section, row, label)
    if not other:
        return "-"
    speed = row.item.size / row.median("wall")
    return f"{speed / (other.item.size / other.median('wall')):.2f}"


def bulk_cells(section, row):
    """Cells of one large file."""
    wall, size_ = row.median("wall"), row.item.size
    nanos = [f"{row.median(side) * 1e9 / size_:.3f}" for side in ("client", "server", "both")]
    rates = [size_ * 8 / run.wall / 1e9 for run in row.runs]
    return [f"{wall:.2f}", f"{size_ * 8 / wall / 1e9:.2f} ({spread(rates, 2)})",
            f"{size_ / wall / MIB:.0f}", f"{row.median('client'):.2f}",
            f"{row.median('server'):.2f}", *nanos, ratio(section, row, CURL_ROW),
            ratio(section, row, SCP_ROW), row.verifies, row.syncs]


def files_cells(section, row):
    """Cells of many files."""
    wall, item = row.median("wall"), row.item
    micros = [f"{row.median(side) * 1e6 / item.files:.1f}" for side in ("client", "server", "both")]
    return [f"{wall:.2f} ({spread([run.wall for run in row.runs], 2)})",
            f"{item.files / wall:.0f}", f"{item.size / wall / MIB:.1f}", *micros,
            ratio(section, row, CURL_ROW), ratio(section, row, SCP_ROW), row.verifies, row.syncs]


def link_cells(section, row):
    """Cells of the emulated link."""
    wall, size_ = row.median("wall"), row.item.size
    shares = [size_ * 8 / run.wall / section.rate * 100 for run in row.runs]
    rate = size_ * 8 / wall
    return [row.congestion, size(size_), f"{wall:.1f}", f"{rate / 1e6:.1f}",
            f"{rate / section.rate * 100:.1f} % ({spread(shares, 1)})",
            f"{row.median('both') * 1e9 / size_:.1f}",
            ratio(section, row, CURL_ROW), ratio(section, row, SCP_ROW)]


SIDES = ["client ns/byte", "server ns/byte", "both ns/byte"]
RATIOS = ["x curl", "x scp"]
WORK = ["verifies", "syncs"]
TABLES = {
    "big": (["wall s", "Gbit/s", "MiB/s", "client CPU s", "server CPU s", *SIDES, *RATIOS, *WORK],
            bulk_cells),
    "many": (["wall s", "files/s", "MiB/s", "client us/file", "server us/file", "both us/file",
              *RATIOS, *WORK], files_cells),
    "link": (["congestion", "size", "wall s", "Mbit/s", "share of the link", "both ns/byte",
              *RATIOS], link_cells),
}
TABLES["tree"] = TABLES["many"]


def cells(section):
    """Head and rows of a section's table."""
    head, function = TABLES[section.key]
    rows = [[row.label, *function(section, row)] for row in section.rows if row.runs]
    return ["program", *head], rows


def markdown_table(head, rows):
    """A table in Markdown; the first column is text, the others are numbers."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def plain_table(head, rows):
    """A table in columns."""
    widths = [max(len(line[n]) for line in [head, *rows]) for n in range(len(head))]
    text = ""
    for line in [head, ["-" * width for width in widths], *rows]:
        texts = [cell.ljust(width) if n == 0 else cell.rjust(width)
                 for n, (cell, width) in enumerate(zip(line, widths))]
        text += "  ".join(texts).rstrip() + "\n"
    return text


def whole(sections, facts, versions, command, markdown):
    """Everything as one text."""
    text = f"Machine: {facts}.\n\nWith: {versions}.\n\nCommand: `{command}`\n"
    for section in sections:
        title = f"### files: {section.title}" if markdown else f"== {section.title}"
        text += f"\n{title}\n\n"
        head, rows = cells(section)
        if rows:
            text += (markdown_table if markdown else plain_table)(head, rows)
        for note in section.notes:
            text += f"\n{note}\n"
    return text


def verdicts(sections):
    """How the aims were met, in sentences."""
    found = []
    for section in sections:
        if section.key != "big":
            continue
        for row in section.rows:
            if row.runs and row.label.startswith("anabranch"):
                found.append(f"{row.label}: {ratio(section, row, CURL_ROW)} x curl (aim: 1), "
                             f"{ratio(section, row, SCP_ROW)} x scp (aim: 2)")
    return found


def as_json(sections, facts, versions, command):
    """Everything that was measured, for programs."""
    def row_json(row):
        item = {"name": row.item.name, "files": row.item.files, "bytes": row.item.size,
                "sha256": row.item.hash}
        return {"label": row.label, "congestion": row.congestion, "verifies": row.verifies,
                "syncs": row.syncs, "item": item, "errors": row.errors,
                "warm_up": [asdict(run) for run in row.warm_up],
                "runs": [asdict(run) for run in row.runs]}

    return {"machine": facts, "versions": versions, "command": command,
            "sections": [{"key": section.key, "title": section.title, "notes": section.notes,
                          "rows": [row_json(row) for row in section.rows]}
                         for section in sections]}


def update(file, text):
    """Puts the text between the two marker lines of a document."""
    old = file.read_text()
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"bench-files: {file} has no markers for the numbers")
    file.write_text(f"{before}{BEGIN}\n{text.strip()}\n\n{END}{after}")
