"""Pages from view models: Jinja2 templates of our own, everything escaped."""

import re
from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from freshet.console.core import number_words as words
from freshet.console.core.axis import spark
from freshet.console.core.typed_words import typed

_AGE: Final = re.compile(r'(<span class="age"[^>]* data-at="(\d+)"[^>]*>)(</span>)')


class Rendering:
    """Renders templates of this package."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("freshet.console", "templates"),
            autoescape=select_autoescape(default=True, default_for_string=True),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "added": words.added_words,
            "rate": words.rate_words,
            "span": words.span_words,
            "lag": words.lag_words,
            "share": words.share_words,
            "percent": words.percent_words,
            "count": words.count_words,
            "megabytes": words.megabytes_words,
            "minute": words.minute_words,
            "figure": words.figure_words,
            "typed": typed,
            "safe_svg": _figure,
        }
        self._environment.globals |= {"second": words.second_words, "spark": spark}

    def part(self, name: str, **values: Any) -> str:
        """One part of a page, without ages: the browser fills them in."""
        return self._environment.get_template(f"{name}.html").render(**values).strip()

    def page(self, name: str, now_ms: int, parts: Mapping[str, str], **values: Any) -> str:
        """A whole page, readable without the script: with the ages as of now."""
        whole = {part: Markup(html) for part, html in parts.items()}  # noqa: S704  (rendered above)
        html = self._environment.get_template(f"{name}.html").render(parts=whole, now_ms=now_ms, **values)
        return _AGE.sub(lambda found: f"{found[1]}{_age(int(found[2]), now_ms)}{found[3]}", html)


def _figure(drawn: str) -> Markup:
    """A figure of the core, which has escaped all text in it."""
    return Markup(drawn)  # noqa: S704


def _age(at_ms: int, now_ms: int) -> str:
    return f"{words.span_words(max(0, now_ms - at_ms) / 1000)} ago" if at_ms else words.UNKNOWN
