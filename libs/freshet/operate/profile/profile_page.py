"""One page of HTML with what `freshet profile` shows: no script, no style and no picture from elsewhere."""

from collections.abc import Sequence
from html import escape
from typing import Final

from freshet.operate.profile.profile_tables import COMPARED, SHOWN, compared_rows, shown_rows
from freshet.operate.profile.profile_view import ColumnChange, Stretch, overlap
from freshet.operate.quality.estimated import Estimate
from freshet.operate.quality.page import STYLE, estimated_part, table_of

_WIDTH, _HEIGHT, _FOOT = 440, 120, 18
_BEFORE, _NOW = "#9aa7b4", "#1f5fa8"
_PLOTS: Final = "<div style='display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem'>"


def shown_page(
    pipeline: str, parts: Sequence[tuple[str, Stretch]], made: str, estimated: Sequence[Estimate] = ()
) -> str:
    """The distributions of each kind, and how good the answers are by their confidence."""
    body = []
    for kind, found in parts:
        content = found.content
        body += [f"<h2>{escape(kind.capitalize())}</h2>", f"<p>{escape(found.told)}</p>"]
        body.append(table_of(SHOWN[:-1], [row[:-1] for row in shown_rows(found)]))
        if content.edges:
            plots = (_plot(name, [content.histogram[at].tolist()], [_NOW]) for at, name in enumerate(content.names))
            body.append(_PLOTS + "\n".join(plots) + "</div>")
    return _page(f"Profile of {pipeline}", [*body, estimated_part([("all of that time", estimated)])], made)


def compared_page(
    pipeline: str,
    parts: Sequence[tuple[str, Stretch, Stretch, Sequence[ColumnChange]]],
    made: str,
    estimated: Sequence[tuple[str, Sequence[Estimate]]] = (),
) -> str:
    """Both stretches of each kind, one over the other; what changed most comes first, and estimates of both last."""
    body = []
    for kind, before, now, changes in parts:
        body += [f"<h2>{escape(kind.capitalize())}</h2>"]
        body += [f"<p>Before (grey): {escape(before.told)}<br>Now (blue): {escape(now.told)}</p>"]
        body += [f"<p>{escape(why)}</p>"] if (why := overlap(before, now)) else []
        body.append(table_of(COMPARED[:-2], [row[:-2] for row in compared_rows(changes)]))
        plots = (_plot(f"{one.name}: {one.index:.3f}", one.shares, [_BEFORE, _NOW]) for one in changes)
        body.append(_PLOTS + "\n".join(plots) + "</div>")
    return _page(f"What changed in {pipeline}", [*body, estimated_part(estimated)], made)


def _page(title: str, body: Sequence[str], made: str) -> str:
    inner = "\n".join([f"<h1>{escape(title)}</h1>", f"<p>Made {escape(made)}.</p>", *body])
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style></head>\n<body>\n{inner}\n</body>\n</html>\n"
    )


def _plot(title: str, series: Sequence[Sequence[float]], colours: Sequence[str]) -> str:
    """Bars of the bins; the first series wider, behind the others. Bins are of equal width, whatever their edges."""
    drawn = [f'<text x="0" y="12">{escape(title)}</text>']
    for nth, (counts, colour) in enumerate(zip(series, colours, strict=True)):
        most, step = max(max(counts, default=0.0), 1e-12), _WIDTH / max(1, len(counts))
        inset = step * (0.05 + 0.2 * nth)
        for at, count in enumerate(counts):
            height = (_HEIGHT - _FOOT) * count / most
            drawn.append(
                f'<rect x="{at * step + inset:.1f}" y="{_HEIGHT - height:.1f}" width="{step - 2 * inset:.1f}" '
                f'height="{height:.1f}" fill="{colour}"/>'
            )
    inner = "".join(drawn)
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">{inner}</svg>'
